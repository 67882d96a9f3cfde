"""What one client is sent: replies into bytes, in order, with the times of each frame."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace

from c2r.wire import (
    Accepted,
    CoarseFrame,
    ErrorCode,
    FailedFrame,
    Fault,
    FrameReply,
    PictureEncoder,
    RenderedFrame,
)
from c2r.wire.replies import StageTimes
from runtime.pipeline.video_stream import Painted
from runtime.session.inbox import Waiting

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Answer:
    """A reply and when its frame's message had arrived; `keyframe`: its picture stands alone."""

    reply: FrameReply
    arrived_s: float
    keyframe: bool = False


@dataclass(frozen=True, eq=False)
class Packed:
    """An answer as it is sent."""

    answer: Answer
    data: bytes
    total_ms: float


class Outgoing:
    """Packs the replies of one stream."""

    def __init__(self, accepted: Accepted) -> None:
        self._encoder = PictureEncoder(accepted)

    def pack(self, answer: Answer) -> Packed:
        """One reply; a picture that cannot be encoded becomes a fault."""
        begun_s, keyframe = time.perf_counter(), answer.keyframe
        try:
            response = self._encoder.encode(answer.reply, keyframe=keyframe)
        except Exception:
            log.exception("the picture of frame %d could not be encoded", answer.reply.frame_id)
            fault = Fault(ErrorCode.INTERNAL, "the server failed to encode the picture")
            reply = answer.reply
            failed = FailedFrame(reply.frame_id, reply.capture_time_us, fault)
            answer = replace(answer, reply=failed)
            response = self._encoder.encode(failed)
        now_s = time.perf_counter()
        total_ms = (now_s - answer.arrived_s) * 1000
        if isinstance(answer.reply, RenderedFrame):
            stages = response.frame.rendered.stages
            stages.encode_ms, stages.total_ms = (now_s - begun_s) * 1000, total_ms
        return Packed(answer, response.SerializeToString(), total_ms)


def rendered_answers(
    items: tuple[Waiting, ...], painted: Painted, chunk_index: int, *, keyframe: bool
) -> list[Answer]:
    """The pictures of a chunk as replies; `keyframe`: the first stands alone."""
    answers = []
    for index, (item, picture) in enumerate(zip(items, painted.pictures, strict=True)):
        frame: CoarseFrame = item.frame
        reply = RenderedFrame(
            frame.frame_id,
            frame.capture_time_us,
            rgb=picture,
            chunk_index=chunk_index,
            stages=_stages(item, painted),
        )
        answers.append(Answer(reply, item.arrived_s, keyframe and index == 0))
    return answers


def _stages(item: Waiting, painted: Painted) -> StageTimes:
    """The way to the device counts as DINO's, the way back as the VAE's."""
    stages = painted.stages_ms
    return StageTimes(
        decode_ms=item.decode_ms,
        queue_ms=max(0.0, painted.begun_s - item.decoded_s) * 1000,
        dino_ms=stages["upload"] + stages["dino"],
        adapter_ms=stages["control"],
        denoise_ms=stages["denoise"],
        vae_ms=stages["vae"] + stages["download"],
        kv_write_ms=painted.kv_write_ms,
    )
