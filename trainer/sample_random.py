"""Random numbers of one sample, from the run's seed, the sample's number and what they are for.

A run draws samples 0, 1, 2, ...; nothing random depends on anything but these three. So a run is
the same on any number of processes, and a resumed run goes on as if it had not stopped.
"""

from __future__ import annotations

import hashlib
import random

import torch
from torch import Tensor


def _digest(seed: int, draw: int, purpose: str) -> int:
    words = f"{seed}/{draw}/{purpose}".encode()
    return int.from_bytes(hashlib.blake2b(words, digest_size=8).digest(), "little") >> 1


def torch_random(seed: int, draw: int, purpose: str) -> torch.Generator:
    """A generator on the CPU: its numbers are the same on every device."""
    return torch.Generator().manual_seed(_digest(seed, draw, purpose))


def plain_random(seed: int, draw: int, purpose: str) -> random.Random:
    """The same for single numbers."""
    return random.Random(_digest(seed, draw, purpose))


def noise(seed: int, draws: tuple[int, ...], shape: tuple[int, ...], purpose: str) -> Tensor:
    """Normal noise `[len(draws), *shape]` float32, a sample at a time."""
    parts = [torch.randn(shape, generator=torch_random(seed, draw, purpose)) for draw in draws]
    return torch.stack(parts)
