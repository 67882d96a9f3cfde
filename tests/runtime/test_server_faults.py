"""Broken frames, messages out of order, bytes that are no messages: each harms itself alone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import grpc
import numpy as np
import pytest
import zstandard

from c2r.wire import CoarseFrame, DroppedFrame, ErrorCode, FailedFrame, RenderedFrame, pack_request
from c2r.wire.codec import pack_array
from c2r.wire.events import ControlChange, EndRequest, Feedback
from c2r.wire.formats import Codec, CodecLists, SideChannel
from c2r.wire.v1 import renderer_pb2 as pb
from tests.runtime.bare_client import packed, session, stream
from tests.runtime.serving import (
    FIRST,
    LATER,
    PRESET,
    SlowPipeline,
    direct,
    emptied,
    frames,
    images,
    received,
    request,
    run,
    serving,
    stopped_clock,
    until,
)

PIXELS = PRESET.width * PRESET.height


def bomb_with_a_size() -> bytes:
    """A zstd frame that says it unpacks to a gigabyte."""
    return zstandard.ZstdCompressor().compress(bytes(1 << 26))


def bomb_without_a_size() -> bytes:
    packer = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    return packer.compress(bytes(1 << 26)) + packer.flush()


def spoil(**changes: Any) -> Callable[[pb.CoarseFrame], None]:
    def change(message: pb.CoarseFrame) -> None:
        for name, value in changes.items():
            setattr(message.colour.payload, name, value)

    return change


def set_frame(**changes: Any) -> Callable[[pb.CoarseFrame], None]:
    def change(message: pb.CoarseFrame) -> None:
        for name, value in changes.items():
            setattr(message, name, value)

    return change


def ungranted(message: pb.CoarseFrame) -> None:
    message.camera.fov_y = 1.0


BAD: dict[str, tuple[Codec, Callable[[pb.CoarseFrame], None], ErrorCode, str]] = {
    "truncated": (Codec.RAW, spoil(data=bytes(100)), ErrorCode.MALFORMED, "colour"),
    "too long": (Codec.RAW, spoil(data=bytes(PIXELS * 3 + 1)), ErrorCode.TOO_LARGE, "colour"),
    "empty": (Codec.RAW, spoil(data=b""), ErrorCode.MALFORMED, "colour"),
    "wrong size": (Codec.RAW, spoil(width=32), ErrorCode.INVALID, "colour.payload"),
    "wrong codec": (Codec.RAW, spoil(codec=4), ErrorCode.UNSUPPORTED, "colour.payload.codec"),
    "unknown codec": (Codec.RAW, spoil(codec=77), ErrorCode.UNSUPPORTED, "colour.payload.codec"),
    "duplicate": (Codec.RAW, set_frame(frame_id=1), ErrorCode.OUT_OF_ORDER, "frame_id"),
    "out of order": (Codec.RAW, set_frame(frame_id=0), ErrorCode.OUT_OF_ORDER, "frame_id"),
    "jitter": (Codec.RAW, set_frame(jitter_x=3.0), ErrorCode.INVALID, "jitter_x"),
    "not a number": (
        Codec.RAW,
        set_frame(frame_delta_ms=float("nan")),
        ErrorCode.INVALID,
        "frame_delta_ms",
    ),
    "ungranted": (Codec.RAW, ungranted, ErrorCode.UNSUPPORTED, "camera"),
    "zstd bomb": (Codec.ZSTD, spoil(data=bomb_with_a_size()), ErrorCode.TOO_LARGE, "colour"),
    "zstd bomb of unknown size": (
        Codec.ZSTD,
        spoil(data=bomb_without_a_size()),
        ErrorCode.MALFORMED,
        "colour",
    ),
    "lz4 bomb": (
        Codec.LZ4,
        spoil(data=pack_array(Codec.LZ4, np.zeros(1 << 26, np.uint8))),
        ErrorCode.MALFORMED,
        "colour",
    ),
    "no jpeg": (Codec.JPEG, spoil(data=b"\xff\xd8\xff nonsense"), ErrorCode.MALFORMED, "colour"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_frame_is_answered_and_the_stream_lives_on(name):
    codec, change, code, field = BAD[name]

    async def test() -> None:
        codecs = CodecLists((codec,), (Codec.RAW,))
        async with serving() as server, session(server, codecs=codecs) as client:
            good = frames(FIRST + 1)
            bad = packed(client, good[2])
            change(bad.frame)
            await client.send(*good[:2], bad, *good[3:])
            await client.answers(FIRST + 1)
            (failed,) = [one for one in client.replies if isinstance(one, FailedFrame)]
            assert failed.frame_id == bad.frame.frame_id
            assert failed.fault.code is code
            assert failed.fault.field.startswith(field)
            assert failed.fault.message
            rendered = [0, 1, *range(3, FIRST + 1)]
            assert client.ids(RenderedFrame) == rendered
            if codec.lossless:
                kept = direct(images(FIRST + 1)[rendered])
                assert np.array_equal(client.frames()[FIRST], kept[-1])
            await client.send(EndRequest())
            await client.over()
            assert client.ended is not None
            assert client.ended.statistics.frames_failed == 1
            assert client.ended.statistics.frames_received == FIRST + 1

    run(test())


def test_side_channels_are_checked_and_do_not_disturb():
    async def test() -> None:
        channels = tuple(SideChannel)
        async with serving() as server, session(server, side_channels=channels) as client:
            draw = np.random.default_rng(2)
            sent = [
                CoarseFrame(
                    one.frame_id,
                    one.capture_time_us,
                    one.rgb,
                    depth=draw.uniform(1, 50, (24, 32)).astype(np.float32),
                    motion=draw.normal(0, 2, (24, 32, 2)).astype(np.float16),
                )
                for one in frames(FIRST)
            ]
            bad = packed(client, sent[-1])
            bad.frame.frame_id = 50
            bad.frame.motion.payload.width = 9999
            await client.send(*sent, bad)
            await client.answers(FIRST + 1)
            assert client.ids(FailedFrame) == [50]
            assert np.array_equal(client.frames()[0], direct(images(FIRST))[0])

    run(test())


def test_more_frames_than_the_limit_are_refused_one_by_one():
    """A burst of as much as a client may have in flight passes; then as many as the limit says."""

    async def test() -> None:
        renderer = SlowPipeline(held=True)
        with stopped_clock() as clock:
            async with serving(renderer, max_fps=5.0) as server, session(server, fps=5.0) as client:
                sent, burst = frames(60), 2 * LATER
                await client.send(*sent[: burst + 20])
                await received(server, burst + 20)
                clock.now_s += 1.0
                await client.send(*sent[burst + 20 :])
                await client.until(lambda: len(client.ids(FailedFrame)) >= 60 - burst - 5)
                refused = [*range(burst, burst + 20), *range(burst + 25, 60)]
                assert client.ids(FailedFrame) == refused
                fault = next(one for one in client.replies if isinstance(one, FailedFrame)).fault
                assert fault.code is ErrorCode.TOO_LARGE
                assert "5 frames a second" in fault.message
                renderer.release_all()

    run(test())


def test_a_message_beyond_the_limit_ends_the_stream():
    async def test() -> None:
        async with serving(max_message_bytes=100_000) as server, session(server) as other:
            async with session(server) as client:
                bad = packed(client, frames(1)[0])
                bad.frame.colour.payload.data = bytes(200_000)
                await client.send(bad)
                assert await client.over() is grpc.StatusCode.RESOURCE_EXHAUSTED
                assert "larger than max" in client.details
            await other.render(frames(FIRST))
            assert np.array_equal(other.frames()[0], direct(images(FIRST))[0])

    run(test())


@pytest.mark.parametrize(
    "garbage", [b"\xff" * 50, b"\x12\xff\xff\xff\xff\x7f", b"", b"\x12\x05ab", bytes(3)]
)
def test_bytes_that_are_no_message_end_the_stream_with_a_reason(garbage):
    async def test() -> None:
        async with serving() as server, session(server) as client:
            await client.send(*frames(2), garbage)
            assert await client.over() is grpc.StatusCode.INVALID_ARGUMENT
            assert client.details
            assert client.ids(DroppedFrame) == [0, 1], "what waited was answered first"
            await emptied(server)  # a client that sends garbage does not come back
        async with serving() as server, stream(server) as client:
            await client.send(garbage)
            assert await client.over() is grpc.StatusCode.INVALID_ARGUMENT

    run(test())


def mutated(data: bytes, draw: random.Random) -> bytes:
    """A message with a few bytes changed, cut, doubled or put in."""
    out = bytearray(data)
    for _ in range(draw.randint(1, 6)):
        # The head of a message holds its structure; most of a frame is pixels.
        place = draw.randrange(min(len(out), draw.choice([40, 400, 1 << 20])) or 1)
        kind = draw.randrange(5)
        if kind == 0 and out:
            out[min(place, len(out) - 1)] = draw.randrange(256)
        elif kind == 1:
            del out[place:]
        elif kind == 2:
            out[place:place] = draw.randbytes(draw.randint(1, 9))
        elif kind == 3:
            out += out[: draw.randint(0, 60)]
        elif out:
            out[min(place, len(out) - 1)] ^= 1 << draw.randrange(8)
    return bytes(out)


def test_two_thousand_mutated_messages_harm_nobody():
    """Streams end with a status that blames the client, or live on; the server stays whole."""
    draw = random.Random(11)
    fine = {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.OK,
    }

    async def attack(server: Any, count: int) -> int:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(stream(server))
            opening = pack_request(request(resume_token=b"x" * 8)).SerializeToString()
            await client.send(mutated(opening, draw) if draw.random() < 0.3 else opening)
            for number in range(count):
                if client.status is not None:
                    break
                if client.accepted is None:
                    await asyncio.sleep(0.002)
                    continue
                bodies = (
                    packed(client, frames(1, first_id=number)[0]),
                    pack_request(ControlChange(number, prompt="night", strength=0.5)),
                    pack_request(Feedback(number, 1.0, 2.0, 3.0)),
                )
                body = draw.choice(bodies).SerializeToString()
                try:
                    await client.send(mutated(body, draw))
                except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    break
                await asyncio.sleep(0)
            else:
                number = count
            client.call.cancel()
            assert client.status in fine | {None, grpc.StatusCode.CANCELLED}, client.details
            return number

    async def test() -> None:
        async with serving(max_waiting=4, resume_grace_s=0) as server:
            sent = 0
            async with session(server) as bystander:
                while sent < 2000:
                    sent += await attack(server, min(200, 2001 - sent)) + 1
                await bystander.render(frames(FIRST + LATER))
                expected = direct(images(FIRST + LATER))
                rendered = bystander.frames()
                assert all(np.array_equal(rendered[one], expected[one]) for one in rendered)
                assert len(rendered) == FIRST + LATER
                await until(lambda: server.admission.slots_taken == 1)

    run(test())


def test_a_stream_without_its_open_is_ended():
    async def test() -> None:
        async with serving(first_message_s=0.3) as server, stream(server) as client:
            assert await client.over() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert "open" in client.details

    run(test())


def test_a_stream_closed_before_its_open_is_refused():
    async def test() -> None:
        async with serving() as server, stream(server) as client:
            await client.call.done_writing()
            assert await client.over() is grpc.StatusCode.INVALID_ARGUMENT

    run(test())


@pytest.mark.parametrize("body", [EndRequest(), Feedback()])
def test_the_first_message_is_open(body):
    async def test() -> None:
        async with serving() as server, stream(server) as client:
            await client.send(body)
            assert await client.over() is grpc.StatusCode.FAILED_PRECONDITION
            assert "first message" in client.details

    run(test())


def test_open_comes_once():
    async def test() -> None:
        async with serving() as server, session(server) as client:
            await client.send(request())
            assert await client.over() is grpc.StatusCode.FAILED_PRECONDITION
            assert "again" in client.details

    run(test())
