"""What one client may make the server keep: changes without frames, replies that nobody reads."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from c2r.wire import pack_request
from c2r.wire.events import ControlAck, ControlChange
from runtime.session.changes import FIELDS, MOST, PendingChanges
from runtime.session.session import RefusedError, Session
from runtime.session.stream import SessionStream
from tests.runtime.bare_client import session
from tests.runtime.serving import (
    FIRST,
    SETTINGS,
    frames,
    images,
    only_session,
    pipeline,
    run,
    serving,
)


@pytest.mark.parametrize("seed", range(4))
def test_only_changes_without_effect_are_displaced(seed):
    draw, changes = random.Random(seed), PendingChanges()
    values: dict[str, Any] = {"prompt": "x", "negative_prompt": "y", "strength": 1.0, "seed": 3}
    last: dict[str, int] = {}
    gone = set()
    for number in range(1, 1000):
        names = draw.sample(FIELDS[2:] if number > 20 else FIELDS, draw.randint(1, 2))
        last |= dict.fromkeys(names, number)
        change = ControlChange(number, **{name: values[name] for name in names})
        displaced = changes.add(change, 1)
        if displaced is not None:
            assert displaced.control_id not in last.values(), "it had an effect"
            gone.add(displaced.control_id)
    left = [one.control_id for one in changes.clear()]
    assert len(left) == MOST
    assert left == sorted(left)
    assert gone | {*left} == {*range(1, 1000)}
    assert not gone & {*left}


def test_two_thousand_changes_without_a_frame_are_bounded_and_acknowledged():
    count = 2000

    async def test() -> None:
        async with serving() as server, session(server) as client:
            await client.send(ControlChange(1, prompt="night"))
            for number in range(2, count + 1):
                await client.send(ControlChange(number, strength=number / count))
            await client.until(lambda: len(client.heard(ControlAck)) == count - MOST)
            assert only_session(server).params.strength == 1.0
            await client.render(frames(FIRST))
            acks = {one.control_id: one for one in client.heard(ControlAck)}
            assert sorted(acks) == [*range(1, count + 1)]
            assert len(client.heard(ControlAck)) == count
            taken = [number for number, ack in acks.items() if ack.refused is None]
            assert taken == [1, *range(count - MOST + 2, count + 1)]
            assert all(acks[number].frame_id == 0 for number in taken)
            renderer = pipeline()
            state, text = renderer.open(5), renderer.text(renderer.prompt("night"))
            expected = renderer.render(state, images(FIRST), text, 1.0).frames
            assert np.array_equal(client.frames()[0], expected[0])

    run(test())


class DeafPipe:
    """A client that sends bad changes without end, and reads nothing."""

    def __init__(self) -> None:
        self.reads = 0

    async def read(self) -> bytes | None:
        self.reads += 1
        await asyncio.sleep(0)
        return pack_request(ControlChange(self.reads, prompt="x" * 5000)).SerializeToString()

    async def write(self, data: bytes) -> None:
        await asyncio.Event().wait()


def test_replies_to_a_client_that_does_not_read_are_bounded():
    async def test() -> None:
        async with serving() as server, session(server) as client:
            accepted, served = client.accepted, only_session(server)
            assert accepted is not None
            deaf, settings = DeafPipe(), replace(SETTINGS, idle_timeout_s=1.0, flush_s=0.1)
            other = Session(served.video, served.params, 0.0)
            unused: Any = None
            with ThreadPoolExecutor(1) as pool:
                stream = SessionStream(other, accepted, 0, deaf, unused, pool, settings)
                with pytest.raises(RefusedError, match="does not read"):
                    await stream.run([])
            window = accepted.max_in_flight_chunks * accepted.chunk_frames
            assert window < deaf.reads <= 2 * window + 2

    run(test())
