"""Random weights that are the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from c2r.models.configs import TextConfig


def fold_seed(seed: int) -> int:
    """Any whole number as the 64 bits that generators take."""
    return seed & 0xFFFF_FFFF_FFFF_FFFF


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Random weights made inside come from `seed`, on the CPU: the same on every machine.

    The generator's state is restored afterwards. With None this does nothing.
    """
    if seed is None:
        yield
        return
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(fold_seed(seed))
    try:
        with torch.device("cpu"):
            yield
    finally:
        torch.default_generator.set_state(state)


class SeededText:
    """Stands in for a text encoder without weights: random embeddings from seed and prompt.

    They have the right shape and differ between prompts, and mean nothing.
    """

    def __init__(self, config: TextConfig, seed: int) -> None:
        self.config = config
        self.seed = seed
        self.device = torch.device("cpu")

    def to(self, device: torch.device | str) -> SeededText:
        self.device = torch.device(device)
        return self

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Embeddings `[B, length, dim]` float32: one row per byte and an end, zero beyond them."""
        text = torch.zeros(len(prompts), self.config.length, self.config.dim)
        for row, prompt in zip(text, prompts, strict=True):
            words = prompt.encode()
            digest = hashlib.blake2b(
                words, digest_size=8, salt=fold_seed(self.seed).to_bytes(8, "little")
            )
            generator = torch.Generator().manual_seed(
                int.from_bytes(digest.digest(), "little") >> 1
            )
            count = min(len(words) + 1, self.config.length)
            row[:count] = torch.randn(count, self.config.dim, generator=generator)
        return text.to(self.device)
