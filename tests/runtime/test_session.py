"""One session over real gRPC: what it renders, drops, acknowledges and says at the end."""

from __future__ import annotations

import asyncio
import time

import grpc
import numpy as np

from c2r.wire import DroppedFrame, DropReason, FailedFrame, RenderedFrame
from c2r.wire.events import (
    EndReason,
    EndRequest,
    Feedback,
    Flow,
    Keepalive,
    SessionWarning,
    WarningCode,
)
from c2r.wire.formats import Codec, CodecLists
from tests.runtime.serving import (
    FIRST,
    LATER,
    Client,
    SlowPipeline,
    direct,
    frames,
    images,
    run,
    same,
    serving,
    session,
)


def test_the_server_gives_what_the_pipeline_gives():
    async def test() -> None:
        async with serving() as server, session(server) as client:
            await client.render(frames(FIRST + 2 * LATER))
            expected = direct(images(FIRST + 2 * LATER))
            assert same(client, expected)
            assert client.ids(RenderedFrame) == sorted(client.ids(RenderedFrame))
            assert len(np.unique(expected[-1])) > 8, "flat pictures would show nothing"

    run(test())


def test_replies_say_where_the_time_went():
    async def test() -> None:
        async with serving(SlowPipeline(0.05)) as server, session(server) as client:
            await client.send(*frames(FIRST + LATER))
            replies = await client.answers(FIRST + LATER)
            chunks = [one.chunk_index for one in replies if isinstance(one, RenderedFrame)]
            assert chunks == [0] * FIRST + [1] * LATER
            last = replies[-1]
            assert isinstance(last, RenderedFrame)
            assert last.capture_time_us == 1_000_000 + 1000 * (FIRST + LATER - 1)
            stages = last.stages
            parts = [getattr(stages, name) for name in stages.__dataclass_fields__]
            assert all(part > 0 for part in parts)
            assert stages.total_ms >= 50 + stages.queue_ms + stages.denoise_ms

    run(test())


def test_an_end_renders_what_waits_and_counts_everything():
    async def test() -> None:
        async with serving() as server, session(server) as client:
            coarse = images(FIRST + 3)
            await client.send(*frames(FIRST + 3), EndRequest())
            assert await client.over() is grpc.StatusCode.OK
            padded = np.concatenate([coarse, np.repeat(coarse[-1:], LATER - 3, axis=0)])
            assert same(client, direct(padded)[: FIRST + 3])
            assert client.ended is not None
            assert client.ended.reason is EndReason.CLIENT
            assert not client.ended.resumable
            numbers = client.ended.statistics
            assert numbers.frames_received == numbers.frames_rendered == FIRST + 3
            assert (numbers.chunks, numbers.frames_dropped, numbers.frames_failed) == (2, 0, 0)
            assert 0 < numbers.latency_p50_ms <= numbers.latency_p90_ms <= numbers.latency_p99_ms
            assert numbers.duration_s > 0

    run(test())


def test_an_end_may_discard_what_waits():
    async def test() -> None:
        async with serving(SlowPipeline(0.2)) as server, session(server) as client:
            await client.send(*frames(FIRST + 3), EndRequest(discard_pending=True))
            assert await client.over() is grpc.StatusCode.OK
            assert client.ids(RenderedFrame) == [*range(FIRST)]
            dropped = [one for one in client.replies if isinstance(one, DroppedFrame)]
            assert [one.frame_id for one in dropped] == [FIRST, FIRST + 1, FIRST + 2]
            assert {one.reason for one in dropped} == {DropReason.ENDED}

    run(test())


def test_closing_the_sending_side_finishes_too():
    async def test() -> None:
        async with serving() as server, session(server) as client:
            await client.send(*frames(FIRST + 1))
            await client.call.done_writing()
            assert await client.over() is grpc.StatusCode.OK
            assert client.ids(RenderedFrame) == [*range(FIRST + 1)]
            assert client.ended is not None
            assert client.ended.resumable, "it did not say end"

    run(test())


def test_a_frame_after_the_end_is_refused():
    async def test() -> None:
        async with serving(SlowPipeline(0.3)) as server, session(server) as client:
            last, late = frames(2)
            await client.send(last, EndRequest(), late)
            await client.over()
            assert client.ids(RenderedFrame) == [0]
            assert client.ids(FailedFrame) == [1]

    run(test())


def test_a_reset_begins_anew_and_drops_what_waits():
    async def test() -> None:
        async with serving(SlowPipeline(0.2)) as server, session(server) as client:
            coarse = images(FIRST + 3 + FIRST + LATER)
            cut = FIRST + 3
            await client.render(frames(len(coarse), resets=(cut,)))
            dropped = [one for one in client.replies if isinstance(one, DroppedFrame)]
            assert [one.frame_id for one in dropped] == [FIRST, FIRST + 1, FIRST + 2]
            assert {one.reason for one in dropped} == {DropReason.RESET}
            kept = np.concatenate([coarse[:FIRST], coarse[cut:]])
            expected = direct(kept, resets=(FIRST,))
            found = client.pictures()
            for place, one in enumerate([*range(FIRST), *range(cut, len(coarse))]):
                assert np.array_equal(found[one], expected[place])

    run(test())


def overload(chunk_s: float, seconds: float, fps: float) -> tuple[Client, dict[int, float]]:
    """A producer that never waits, against a renderer that is too slow for it."""
    sent: dict[int, float] = {}
    clients = []

    async def test() -> None:
        async with serving(SlowPipeline(chunk_s)) as server, session(server, fps=fps) as client:
            clients.append(client)
            begun = time.perf_counter()
            for number, frame in enumerate(frames(int(seconds * fps))):
                await asyncio.sleep(max(0, begun + number / fps - time.perf_counter()))
                sent[number] = time.perf_counter()
                await client.send(frame)
            await client.send(EndRequest())
            assert await client.over() is grpc.StatusCode.OK

    run(test())
    return clients[0], sent


def test_latency_stays_bounded_when_frames_come_too_fast():
    client, sent = overload(0.3, seconds=4.5, fps=60)
    arrived = {one.frame_id: at for one, at in zip(client.replies, client.reply_s, strict=True)}
    assert sorted(arrived) == [*sent], "every frame is accounted for, once"
    assert len(client.replies) == len(sent)
    rendered, dropped = client.ids(RenderedFrame), client.ids(DroppedFrame)
    assert rendered == sorted(rendered)
    latencies = [arrived[one] - sent[one] for one in rendered]
    pictures = {
        one.chunk_index: arrived[one.frame_id]
        for one in client.replies
        if isinstance(one, RenderedFrame)
    }
    # The slowest chunk's: where others use the machine too, one late chunk is a twentieth of them.
    chunk_s = np.diff([*pictures.values()]).max()
    assert np.percentile(latencies, 95) < 2 * chunk_s + 0.1
    assert len(dropped) > len(rendered)
    assert client.ended is not None
    numbers = client.ended.statistics
    assert numbers.frames_received == len(sent) == numbers.frames_rendered + numbers.frames_dropped
    assert (numbers.frames_rendered, numbers.frames_dropped) == (len(rendered), len(dropped))
    codes = [one.code for one in client.heard(SessionWarning)]
    assert codes.count(WarningCode.SLOW) == 1


def test_a_renderer_that_keeps_up_drops_nothing():
    client, sent = overload(0.0, seconds=1.5, fps=60)
    assert client.ids(RenderedFrame) == [*sent]
    assert WarningCode.SLOW not in [one.code for one in client.heard(SessionWarning)]


def test_h264_both_ways_with_a_cut_and_a_wish_for_a_key():
    codecs = CodecLists((Codec.H264,), (Codec.H264,))

    async def test() -> None:
        async with serving() as server, session(server, codecs=codecs) as client:
            count = FIRST + LATER
            sent = frames(2 * count, resets=(count,))
            await client.send(*sent[:count])
            await client.answers(count)
            await client.send(Feedback(keyframe_wanted=True), *sent[count:])
            replies = await client.answers(2 * count)
            assert all(isinstance(one, RenderedFrame) for one in replies)

    run(test())


def test_h264_asks_for_a_key_when_a_frame_was_lost():
    codecs = CodecLists((Codec.H264,), (Codec.RAW,))

    async def test() -> None:
        async with serving() as server, session(server, codecs=codecs) as client:
            assert client._encoder is not None
            packed = [
                client._encoder.encode(one, keyframe=index == 2)
                for index, one in enumerate(frames(FIRST + 2))
            ]
            packed[0].frame.colour.payload.data = packed[0].frame.colour.payload.data[:40]
            await client.send(*packed)
            await client.answers(FIRST + 2)
            assert client.ids(FailedFrame) == [0, 1]
            assert client.ids(RenderedFrame) == [*range(2, FIRST + 2)]
            wishes = [one.keyframe_wanted for one in client.heard(Flow)]
            assert wishes == [False, True, False]

    run(test())


def test_a_quiet_server_says_that_it_lives():
    async def test() -> None:
        async with serving(keepalive_s=0.1) as server, session(server) as client:
            await client.until(lambda: len(client.heard(Keepalive)) >= 2)
            assert client.heard(Keepalive)[0].server_time_us > 10**15

    run(test())


def test_a_silent_client_is_ended_and_feedback_is_a_sign_of_life():
    async def test() -> None:
        async with (
            serving(idle_timeout_s=0.5) as server,
            session(server) as silent,
            session(server) as lively,
        ):
            for _ in range(10):
                await lively.send(Feedback())
                await asyncio.sleep(0.1)
            assert await silent.over() is grpc.StatusCode.OK
            assert silent.ended is not None
            assert silent.ended.reason is EndReason.IDLE
            assert lively.status is None

    run(test())


def test_a_fault_of_the_renderer_fails_its_chunk_alone():
    async def test() -> None:
        slow = SlowPipeline()
        slow.faults = [None, RuntimeError("out of memory"), None]
        async with serving(slow) as server, session(server) as client:
            sent = frames(FIRST + LATER + FIRST)
            for begin, end in ((0, FIRST), (FIRST, FIRST + LATER), (FIRST + LATER, len(sent))):
                await client.send(*sent[begin:end])
                await client.answers(end)
            assert client.ids(FailedFrame) == [*range(FIRST, FIRST + LATER)]
            coarse = images(len(sent))
            begun_anew = direct(np.concatenate([coarse[:FIRST], coarse[-FIRST:]]), resets=(FIRST,))
            found = client.pictures()
            assert np.array_equal(found[len(sent) - 1], begun_anew[-1])

    run(test())


def test_a_fault_of_the_key_value_write_begins_anew():
    async def test() -> None:
        slow = SlowPipeline()
        slow.write_faults = [RuntimeError("out of memory")]
        async with serving(slow) as server, session(server) as client:
            sent = frames(2 * FIRST)
            await client.send(*sent[:FIRST])
            await client.answers(FIRST)
            await asyncio.sleep(0.2)
            await client.send(*sent[FIRST:])
            replies = await client.answers(2 * FIRST)
            assert all(isinstance(one, RenderedFrame) for one in replies)

    run(test())


def test_a_renderer_that_keeps_failing_ends_the_session():
    async def test() -> None:
        slow = SlowPipeline()
        slow.faults = [RuntimeError("broken")] * 10
        async with serving(slow) as server, session(server) as client:
            await client.send(*frames(4 * FIRST - 1))
            assert await client.over() is grpc.StatusCode.OK
            assert client.ended is not None
            assert client.ended.reason is EndReason.FAULT
            assert not client.ended.resumable
            numbers = client.ended.statistics
            assert numbers.frames_failed == 3 * FIRST
            assert numbers.frames_received == numbers.frames_failed + numbers.frames_dropped
        async with serving(slow) as server, session(server) as client:
            slow.faults.clear()
            await client.send(*frames(FIRST))
            assert isinstance((await client.answers(FIRST))[0], RenderedFrame)

    run(test())
