"""The native client's messages equal protobuf's byte for byte; and how it reads the server's."""

from __future__ import annotations

import subprocess
from typing import Any

import numpy as np
import pytest

from c2r.wire.v1 import renderer_pb2
from tests.native.conftest import tool

pb: Any = renderer_pb2
"""Enums stay numbers here, as on the wire."""


def written() -> dict[str, bytes]:
    run = subprocess.run([tool("c2r_golden")], capture_output=True, text=True, check=True)
    pairs = (line.split(" ") for line in run.stdout.splitlines())
    return {name: bytes.fromhex(data) for name, data in pairs}


def payload(codec: int, data: bytes, width: int, height: int) -> pb.Payload:
    return pb.Payload(codec=codec, data=data, width=width, height=height, row_order=1)


def plain_frame(**more: Any) -> pb.RenderStreamRequest:
    frame = pb.CoarseFrame(
        frame_id=1 << 40,
        capture_time_us=123456789,
        frame_delta_ms=16.5,
        jitter_x=-0.25,
        pre_exposure=2,
        colour=pb.ColourImage(payload=payload(1, bytes(range(1, 7)), 2, 1), pixel_format=1),
        **more,
    )
    return pb.RenderStreamRequest(frame=frame)


def full_frame() -> pb.RenderStreamRequest:
    device = pb.DeviceDepth(
        depth_inverted=True, near_plane=0.1, far_plane=100, view_space_to_meters=0.01
    )
    camera = pb.Camera(
        position=range(3),
        right=range(10, 13),
        up=range(20, 23),
        forward=range(30, 33),
        fov_y=1.25,
        view_to_clip=range(100, 116),
        clip_to_prev_clip=range(-8, 8),
    )
    return plain_frame(
        depth=pb.DepthMap(payload=payload(3, bytes((7, 8, 9, 10)), 2, 1), format=3, device=device),
        motion=pb.MotionField(payload=payload(2, np.array([1, -1], np.float16).tobytes(), 1, 1)),
        camera=camera,
        reset=pb.Reset(),
    )


def full_open() -> pb.RenderStreamRequest:
    return pb.RenderStreamRequest(
        open=pb.OpenRequest(
            protocol_major=1,
            width=832,
            height=480,
            fps=29.97,
            codecs=pb.CodecLists(coarse=[2, 1], picture=[4, 3, 1]),
            prompt="früher Morgen",
            negative_prompt="blur",
            resume_token=b"\x00\xff\x01",
            client="golden",
            strength=0,
            seed=(1 << 64) - 1,
            side_channels=[1, 2, 3],
        )
    )


def plain_open() -> pb.RenderStreamRequest:
    codecs = pb.CodecLists(coarse=[1], picture=[1])
    return pb.RenderStreamRequest(
        open=pb.OpenRequest(
            protocol_major=1, width=64, height=32, fps=16, codecs=codecs, strength=1
        )
    )


def test_requests_are_those_of_protobuf_byte_for_byte():
    control = pb.ControlChange(control_id=7, prompt="", strength=0, seed=0, blend_chunks=3)
    feedback = pb.Feedback(
        displayed_frame_id=0, decode_ms=1.5, jitter_buffer_ms=2.5, latency_ms=70.25, frames_unsent=9
    )
    wanted = {
        "frame_plain": plain_frame(),
        "frame_full": full_frame(),
        "open_full": full_open(),
        "open_plain": plain_open(),
        "control": pb.RenderStreamRequest(control=control),
        "feedback_plain": pb.RenderStreamRequest(feedback=pb.Feedback()),
        "feedback_full": pb.RenderStreamRequest(feedback=feedback),
        "end": pb.RenderStreamRequest(end=pb.EndRequest()),
        "end_discard": pb.RenderStreamRequest(end=pb.EndRequest(discard_pending=True)),
    }
    messages = written()
    assert messages.keys() == wanted.keys()
    for name, message in wanted.items():
        assert pb.RenderStreamRequest.FromString(messages[name]) == message, name
        assert messages[name] == message.SerializeToString(deterministic=True), name


def accepted(**changes: Any) -> pb.RenderStreamResponse:
    values: dict[str, Any] = {
        "protocol_major": 1,
        "server": "ü",
        "session_id": "s",
        "resume_token": b"12345",
        "width": 64,
        "height": 32,
        "fps": 16.5,
        "chunk_latents": 1,
        "first_chunk_frames": 1,
        "chunk_frames": 4,
        "max_in_flight_chunks": 2,
        "codecs": pb.CodecChoice(coarse=1, plane=2, picture=4),
        "side_channels": [1, 3, 77],
        "limits": pb.Limits(max_message_bytes=1000, idle_timeout_s=60),
        "strength": 1,
        "seed": 5,
    }
    return pb.RenderStreamResponse(accepted=pb.Accepted(**{**values, **changes}))


def rendered() -> pb.RenderStreamResponse:
    picture = pb.ColourImage(payload=payload(1, b"123456", 2, 1), pixel_format=1)
    frame = pb.RenderedFrame(picture=picture, chunk_index=3, stages=pb.StageTimes(total_ms=7.5))
    reply = pb.FrameReply(frame_id=9, capture_time_us=8, rendered=frame)
    return pb.RenderStreamResponse(frame=reply)


RESPONSES = [
    (accepted(), "accepted 64x32 16.5 1 1 4 2 1 2 4 5 5 0 1000 ü s 5"),
    (accepted(protocol_major=2), "refused 3 accepted.protocol_major: "),
    (accepted(width=0), "refused 2 accepted.width: is 0"),
    (accepted(fps=float("nan")), "refused 2 accepted.fps: "),
    (accepted(codecs=pb.CodecChoice(coarse=1, plane=4, picture=1)), "refused 2 accepted.codecs"),
    (accepted(resume_token=bytes(65)), "refused 2 accepted.resume_token"),
    (rendered(), "reply 9 8 1 0 0 3 2 6 7.5 |"),
    (
        pb.RenderStreamResponse(
            frame=pb.FrameReply(frame_id=1, dropped=pb.DroppedFrame(reason=200))
        ),
        "reply 1 0 2 0 0 0 0 0 0 |",
    ),
    (
        pb.RenderStreamResponse(
            frame=pb.FrameReply(failed=pb.Fault(code=2, message="no", field="depth"))
        ),
        "reply 0 0 3 0 2 0 0 0 0 no|depth",
    ),
    (pb.RenderStreamResponse(frame=pb.FrameReply()), "reply 0 0 3 0 1 0 0 0 0 is unset"),
    (
        pb.RenderStreamResponse(
            control_ack=pb.ControlAck(control_id=4, frame_id=0, blend_chunks=2)
        ),
        "ack 4 0 2 0 ",
    ),
    (pb.RenderStreamResponse(control_ack=pb.ControlAck(control_id=4)), "refused 2 control_ack."),
    (pb.RenderStreamResponse(flow=pb.Flow(queue_position=2, window_frames=7)), "flow 2 7"),
    (
        pb.RenderStreamResponse(warning=pb.SessionWarning(code=99, message="new")),
        "warning 99 new",
    ),
    (pb.RenderStreamResponse(keepalive=pb.Keepalive(server_time_us=1)), "keepalive"),
    (
        pb.RenderStreamResponse(ended=pb.Ended(reason=3, message="idle", resumable=True)),
        "ended 3 1 idle",
    ),
    (pb.RenderStreamResponse(), "refused 1 the message must have one body"),
]


@pytest.mark.parametrize("build", ["plain", "asan"])
def test_responses_are_read_as_protobuf_wrote_them(build: str):
    lines = "\n".join(message.SerializeToString().hex() for message, _ in RESPONSES) + "\n"
    golden = tool("c2r_golden", build)
    run = subprocess.run([golden, "read"], input=lines, capture_output=True, text=True, check=True)
    for line, (_, wanted) in zip(run.stdout.splitlines(), RESPONSES, strict=True):
        assert line.startswith(wanted)


@pytest.mark.parametrize("build", ["plain", "asan"])
def test_truncated_and_bent_responses_are_refused_or_read_without_harm(build: str):
    rng = np.random.default_rng(1)
    lines = []
    for message, _ in RESPONSES:
        data = message.SerializeToString()
        lines += [data[:end].hex() for end in range(len(data))]
        for _ in range(30):
            bent = bytearray(data)
            if bent:
                bent[rng.integers(len(bent))] ^= 1 << rng.integers(8)
            lines.append(bytes(bent).hex())
    text = "\n".join(lines) + "\n"
    golden = tool("c2r_golden", build)
    run = subprocess.run([golden, "read"], input=text.encode(), capture_output=True, check=True)
    assert run.stdout.count(b"\n") == len(lines)
