"""The losses of phase dmd: distribution matching, and the optional adversarial term.

Distribution matching (DMD; Yin et al., 2023, arXiv:2311.18828) as Self-Forcing has it: the
student's clip is noised; where teacher (real) and critic (fake) see different clean clips in it,
the student moves from the fake towards the real.

The adversarial term: small heads on a frozen teacher's features tell real clips from the student's,
both noised; hinge loss for the heads, the mean verdict for the student. Other than in DMD2 (Yin et
al., 2024, arXiv:2405.14867), whose critic is the discriminator as well, the features are frozen.

Shapes: B samples, T latents, C channels, h w latent rows and columns, L tokens of a clip, D width
of the teacher.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from c2r.streaming.schedule import TRAIN_STEPS, shift_level
from trainer.distill.settings import DmdConfig
from trainer.distill.student import CausalDenoiser
from trainer.distill.teacher import Conditions
from trainer.sample_random import plain_random

HIDDEN = 64


def score_levels(
    dmd: DmdConfig, shift: float, seed: int, draws: Sequence[int], purpose: str
) -> Tensor:
    """Noise levels `[B]` of the scores: uniform, shifted, clamped to `lowest` and `highest`."""
    least, most = dmd.lowest / TRAIN_STEPS, dmd.highest / TRAIN_STEPS
    plain = [plain_random(seed, draw, purpose).random() for draw in draws]
    return torch.tensor([min(max(shift_level(level, shift), least), most) for level in plain])


def matching_gradient(x: Tensor, real: Tensor, fake: Tensor) -> Tensor:
    """`(x0_fake - x0_real) / mean|x - x0_real|`, the mean over a sample; all `[B, T, C, h, w]`."""
    axes = tuple(range(1, x.ndim))
    scale = (x - real).abs().mean(axes, keepdim=True)
    return (fake - real) / scale


def matching_losses(x: Tensor, gradient: Tensor) -> Tensor:
    """`0.5 MSE(x, stopgrad(x - gradient))` of each sample, `[B]`.

    A loss only in form: its gradient in `x` is `gradient` over a sample's count of numbers, without
    one through teacher or critic, which would cost their backward passes and is not DMD's.
    """
    x, target = x.float(), (x - gradient).detach().float()
    return 0.5 * (x - target).square().flatten(1).mean(1)


class Adversary(nn.Module):
    """One head per chosen block of the teacher, with a verdict on every token."""

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
        """Tokens after each block, `[B, L, D]` each -> a verdict per token and head,
        `[B, heads L]`; above 0 is real.
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
    tokens_of: dict[int, Tensor] = {}

    def keep(place: int, block: nn.Module, arguments: object, tokens: Tensor) -> None:
        tokens_of[place] = tokens

    hooks = [
        denoiser.dit.blocks[place].register_forward_hook(partial(keep, place)) for place in blocks
    ]
    try:
        timestep = TRAIN_STEPS * levels
        denoiser(x, timestep, given.text, features=given.features, strength=given.strength)
    finally:
        for hook in hooks:
            hook.remove()
    return [tokens_of[place] for place in blocks]


def judge_losses(real: Tensor, fake: Tensor) -> Tensor:
    """The heads' hinge loss of each sample, `[B]`, from verdicts on both."""
    return F.relu(1 - real).mean(1) + F.relu(1 + fake).mean(1)


def student_losses(fake: Tensor) -> Tensor:
    """The student's, `[B]`."""
    return -fake.mean(1)
