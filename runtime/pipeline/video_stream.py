"""One session's video on the device: what its stream carries, and the look in force.

Everything here runs on the render thread. Knows the pipeline, no message and no session.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from c2r.models.dit import TextKV
from runtime.pipeline.pipeline import Pictures, Pipeline, RenderedChunk, pad_frames
from runtime.pipeline.prompt_blend import PromptBlend
from runtime.pipeline.stage_timer import HostLap, Lap


@dataclass(frozen=True)
class RenderParameters:
    """What is asked of the pictures; a new prompt takes over during `blend_chunks` chunks, 0 and 1
    both at once.
    """

    prompt: str = ""
    negative_prompt: str = ""
    strength: float = 1.0
    seed: int = 0
    blend_chunks: int = 1


@dataclass(frozen=True, eq=False)
class ChunkOrder:
    """Images `[height, width, 3]` of one chunk of `size` frames; the last is repeated to fill it.

    `first`: the stream is at its beginning, or `reset` takes it there.
    """

    images: Sequence[Pictures]
    size: int
    first: bool
    reset: bool
    look: RenderParameters


@dataclass(frozen=True, eq=False)
class Painted:
    """Pictures of the images of an order, and when and how fast they were made.

    `stages_ms`: by the pipeline's stage names; `kv_write_ms`: of the chunk before.
    """

    pictures: Pictures
    stages_ms: dict[str, float]
    kv_write_ms: float
    begun_s: float


class Video:
    """One stream and the look it is rendered with."""

    def __init__(self, pipeline: Pipeline, look: RenderParameters) -> None:
        self.pipeline = pipeline
        self.state = pipeline.open(look.seed)
        self.look = look
        embeddings = pipeline.prompt(look.prompt)
        self._blend = PromptBlend(embeddings, embeddings)
        self._text: TextKV | None = None
        self._written: RenderedChunk | None = None
        self._kv_write: Lap = HostLap(0.0)

    def paint(self, order: ChunkOrder) -> Painted:
        """Render one chunk. After any error the stream begins anew."""
        begun_s = time.perf_counter()
        try:
            if order.reset:
                self.state.reset()
            if order.first != self.state.first:
                raise RuntimeError("the stream lost its past after this chunk was gathered")
            blend, text = self._turn_to(order.look)
            self.pipeline.reseed(self.state, order.look.seed)
            frames = np.stack(order.images)
            if len(frames) < order.size:
                frames = pad_frames(frames, order.size)
            rendered = self.pipeline.render(self.state, frames, text, order.look.strength)
        except Exception:
            self.state.reset()
            raise
        self.look, self._blend, self._text = order.look, blend, text
        self._written = rendered
        pictures = rendered.pictures[: len(order.images)]
        # Read now, not before: who reads it waits, and the write runs beside this chunk's start.
        return Painted(pictures, rendered.stages_ms, self._kv_write.ms, begun_s)

    def write(self) -> None:
        """Write the keys and values of the chunk that was painted last. See `paint` for errors."""
        assert self._written is not None, "write follows paint"
        try:
            self._kv_write = self.pipeline.finalize(self.state, self._written)
        except Exception:
            self.state.reset()
            raise
        finally:
            self._written = None

    def settle(self) -> None:
        """Wait until the last write is over."""
        _ = self._kv_write.ms

    def close(self) -> None:
        """Free the stream's memory; nothing can be painted afterwards."""
        del self.state, self._blend
        self._text = None

    def _turn_to(self, look: RenderParameters) -> tuple[PromptBlend, TextKV]:
        if look.prompt != self.look.prompt:
            end = self.pipeline.prompt(look.prompt)
            blend = self._blend.toward(end, look.blend_chunks)
        elif self._text is not None and self._blend.settled:
            return self._blend, self._text
        else:
            blend = self._blend.next()
        return blend, self.pipeline.text(blend.embeddings)


def warm_up(pipeline: Pipeline, chunks: int) -> float:
    """Render grey chunks on a stream of their own, so that no session waits for first-time work.

    Gives the milliseconds of the last one.
    """
    video, took_ms = Video(pipeline, RenderParameters()), 0.0
    grey = np.full((pipeline.preset.height, pipeline.preset.width, 3), 128, np.uint8)
    for index in range(chunks):
        first = index == 0
        size = pipeline.frames_wanted(video.state)
        painted = video.paint(ChunkOrder([grey] * size, size, first, False, RenderParameters()))
        video.write()
        video.settle()
        took_ms = (time.perf_counter() - painted.begun_s) * 1000
    return took_ms
