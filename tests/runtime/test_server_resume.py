"""Sessions that outlive their stream: resumed, taken over, expired, and their memory."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import grpc
import numpy as np
import pytest

from c2r.wire import DroppedFrame, RenderedFrame
from c2r.wire.events import EndReason, EndRequest, Feedback, SessionWarning, WarningCode
from runtime.pipeline.pipeline import Video
from tests.runtime.bare_client import session
from tests.runtime.serving import (
    FIRST,
    LATER,
    SlowPipeline,
    direct,
    emptied,
    frames,
    images,
    only_session,
    parked,
    pipeline,
    received,
    request,
    run,
    serving,
    until,
)


def test_a_session_that_was_cut_off_goes_on():
    async def test() -> None:
        coarse = images(FIRST + 2 * LATER)
        sent = frames(len(coarse))
        async with serving() as server:
            async with session(server) as before:
                await before.render(sent[: FIRST + LATER])
                assert before.accepted is not None
                token = before.accepted.resume_token
            await parked(server)
            asked = request(resume_token=token, seed=None)
            async with session(server, asked) as after:
                assert after.accepted is not None
                assert after.accepted.resumed
                assert after.accepted.session_id == before.accepted.session_id
                assert after.accepted.seed == 5
                await after.render(sent[FIRST + LATER :])
                expected = direct(coarse)
                found = before.frames() | after.frames()
                assert all(np.array_equal(found[one], expected[one]) for one in range(len(sent)))
                chunks = {
                    one.chunk_index for one in after.replies if isinstance(one, RenderedFrame)
                }
                assert chunks == {2}
                await after.send(EndRequest())
                await after.over()
                assert after.ended is not None
                assert after.ended.statistics.frames_rendered == len(sent)
            codes = [one.code for one in after.heard(SessionWarning)]
            assert WarningCode.RESTARTED not in codes

    run(test())


def test_a_session_resumed_with_another_prompt_resets_its_stream():
    """As a change in mid-stream does: its window was rendered with the old prompt."""

    async def test() -> None:
        coarse = images(2 * FIRST + LATER)
        sent = frames(len(coarse))
        async with serving() as server:
            async with session(server) as before:
                await before.render(sent[:FIRST])
                assert before.accepted is not None
                token = before.accepted.resume_token
            await parked(server)
            asked = request(resume_token=token, seed=None, prompt="night")
            async with session(server, asked) as after:
                await after.render(sent[FIRST:])
                shown = after.frames()
        renderer = pipeline()
        state = renderer.open(5)
        noon, night = (renderer.text(renderer.prompt(one)) for one in ("noon", "night"))
        renderer.finalize(state, renderer.render(state, coarse[:FIRST], noon))
        state.reset()  # the noise of what came before is not used again
        rest, parts = coarse[FIRST:], []
        for part in (rest[:FIRST], rest[FIRST:]):
            rendered = renderer.render(state, part, night)
            renderer.finalize(state, rendered)
            parts.append(rendered.frames)
        found = np.stack([shown[number] for number in range(FIRST, len(sent))])
        assert np.array_equal(found, np.concatenate(parts))

    run(test())


def test_a_cut_in_mid_chunk_loses_no_frame_from_the_count():
    async def test() -> None:
        renderer = SlowPipeline(held=True)
        async with serving(renderer) as server:
            async with session(server) as before:
                await before.send(*frames(FIRST + 2))
                await received(server, FIRST + 2)
                assert before.accepted is not None
                token = before.accepted.resume_token
            await parked(server)
            async with session(server, resume_token=token) as after:
                renderer.release_all()
                await after.send(*frames(LATER, first_id=100), EndRequest())
                await after.over()
                assert after.ended is not None
                numbers = after.ended.statistics
                assert numbers.frames_received == FIRST + 2 + LATER
                assert numbers.frames_rendered == LATER
                assert numbers.frames_dropped == FIRST + 2
                assert numbers.chunks == 2, "the chunk that no stream waited for was rendered"

    run(test())


def test_a_living_session_can_be_taken_over():
    async def test() -> None:
        coarse = images(FIRST + LATER)
        sent = frames(len(coarse))
        async with serving(max_sessions=1) as server, session(server) as old:
            await old.render(sent[:FIRST])
            await old.send(*sent[FIRST : FIRST + 2])
            await received(server, FIRST + 2)
            assert old.accepted is not None
            async with session(server, resume_token=old.accepted.resume_token) as new:
                assert new.accepted is not None
                assert new.accepted.resumed
                assert await old.over() is grpc.StatusCode.OK
                assert old.ended is not None
                assert old.ended.reason is EndReason.TAKEN_OVER
                assert not old.ended.resumable
                assert old.ids(DroppedFrame) == [FIRST, FIRST + 1]
                await new.render(sent[FIRST:])
                expected, rendered = direct(coarse), new.frames()
                assert np.array_equal(rendered[len(sent) - 1], expected[-1])
                assert server.admission.slots_taken == 1

    run(test())


@pytest.mark.parametrize("how", ["unknown", "expired", "ended"])
def test_a_token_of_no_living_session_restarts(how):
    async def test() -> None:
        async with serving(resume_grace_s=0.2) as server:
            token = b"nobody knows this one"
            if how != "unknown":
                async with session(server) as before:
                    assert before.accepted is not None
                    token = before.accepted.resume_token
                    if how == "ended":
                        await before.send(EndRequest())
                        await before.over()
                await emptied(server)
            async with session(server, resume_token=token) as after:
                assert after.accepted is not None
                assert not after.accepted.resumed
                assert after.accepted.resume_token != token
                codes = [one.code for one in after.heard(SessionWarning)]
                assert WarningCode.RESTARTED in codes
                await after.render(frames(FIRST))
                assert np.array_equal(after.frames()[0], direct(images(FIRST))[0])

    run(test())


async def cut_off(server: Any, token: bytes, *, says: bool) -> tuple[bool, bytes]:
    """Resume, then break off; whether the session went on, and its token.

    `says`: with a message after `accepted`.
    """
    async with session(server, resume_token=token) as client:
        assert client.accepted is not None
        if says:
            await client.send(Feedback())
            await until(lambda: not only_session(server).old_token)
        found = client.accepted.resumed, client.accepted.resume_token
    await parked(server)
    return found


def test_a_token_is_good_once():
    async def test() -> None:
        async with serving() as server:
            _, first = await cut_off(server, b"", says=True)
            resumed, second = await cut_off(server, first, says=True)
            assert resumed
            assert second != first
            resumed, _ = await cut_off(server, first, says=True)
            assert not resumed, "it was replaced"
            resumed, _ = await cut_off(server, second, says=True)
            assert resumed

    run(test())


def test_a_token_stays_good_until_the_client_has_the_next():
    async def test() -> None:
        async with serving() as server:
            _, first = await cut_off(server, b"", says=True)
            for _ in range(3):  # `accepted` is lost each time
                resumed, other = await cut_off(server, first, says=False)
                assert resumed
            resumed, last = await cut_off(server, other, says=True)
            assert resumed, "had it arrived, it would be good too"
            for stale in (first, other):
                resumed, _ = await cut_off(server, stale, says=True)
                assert not resumed
            resumed, _ = await cut_off(server, last, says=True)
            assert resumed

    run(test())


def test_without_a_grace_period_there_is_no_token():
    async def test() -> None:
        async with serving(resume_grace_s=0) as server:
            async with session(server) as client:
                assert client.accepted is not None
                assert client.accepted.resume_token == b""
            await emptied(server)

    run(test())


def test_a_parked_session_gives_way_to_a_new_one():
    async def test() -> None:
        async with serving(max_sessions=1) as server:
            async with session(server) as before:
                assert before.accepted is not None
                token = before.accepted.resume_token
            await parked(server)
            async with session(server) as other:
                assert server.admission.slots_taken == 1
                await other.render(frames(FIRST))
            await parked(server)
            async with session(server, resume_token=token) as after:
                assert after.accepted is not None
                assert not after.accepted.resumed

    run(test())


def test_memory_returns_when_sessions_end():
    async def test() -> None:
        states: list[weakref.ref[Any]] = []
        whole = Video.__init__

        def noting(self: Video, *arguments: Any) -> None:
            whole(self, *arguments)
            states.append(weakref.ref(self.state))

        with pytest.MonkeyPatch.context() as patch:
            async with serving(resume_grace_s=0.1) as server:
                patch.setattr(Video, "__init__", noting)
                for _ in range(3):
                    async with session(server) as one, session(server) as two:
                        await one.render(frames(FIRST))
                        await two.send(*frames(FIRST), EndRequest())
                        await two.over()
                await emptied(server)
                assert len(states) == 6
                # Freed on the render thread, a little after their slots.
                await until(lambda: gc.collect() >= 0 and all(one() is None for one in states))

    run(test())
