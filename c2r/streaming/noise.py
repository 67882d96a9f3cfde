"""Seeded noise, latent by latent: a video does not depend on how its input was cut into chunks."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

import torch
from torch import Tensor

from c2r.models.seeded import fold_seed


def _generator(seed: int, latent: int, step: int) -> torch.Generator:
    digest = hashlib.blake2b(
        struct.pack("<Qqq", fold_seed(seed), latent, step), digest_size=8
    ).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


def latent_noise(
    seeds: Sequence[int], first: int, latents: int, step: int, shape: tuple[int, int, int]
) -> Tensor:
    """Standard normal `[B, latents, C, rows, columns]` float32 for the latents from `first` on.

    `step` counts the noise levels of one chunk: 0 is the start, later ones the re-noising.
    """
    # One generator per (seed, latent, step). One generator for the stream would make a latent's
    # noise depend on how many numbers were taken before it: on the chunk size, on dropped frames,
    # on the number of steps. On the CPU, because CUDA's generators give other numbers, which also
    # differ between GPUs.
    return torch.stack(
        [
            torch.stack(
                [
                    torch.randn(shape, generator=_generator(seed, latent, step))
                    for latent in range(first, first + latents)
                ]
            )
            for seed in seeds
        ]
    )
