"""How full the K/V cache is at each chunk of a stream: a short list, known before it starts.

The cache fills chunk by chunk and then stays at one level. One CUDA graph is captured per level,
and a benchmark fills the cache before it measures.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fill:
    """The cache as a chunk finds it: `length` latents held, `drop` of them evicted to make room.

    `latents`: of the chunk.
    """

    length: int
    drop: int
    latents: int

    @property
    def held(self) -> int:
        """Latents before the chunk's own, and so its position in time."""
        return self.length - self.drop

    @property
    def first(self) -> bool:
        """Whether the chunk is the first of the stream."""
        return self.length == 0


def fill_levels(window: int, chunk: int, first_chunk: int | None = None) -> tuple[Fill, ...]:
    """Every level that a stream of chunks of `chunk` latents meets; the last one repeats.

    `first_chunk`: latents of a stream's first chunk, where it has another size.
    """
    fills: list[Fill] = []
    length = 0
    while True:
        latents = first_chunk if length == 0 and first_chunk is not None else chunk
        fill = Fill(length, max(0, length + latents - window), latents)
        if fill in fills:
            return tuple(fills)
        fills.append(fill)
        length = fill.held + latents
