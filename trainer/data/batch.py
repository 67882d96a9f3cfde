"""A sample and a batch of them: what data hands to a phase.

Shapes: B samples, F pixel frames, T latents, C channels, h w latent rows and columns, S text
tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sample:
    """A window of one clip: `latents` and `text` (from a cache) or `frames` (from videos)."""

    draw: int
    clip: str
    source: str
    caption: str
    latents: Tensor | None = None  # [T, C, h, w]
    text: Tensor | None = None  # [S, text_dim]
    frames: Tensor | None = None  # [F, 3, H, W] uint8
    control: Tensor | None = None  # [F, 3, H, W] uint8
    motion: Tensor | None = None  # [F, 2, H, W] pixels to where a point was, NaN where unknown
    start: int = 0  # the first frame's number in its clip


@dataclass(frozen=True)
class Batch:
    """`draws` are the samples' numbers: every random number of a sample follows from its own."""

    draws: tuple[int, ...]
    clips: tuple[str, ...]
    sources: tuple[str, ...]
    captions: tuple[str, ...]
    latents: Tensor | None  # [B, T, C, h, w]
    text: Tensor | None  # [B, S, text_dim]
    frames: Tensor | None  # [B, F, 3, H, W] uint8
    control: Tensor | None  # [B, F, 3, H, W] uint8
    motion: Tensor | None = None  # [B, F, 2, H, W]
    starts: tuple[int, ...] = ()

    def to(self, device: torch.device) -> Batch:
        tensors = {
            item.name: getattr(self, item.name).to(device, non_blocking=True)
            for item in fields(self)
            if isinstance(getattr(self, item.name), Tensor)
        }
        return replace(self, **tensors)


def _stacked(tensors: Sequence[Tensor | None]) -> Tensor | None:
    there = [tensor for tensor in tensors if tensor is not None]
    assert len(there) in (0, len(tensors)), "samples of one batch come from one kind of data"
    return torch.stack(there) if there else None


def collate(samples: Sequence[Sample]) -> Batch:
    """Samples of equal shapes as one batch."""
    return Batch(
        draws=tuple(sample.draw for sample in samples),
        clips=tuple(sample.clip for sample in samples),
        sources=tuple(sample.source for sample in samples),
        captions=tuple(sample.caption for sample in samples),
        latents=_stacked([sample.latents for sample in samples]),
        text=_stacked([sample.text for sample in samples]),
        frames=_stacked([sample.frames for sample in samples]),
        control=_stacked([sample.control for sample in samples]),
        motion=_stacked([sample.motion for sample in samples]),
        starts=tuple(sample.start for sample in samples),
    )
