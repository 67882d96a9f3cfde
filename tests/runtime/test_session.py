"""One session over real gRPC: what it renders, drops, acknowledges and says at the end."""

from __future__ import annotations

import math
from typing import Any

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
from runtime.session.session import Session
from tests.runtime.bare_client import Client, same, session
from tests.runtime.serving import (
    FIRST,
    LATER,
    SlowPipeline,
    direct,
    frames,
    images,
    only_session,
    received,
    run,
    serving,
    stopped_clock,
    until,
)


def test_the_server_gives_what_the_pipeline_gives():
    async def test() -> None:
        async with serving() as server, session(server) as client:
            await client.render(frames(FIRST + 2 * LATER))
            expected = direct(images(FIRST + 2 * LATER))
            assert same(client, expected)
            assert client.ids(RenderedFrame) == sorted(client.ids(RenderedFrame))
            assert len(np.unique(expected[-1])) > 8, "flat frames would show nothing"

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
        renderer = SlowPipeline(held=True)
        async with serving(renderer) as server, session(server) as client:
            await client.send(*frames(FIRST + 3), EndRequest(discard_pending=True))
            await client.answers(3)  # the dropped ones, while the chunk is being rendered
            renderer.release()
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
        renderer = SlowPipeline(held=True)
        async with serving(renderer) as server, session(server) as client:
            last, late = frames(2)
            await client.send(last, EndRequest(), late)
            await client.answers(1)
            renderer.release()
            await client.over()
            assert client.ids(RenderedFrame) == [0]
            assert client.ids(FailedFrame) == [1]

    run(test())


def test_a_reset_starts_a_first_chunk_and_drops_what_waits():
    async def test() -> None:
        async with serving() as server, session(server) as client:
            coarse = images(FIRST + 3 + FIRST + LATER)
            cut = FIRST + 3
            await client.render(frames(len(coarse), resets=(cut,)))
            dropped = [one for one in client.replies if isinstance(one, DroppedFrame)]
            assert [one.frame_id for one in dropped] == [FIRST, FIRST + 1, FIRST + 2]
            assert {one.reason for one in dropped} == {DropReason.RESET}
            kept = np.concatenate([coarse[:FIRST], coarse[cut:]])
            expected = direct(kept, resets=(FIRST,))
            rendered = client.frames()
            for place, one in enumerate([*range(FIRST), *range(cut, len(coarse))]):
                assert np.array_equal(rendered[one], expected[place])

    run(test())


def at_sixty_fps(count: int, chunk_s: float) -> Client:
    """A client that never waits and a renderer that takes `chunk_s` a chunk, on the test's clock.

    `total_ms` of the replies is on that clock too.
    """
    clients = []

    async def test() -> None:
        renderer = SlowPipeline(held=True)
        with stopped_clock() as clock:
            async with serving(renderer) as server, session(server, fps=60) as client:
                clients.append(client)
                served, begun_s, due_s = only_session(server), clock.now_s, math.inf
                for number, frame in enumerate(frames(count)):
                    now_s = begun_s + number / 60
                    while due_s <= now_s:
                        clock.now_s = due_s
                        await one_chunk(renderer, served, client)
                        due_s = due_s + chunk_s if busy(served) else math.inf
                    clock.now_s = now_s
                    await client.send(frame)
                    await received(server, number + 1)
                    if due_s == math.inf and busy(served):
                        due_s = now_s + chunk_s
                renderer.release_all()
                await client.send(EndRequest())
                assert await client.over() is grpc.StatusCode.OK

    run(test())
    return clients[0]


def busy(served: Session) -> bool:
    stream: Any = served.stream
    return bool(stream.chunks.busy)


async def one_chunk(renderer: SlowPipeline, served: Session, client: Client) -> None:
    """Have the chunk that is held rendered, and wait until all of it has arrived."""
    chunks = served.stats.chunks + 1
    renderer.release()
    await until(lambda: served.stats.chunks == chunks)
    await client.until(lambda: len(client.frames()) == FIRST + (chunks - 1) * LATER)


def test_latency_stays_bounded_when_frames_come_too_fast():
    chunk_s, count = 0.3, 240
    client = at_sixty_fps(count, chunk_s)
    assert sorted(one.frame_id for one in client.replies) == [*range(count)], "each, once"
    rendered, dropped = client.ids(RenderedFrame), client.ids(DroppedFrame)
    assert rendered == sorted(rendered)
    total_ms = [one.stages.total_ms for one in client.replies if isinstance(one, RenderedFrame)]
    assert np.percentile(total_ms, 95) < 1000 * (2 * chunk_s + 0.02)
    assert len(dropped) > len(rendered) > count / 60 / chunk_s * LATER * 0.9
    assert client.ended is not None
    numbers = client.ended.statistics
    assert numbers.frames_received == count == numbers.frames_rendered + numbers.frames_dropped
    assert (numbers.frames_rendered, numbers.frames_dropped) == (len(rendered), len(dropped))
    codes = [one.code for one in client.heard(SessionWarning)]
    assert codes.count(WarningCode.SLOW) == 1


def test_a_renderer_that_keeps_up_drops_nothing():
    client = at_sixty_fps(90, chunk_s=0.13)
    assert client.ids(RenderedFrame) == [*range(90)]
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
        with stopped_clock() as clock:
            async with (
                serving(idle_timeout_s=0.5) as server,
                session(server) as silent,
                session(server) as lively,
            ):
                stream: Any = server.admission.active[1].stream
                for _ in range(2):
                    clock.now_s += 0.3
                    await lively.send(Feedback())
                    await until(lambda: stream.reader.last_received_s == clock.now_s)
                assert await silent.over() is grpc.StatusCode.OK
                assert silent.ended is not None
                assert silent.ended.reason is EndReason.IDLE
                assert lively.status is None

    run(test())


def test_a_fault_of_the_renderer_fails_its_chunk_alone():
    async def test() -> None:
        renderer = SlowPipeline()
        renderer.faults = [None, RuntimeError("out of memory"), None]
        async with serving(renderer) as server, session(server) as client:
            sent = frames(FIRST + LATER + FIRST)
            for begin, end in ((0, FIRST), (FIRST, FIRST + LATER), (FIRST + LATER, len(sent))):
                await client.send(*sent[begin:end])
                await client.answers(end)
            assert client.ids(FailedFrame) == [*range(FIRST, FIRST + LATER)]
            coarse = images(len(sent))
            restarted = direct(np.concatenate([coarse[:FIRST], coarse[-FIRST:]]), resets=(FIRST,))
            assert np.array_equal(client.frames()[len(sent) - 1], restarted[-1])

    run(test())


def test_after_a_fault_of_the_key_value_write_the_video_restarts():
    async def test() -> None:
        renderer = SlowPipeline()
        renderer.write_faults = [RuntimeError("out of memory")]
        async with serving(renderer) as server, session(server) as client:
            sent = frames(2 * FIRST)
            await client.send(*sent[:FIRST])
            await client.answers(FIRST)
            await until(lambda: only_session(server).at_start)
            await client.send(*sent[FIRST:])
            replies = await client.answers(2 * FIRST)
            assert all(isinstance(one, RenderedFrame) for one in replies)

    run(test())


def test_a_renderer_that_keeps_failing_ends_the_session():
    async def test() -> None:
        renderer = SlowPipeline()
        renderer.faults = [RuntimeError("broken")] * 10
        async with serving(renderer) as server, session(server) as client:
            await client.send(*frames(4 * FIRST - 1))
            assert await client.over() is grpc.StatusCode.INTERNAL
            assert client.ended is not None
            assert client.ended.reason is EndReason.FAULT
            assert not client.ended.resumable
            numbers = client.ended.statistics
            assert numbers.frames_failed == 3 * FIRST
            assert numbers.frames_received == numbers.frames_failed + numbers.frames_dropped
        async with serving(renderer) as server, session(server) as client:
            renderer.faults.clear()
            await client.send(*frames(FIRST))
            assert isinstance((await client.answers(FIRST))[0], RenderedFrame)

    run(test())
