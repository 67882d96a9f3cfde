"""The optional adversarial term of phase dmd: small heads on a frozen teacher's features.

Heads look at the tokens after some of the teacher's blocks, of noised clips, and tell real ones
from the student's; hinge loss for them, the mean verdict for the student. Other than in DMD2
(Yin et al., 2024, arXiv:2405.14867), whose critic is judge as well, the judge here is frozen.

Shapes: B samples, L tokens of a clip, D width of the teacher.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from c2r.streaming.schedule import TRAIN_STEPS
from trainer.distill.student import CausalDenoiser
from trainer.distill.teacher import Conditions

HIDDEN = 64


class Adversary(nn.Module):
    """A head for each looked-at block: every token has a say."""

    def __init__(self, width: int, blocks: Sequence[int]) -> None:
        super().__init__()
        self.blocks = tuple(blocks)
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, 1)
            )
            for _ in blocks
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Tokens after each block, `[B, L, D]` each -> a verdict a token and head, `[B, heads L]`;
        above 0 is real.
        """
        pairs = zip(self.heads, features, strict=True)
        return torch.cat([head(tokens).squeeze(-1).float() for head, tokens in pairs], dim=1)


def check_blocks(blocks: Sequence[int], layers: int) -> None:
    """`ValueError` unless the teacher has those blocks."""
    if not blocks or not all(0 <= block < layers for block in blocks):
        raise ValueError(
            f"dmd.gan.blocks {tuple(blocks)} must name blocks of the teacher, 0 to {layers - 1}"
        )


def tokens_after(
    denoiser: CausalDenoiser, blocks: Sequence[int], x: Tensor, levels: Tensor, given: Conditions
) -> list[Tensor]:
    """A frozen denoiser's tokens `[B, L, D]` after `blocks`, of clips `x` at `levels` `[B]`."""
    found: dict[int, Tensor] = {}

    def keep(place: int, block: nn.Module, arguments: object, tokens: Tensor) -> None:
        found[place] = tokens

    hooks = [
        denoiser.dit.blocks[place].register_forward_hook(partial(keep, place)) for place in blocks
    ]
    try:
        timestep = TRAIN_STEPS * levels
        denoiser(x, timestep, given.text, features=given.features, strength=given.strength)
    finally:
        for hook in hooks:
            hook.remove()
    return [found[place] for place in blocks]


def judge_losses(real: Tensor, fake: Tensor) -> Tensor:
    """The heads' hinge loss of each sample, `[B]`, from verdicts on both."""
    return F.relu(1 - real).mean(1) + F.relu(1 + fake).mean(1)


def student_losses(fake: Tensor) -> Tensor:
    """The student's, `[B]`."""
    return -fake.mean(1)
