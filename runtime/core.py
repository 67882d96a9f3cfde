"""The types that everything in the runtime passes around: a frame's way from client to reply.

A `ReceivedFrame` waits in the inbox. The inbox makes a `ChunkRequest` of several, the render thread
turns that into a `RenderedChunk`, and the writer answers each frame with its part of it. Knows
arrays and wire dataclasses; no network, no tensor, no session, no gRPC.

Shapes: F frames, H W pixel rows and columns. Times ending in `_s` are seconds of
`time.perf_counter`, those ending in `_ms` are durations in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # the GPU benchmark runs where protobuf is not installed
    from c2r.wire import CoarseFrame

Frames = NDArray[np.uint8]
"""RGB frames `[F, H, W, 3]`, row 0 at the top, 8-bit sRGB."""


@dataclass(frozen=True)
class RenderParameters:
    """What a client asks of its rendered frames.

    `strength`: of the control network, at least 0; 0 is exactly no control. `blend_chunks`: chunks
    over which a new prompt takes over; 0 and 1 both mean at once.
    """

    prompt: str = ""
    negative_prompt: str = ""
    strength: float = 1.0
    seed: int = 0
    blend_chunks: int = 1


@dataclass(frozen=True, eq=False)
class ReceivedFrame:
    """A decoded coarse frame, when its message arrived and when it was decoded."""

    frame: CoarseFrame
    arrived_s: float
    decoded_s: float = 0.0


@dataclass(frozen=True, eq=False)
class ChunkRequest:
    """One chunk to render: one to `size` frames, oldest first.

    A stream's last chunk may have fewer frames than `size`; its last one is then repeated. `first`:
    the chunk is the first of a video, which has a size of its own. `reset`: discard the state of
    the video before it.
    """

    frames: tuple[ReceivedFrame, ...]
    size: int
    first: bool
    reset: bool
    params: RenderParameters = RenderParameters()

    @property
    def images(self) -> Frames:
        """The coarse frames that were received `[F, H, W, 3]`, F at most `size`."""
        return np.stack([received.frame.rgb for received in self.frames])


@dataclass(frozen=True, eq=False)
class RenderedChunk:
    """The frames that a request gave, as many as it had, and how long they took.

    `begun_s`: when the render thread took the request up. `stages_ms`: by stage name (upload, dino,
    control, denoise, vae, download). `kv_write_ms`: of the chunk before, since this one's keys and
    values are written only after its frames have left.
    """

    frames: Frames
    begun_s: float
    stages_ms: Mapping[str, float]
    kv_write_ms: float
