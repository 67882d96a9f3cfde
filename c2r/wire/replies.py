"""What became of a coarse frame: rendered, dropped or failed; exactly one for every frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from c2r.wire.checks import check_real, check_whole
from c2r.wire.errors import Fault
from c2r.wire.frames import check_image


class DropReason(StrEnum):
    """Why a frame was dropped; the client itself sets the last two, they are never sent."""

    UNSPECIFIED = "unspecified"
    SUPERSEDED = "superseded"
    RESET = "reset"
    ENDED = "ended"
    UNSENT = "unsent"
    LOST = "lost"


@dataclass(frozen=True)
class StageTimes:
    """The server's milliseconds for one frame; each frame of a chunk has the whole chunk's times.

    `kv_write_ms` is that of the chunk before: it runs after the frames were sent. `total_ms` goes
    from the arrival of the message to the reply handed to gRPC, everything included.
    """

    decode_ms: float = 0.0
    queue_ms: float = 0.0
    dino_ms: float = 0.0
    adapter_ms: float = 0.0
    denoise_ms: float = 0.0
    vae_ms: float = 0.0
    encode_ms: float = 0.0
    kv_write_ms: float = 0.0
    total_ms: float = 0.0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            check_real(getattr(self, name), name)


@dataclass(frozen=True, eq=False)
class RenderedFrame:
    """What was rendered for coarse frame `frame_id`: `rgb` [H, W, 3] uint8, sRGB."""

    frame_id: int
    capture_time_us: int
    rgb: NDArray[np.uint8]
    chunk_index: int = 0
    stages: StageTimes = field(default_factory=StageTimes)

    def __post_init__(self) -> None:
        check_whole(self.frame_id, "frame_id")
        check_whole(self.capture_time_us, "capture_time_us")
        check_whole(self.chunk_index, "chunk_index")
        check_image(self.rgb, "picture")


@dataclass(frozen=True)
class DroppedFrame:
    """Coarse frame `frame_id` was dropped on purpose."""

    frame_id: int
    capture_time_us: int
    reason: DropReason


@dataclass(frozen=True)
class FailedFrame:
    """Coarse frame `frame_id` could not be used; `fault.field` is a path inside it."""

    frame_id: int
    capture_time_us: int
    fault: Fault


FrameReply = RenderedFrame | DroppedFrame | FailedFrame
