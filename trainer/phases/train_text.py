"""Trains the tiny preset's text encoder: a small UMT5 on bytes, by matching captions with clips.

Captions and clips of a batch are embedded, and each caption must find its clip among the others
and the reverse: the symmetric contrastive loss of CLIP (Radford et al., 2021, arXiv:2103.00020).
Beside that, every single byte's embedding must predict which words the whole caption has: so a DiT
finds what the prompt asks for at any byte, not only in the mean of a hundred bytes.
Phrases of a caption are left out at random, so that a prompt need not be worded like the captions.
The clip encoder, a few convolutions, and all projections are dropped after training.

Shapes: B clips, F frames, S bytes, D width of the embedding.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from c2r.models.seeded import seeded
from c2r.models.text import TextEncoder, clean_prompt
from trainer.data.batch import Batch
from trainer.logs.loss_meter import Losses
from trainer.phases.foundation import FoundationPhase, pixels
from trainer.sample_random import plain_random
from trainer.settings import TrainConfig

TEXT_FOLDER = "text"
SHARED = 128
WORDS = 1024
WORD_WEIGHT = 4.0
PHRASE_KEPT = 0.7


def shortened(caption: str, random_: random.Random) -> str:
    """The caption with some of its comma-separated phrases left out, at least one kept."""
    phrases = [phrase.strip() for phrase in caption.split(",")]
    kept = [phrase for phrase in phrases if random_.random() < PHRASE_KEPT]
    return ", ".join(kept or [random_.choice(phrases)])


class TextWithHeads(nn.Module):
    """The text encoder with its projections, and the clip encoder. Attributes are names in
    checkpoints.
    """

    def __init__(self, text: TextEncoder) -> None:
        super().__init__()
        self.text = text.model.requires_grad_(True)
        self.project = nn.Linear(text.dim, SHARED)
        self.words = nn.Linear(text.dim, WORDS)
        widths = (3, 32, 64, 128, 128)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(widths):
            layers += [nn.Conv2d(n_in, n_out, 3, 2, 1), nn.GroupNorm(8, n_out), nn.SiLU()]
        self.look = nn.Sequential(*layers, nn.AdaptiveAvgPool2d((2, 2)), nn.Flatten())
        self.match = nn.Linear(4 * widths[-1], SHARED)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def clips(self, frames: Tensor) -> Tensor:
        """Frames `[B, F, 3, H, W]` in [0, 1] -> unit vectors `[B, SHARED]`."""
        small = F.interpolate(frames.flatten(0, 1), (72, 128), mode="bilinear", antialias=True)
        features = self.look(small).unflatten(0, frames.shape[:2]).mean(1)
        return F.normalize(self.match(features).float(), dim=-1)

    def captions(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Embeddings `[B, S, D]` and which of them count -> unit vectors `[B, SHARED]`."""
        share = mask[..., None].float()
        return F.normalize(self.project((hidden * share).sum(1) / share.sum(1)).float(), dim=-1)


def word_places(caption: str) -> list[int]:
    """Where in a list of `WORDS` the caption's words are: a hash of each, the same everywhere."""
    return [zlib.crc32(word.encode()) % WORDS for word in re.findall(r"\w+", caption.lower())]


def word_loss(scores: Tensor, mask: Tensor, captions: Sequence[str]) -> Tensor:
    """Cross-entropy `[B]` of scores `[B, S, WORDS]`, of the bytes that count, for their captions'
    words. Words that all captions have, or none, teach nothing and are left out.
    """
    wanted = torch.zeros(len(captions), WORDS, device=scores.device)
    for row, caption in enumerate(captions):
        wanted[row, word_places(caption)] = 1.0
    telling = (wanted.amin(0) < wanted.amax(0)).nonzero().squeeze(1)
    scores, wanted = scores.float()[..., telling], wanted[:, None, telling].expand(*mask.shape, -1)
    errors = F.binary_cross_entropy_with_logits(scores, wanted, reduction="none").sum(-1)
    return (errors * mask).sum(1) / mask.sum(1) / max(1, len(telling)) * WORD_WEIGHT


@torch.no_grad()
def attend_to_previous_bytes(text: TextEncoder) -> None:
    """Each head of the first block begins by attending to one of the bytes just before: its table
    of relative positions, from zero, would need thousands of updates to find them.
    """
    bias = text.model.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
    for head in range(bias.shape[1]):
        bias[head + 1, head] += 6.0


class TrainText(FoundationPhase[TrainConfig]):
    """Embeddings that tell apart what prompts ask for."""

    name = "train_text"
    PART = "text"

    @classmethod
    def check(cls, config: TrainConfig) -> None:
        """Bytes only: large encoders are published. Contrast needs several clips at once."""
        super().check(config)
        if config.model.text.tokenizer != "bytes":
            raise ValueError(
                f"phase train_text trains a text encoder on bytes, and model.text.tokenizer is "
                f"{config.model.text.tokenizer}; set it to bytes"
            )
        if config.micro_batch < 2:
            raise ValueError(
                "phase train_text compares clips of a micro-batch; set micro_batch 2 or more"
            )

    def build(self) -> nn.Module:
        self.encoder = cast(TextEncoder, self.start.text())
        if self.start.fresh("text"):
            attend_to_previous_bytes(self.encoder)
        with seeded(self.start.seed):
            return TextWithHeads(self.encoder)

    def losses(self, batch: Batch, step: int) -> Losses:
        """Captions against clips of a micro-batch."""
        network = cast(TextWithHeads, self.network)
        captions = [
            shortened(caption, plain_random(self.config.seed, draw, "phrases"))
            for caption, draw in zip(batch.captions, batch.draws, strict=True)
        ]
        ids, mask = self._bytes(captions)
        hidden = network.text(ids, attention_mask=mask).last_hidden_state.float()
        embedded = network.captions(hidden, mask)
        scores = embedded @ network.clips(pixels(batch, self.world.device)).T
        scores = scores * network.scale.exp().clamp(max=100.0)
        own = torch.arange(len(scores), device=scores.device)
        samples = F.cross_entropy(scores, own, reduction="none")
        samples = (samples + F.cross_entropy(scores.T, own, reduction="none")) / 2
        samples = samples + word_loss(network.words(hidden), mask, captions)
        levels = torch.zeros(len(samples))
        return Losses(samples.mean(), samples.detach(), levels, batch.sources)

    def _bytes(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        tokens = self.encoder.tokenizer(
            [clean_prompt(caption) for caption in captions],
            padding=True,
            truncation=True,
            max_length=self.encoder.length,
            return_tensors="pt",
        )
        device = self.world.device
        return tokens.input_ids.to(device), tokens.attention_mask.to(device)

    @torch.no_grad()
    def sample_frames(self, batch: Batch) -> Tensor:
        """The clips themselves: a text encoder makes no frames."""
        return self.decoded(batch)

    def finished(self, part: str, weights: Mapping[str, Tensor]) -> None:
        """A transformers folder `text` in the run's folder."""
        text = cast(TextEncoder, self.start.text())
        own = {n.removeprefix("text."): t for n, t in weights.items() if n.startswith("text.")}
        unexpected = text.model.load_state_dict(own, strict=False).unexpected_keys
        assert not unexpected, f"{unexpected} have no place in the text encoder"
        text.model.save_pretrained(self.config.folder / TEXT_FOLDER)
