"""Random numbers of one sample: a function of (seed of the run, number of the sample, purpose).

A run draws samples 0, 1, 2, ...; nothing random depends on anything but these three. So a run is
the same on any number of processes, and a resumed run continues as if it had not stopped: there is
no generator whose state would have to be kept, divided among processes, or brought back in order.
A purpose is a name for one use ("noise", "level"). Two uses of one name would be correlated, and
another name for the same use would give other numbers, so names stay as they are.
"""

from __future__ import annotations

import hashlib
import random

import torch
from torch import Tensor


def _digest(seed: int, draw: int, purpose: str) -> int:
    # A hash, not a sum: seed 1 of sample 2 must have nothing in common with seed 2 of sample 1.
    # Python's own `hash` differs from process to process. Shifted to 63 bits, torch's signed seeds.
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
