"""Seeded noise, latent by latent, so that a video does not depend on how its input was cut."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

import torch
from torch import Tensor

from c2r.models.seeded import fold_seed


def _stream(seed: int, latent: int, step: int) -> torch.Generator:
    digest = hashlib.blake2b(
        struct.pack("<Qqq", fold_seed(seed), latent, step), digest_size=8
    ).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


def latent_noise(
    seeds: Sequence[int], first: int, latents: int, step: int, shape: tuple[int, int, int]
) -> Tensor:
    """Standard normal `[B, latents, C, rows, columns]` float32 for the latents from `first` on.

    One generator per (seed, latent, step), drawn on the CPU so that every device gets the same.
    `step` counts the noise levels of one chunk: 0 is the start, later ones the re-noising.
    """
    return torch.stack(
        [
            torch.stack(
                [
                    torch.randn(shape, generator=_stream(seed, latent, step))
                    for latent in range(first, first + latents)
                ]
            )
            for seed in seeds
        ]
    )
