"""The client against a well-behaved server: frames out, outcomes in, in order and in time."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import numpy as np
import pytest

from c2r.wire import CoarseFrame, FrameReply, RenderedFrame
from engine_bridge.client import (
    AsyncRenderClient,
    RenderClient,
    State,
    Status,
)
from tests.engine_bridge.client_rig import (
    HANG_S,
    ClientEvents,
    assert_each_once,
    client_of,
    frame,
    frames,
    kinds,
    options,
    read,
    send_paced,
    until,
)
from tests.engine_bridge.mini_server import MiniServer, Script


def test_every_frame_comes_back_rendered(server: MiniServer) -> None:
    with client_of(server) as client:
        client.wait_streaming()
        outcomes = send_paced(client, frames(41))
        outcomes += read(client, 41 - len(outcomes))
    assert_each_once(outcomes, range(41))
    for outcome in outcomes:
        assert isinstance(outcome, RenderedFrame)
        assert (outcome.rgb == 255 - outcome.frame_id).all()
    assert client.status.state is State.CLOSED


def test_outcomes_go_to_a_callback_in_order(server: MiniServer) -> None:
    outcomes: list[FrameReply] = []
    with client_of(server, {"on_result": outcomes.append}) as client:
        client.wait_streaming()
        for one in frames(60):
            client.submit(one)
            time.sleep(0.001)
        with pytest.raises(RuntimeError, match="on_result"):
            client.poll()
    assert_each_once(outcomes, range(60))


def test_results_wait_for_each_outcome_and_end_with_the_client(server: MiniServer) -> None:
    client = client_of(server)
    with client:
        client.wait_streaming()
        for one in frames(5):
            client.submit(one)
        first = [next(client.results()) for _ in range(3)]
        for one in frames(3, first=5):
            client.submit(one)
    rest = list(client.results())
    assert_each_once(first + rest, range(8))


def test_the_asyncio_form_streams_with_its_own_iterator(server: MiniServer) -> None:
    async def play() -> list[FrameReply]:
        outcomes: list[FrameReply] = []
        async with AsyncRenderClient(server.address, options()) as client:
            await client.wait_streaming()

            async def collect() -> None:
                outcomes.extend([outcome async for outcome in client.results()])

            reader = asyncio.create_task(collect())
            for one in frames(30):
                while not client.has_room:
                    await asyncio.sleep(0.002)
                client.submit(one)
            await client.close()
            await asyncio.wait_for(reader, HANG_S)
        return outcomes

    outcomes = asyncio.run(play())
    assert_each_once(outcomes, range(30))
    assert kinds(outcomes) == {"rendered": 30}


def test_closing_renders_what_was_submitted(server: MiniServer) -> None:
    server.script.delay_s = 0.02
    with client_of(server) as client:
        client.wait_streaming()
        for one in frames(7):
            client.submit(one)
    assert kinds(client.results()) == {"rendered": 7}
    assert [end.discard_pending for end in server.seen.ends] == [False]


def test_closing_with_discard_drops_what_was_submitted(server: MiniServer) -> None:
    server.script.chunk_latents = 3
    client = client_of(server)
    client.start()
    client.wait_streaming()
    for one in frames(5):
        client.submit(one)
    until(lambda: len(server.seen.frames) == 5)
    client.close(discard=True)
    assert kinds(client.results()) == {"ended": 5}
    assert [end.discard_pending for end in server.seen.ends] == [True]


def test_newest_wins_and_latency_stays_bounded_before_a_slow_server() -> None:
    """Six frames are captured for every chunk of four; time is counted in captured frames."""
    captured, ages, per_chunk = 0, [], 6
    events = ClientEvents()

    def note(outcome: FrameReply) -> None:
        events.outcomes.append(outcome)
        if isinstance(outcome, RenderedFrame):
            ages.append(captured - outcome.frame_id)

    def has_rendered(count: int) -> bool:
        return len(ages) == count

    with (
        MiniServer(Script(by_hand=True)) as server,
        client_of(server, {"on_result": note}) as client,
    ):
        granted = client.wait_streaming()
        window = granted.max_in_flight_chunks * granted.chunk_frames
        rendered = 0
        for chunk in range(20):
            for one in frames(per_chunk, first=captured):
                client.submit(one)
                captured += 1
            until(lambda: server.seen.frames and client._client._record.account.waiting <= 1)
            rendered += granted.chunk_frames if chunk else granted.first_chunk_frames
            server.render(1)
            until(partial(has_rendered, rendered))
    assert_each_once(events.outcomes, range(captured))
    numbers = kinds(events.outcomes)
    assert numbers["unsent"] > 10
    assert numbers["rendered"] > 40
    assert server.seen.most_unanswered <= window
    # A window in flight takes two chunks, and one frame more waits for room.
    assert max(ages) <= 3 * per_chunk
    first, last = ages[5 : len(ages) // 2], ages[len(ages) // 2 :]
    assert np.mean(last) < np.mean(first) + per_chunk, "latency does not grow"


def test_the_window_follows_the_server(server: MiniServer) -> None:
    server.script.window = 3
    server.script.chunk_latents = 3
    with client_of(server) as client:
        client.wait_streaming()
        until(lambda: client._client._record.account._window == 3)
        for one in frames(20):
            client.submit(one)
            time.sleep(0.002)
        until(lambda: len(server.seen.frames) == 3)
        time.sleep(0.05)
        assert len(server.seen.frames) == 3
        client.close(discard=True)
    assert kinds(client.results()) == {"ended": 3, "unsent": 17}


def test_wrong_frames_are_refused_where_they_are_made(server: MiniServer) -> None:
    with client_of(server) as client:
        with pytest.raises(ValueError, match="64x32"):
            client.submit(CoarseFrame(0, 0, np.zeros((8, 8, 3), np.uint8)))
        client.submit(frame(5))
        with pytest.raises(ValueError, match="ids must go up"):
            client.submit(frame(5))
    with pytest.raises(RuntimeError, match="closed"):
        client.submit(frame(6))
    with pytest.raises(RuntimeError, match="not started"):
        client_of(server).submit(frame(0))


def test_a_callback_that_raises_changes_nothing_else(server: MiniServer) -> None:
    outcomes: list[FrameReply] = []

    def fragile(outcome: FrameReply) -> None:
        outcomes.append(outcome)
        raise KeyError("a bug in the game")

    def broken(_: Status) -> None:
        raise ZeroDivisionError

    with client_of(server, {"on_result": fragile, "on_status": broken}) as client:
        client.wait_streaming()
        for one in frames(9):
            client.submit(one)
            time.sleep(0.002)
    assert_each_once(outcomes, range(9))
    assert client.statistics.callback_errors >= 9 + 2
    assert client.status.state is State.CLOSED


def test_submitting_never_waits_for_the_network(server: MiniServer) -> None:
    with client_of(server) as client:
        client.wait_streaming()
        server.script.mute = True
        sent = list(frames(1000))
        for one in sent:
            client.submit(one)
        assert client.statistics.counts.rendered == 0, "the server answers none of them"
        client.close(discard=True, timeout_s=0.2)
    assert_each_once(client.results(), range(1000))


def test_a_client_may_not_be_started_twice(server: MiniServer) -> None:
    client: RenderClient = client_of(server)
    with client, pytest.raises(RuntimeError, match="started before"):
        client.start()
    with pytest.raises(RuntimeError, match="started before"):
        client.start()
