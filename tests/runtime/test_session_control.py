"""Prompt, strength and seed in mid-stream: from which frame on, and what is rendered."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch

from c2r.wire import RenderedFrame
from c2r.wire.events import (
    ControlAck,
    ControlChange,
    EndRequest,
    SessionWarning,
    WarningCode,
)
from runtime.core import RenderParameters
from runtime.session.session import Session
from tests.runtime.bare_client import Client, same, session
from tests.runtime.serving import (
    FIRST,
    LATER,
    SlowPipeline,
    direct,
    frames,
    images,
    pipeline,
    received,
    run,
    serving,
    until,
)


def changed(
    changes: list[ControlChange], later: int = 2, size: int = LATER
) -> tuple[Client, np.ndarray]:
    """A session that sends the changes while its first chunk is rendered, then `later` chunks of
    `size` frames.
    """
    coarse = images(FIRST + later * size)
    clients = []

    async def test() -> None:
        renderer = SlowPipeline(held=True)
        async with serving(renderer) as server, session(server) as client:
            clients.append(client)
            sent = frames(len(coarse))
            await client.send(*sent[:FIRST])
            await until(lambda: renderer.started)
            await client.send(*changes, *sent[FIRST : FIRST + size])
            await received(server, FIRST + size)
            renderer.release_all()
            await client.answers(FIRST + size)
            await client.render(sent[FIRST + size :])

    run(test())
    return clients[0], coarse


def by_hand(coarse: np.ndarray, chunks: list[dict[str, Any]]) -> np.ndarray:
    """The pipeline called with an embedding, a strength and a seed of its own for each chunk."""
    renderer, parts, done = pipeline(), [], 0
    state = renderer.open(5)
    for params in chunks:
        count = renderer.frames_wanted(state)
        state.stream.seeds = (params.get("seed", 5),)
        embedding = params.get("embedding", renderer.prompt("noon"))
        text, strength = renderer.text(embedding), params.get("strength", 1.0)
        rendered = renderer.render(state, coarse[done : done + count], text, strength)
        renderer.finalize(state, rendered)
        parts.append(rendered.frames)
        done += count
    return np.concatenate(parts)


def test_a_change_takes_effect_on_the_frame_it_is_acknowledged_with():
    change = ControlChange(7, prompt="night", strength=0.25, seed=9, blend_chunks=1)
    client, coarse = changed([change])
    assert client.heard(ControlAck) == [ControlAck(7, frame_id=FIRST, blend_chunks=1)]
    night = {"embedding": pipeline().prompt("night"), "strength": 0.25, "seed": 9}
    expected = by_hand(coarse, [{}, night, night])
    assert same(client, expected)
    assert not np.array_equal(expected[FIRST], direct(coarse)[FIRST]), "nothing changed"


def test_a_prompt_is_blended_over_the_chunks_that_were_said():
    client, coarse = changed([ControlChange(1, prompt="night", blend_chunks=4)], later=5)
    assert client.heard(ControlAck) == [ControlAck(1, frame_id=FIRST, blend_chunks=4)]
    noon, night = pipeline().prompt("noon"), pipeline().prompt("night")
    steps = [torch.lerp(noon, night, share) for share in (0.25, 0.5, 0.75)]
    chunks = [{"embedding": one} for one in (noon, *steps, night, night)]
    assert same(client, by_hand(coarse, chunks))


def test_a_prompt_that_is_not_blended_in_resets_the_stream():
    """The window was rendered with the old prompt, and would outweigh the new one."""
    client, coarse = changed([ControlChange(1, prompt="night")], later=1, size=FIRST)
    assert client.heard(ControlAck) == [ControlAck(1, frame_id=FIRST, blend_chunks=0)]
    renderer = pipeline()
    state = renderer.open(5)
    noon, night = (renderer.text(renderer.prompt(one)) for one in ("noon", "night"))
    renderer.finalize(state, renderer.render(state, coarse[:FIRST], noon))
    state.reset()
    alone = renderer.render(state, coarse[FIRST:], night).frames
    shown = client.frames()
    assert np.array_equal(np.stack([shown[FIRST + place] for place in range(FIRST)]), alone)


def test_the_same_prompt_again_leaves_the_stream_alone():
    client, coarse = changed([ControlChange(1, prompt="noon", strength=1.0)])
    assert client.heard(ControlAck) == [ControlAck(1, frame_id=FIRST, blend_chunks=1)]
    assert same(client, by_hand(coarse, [{}, {}, {}]))


def requested(rendered: str | None, *prompts: tuple[str, int]) -> Session:
    """A session, rendered with one prompt, that others were requested of, each with its blend."""
    session = Session(cast(Any, None), RenderParameters(prompt=rendered or "noon"), 0.0)
    session.rendered_prompt = rendered
    for prompt, blend_chunks in prompts:
        session.update_params(RenderParameters(prompt=prompt, blend_chunks=blend_chunks))
    return session


@pytest.mark.parametrize(
    ("rendered", "prompts", "resets", "blend_chunks"),
    [
        ("noon", [("night", 0)], True, 0),
        ("noon", [("night", 4)], False, 4),
        ("noon", [("noon", 0)], False, 1),  # as it was
        (None, [("night", 0)], False, 0),  # nothing was rendered with another prompt
        ("noon", [("night", 4), ("noon", 0)], False, 0),  # taken back before anything was rendered
        ("noon", [("night", 0), ("noon", 0)], False, 0),
        ("noon", [("night", 0), ("snow", 4)], True, 0),  # the past is lost: nothing to blend from
        ("noon", [("night", 4), ("night", 0)], False, 4),  # asked for again, it blends as it would
        ("noon", [("night", 4), ("snow", 0)], True, 0),
    ],
)
def test_when_a_new_prompt_resets_the_stream(rendered, prompts, resets, blend_chunks):
    found = requested(rendered, *prompts)
    assert found.needs_reset == resets
    assert (found.params.prompt, found.params.blend_chunks) == (prompts[-1][0], blend_chunks)


def test_changes_before_one_chunk_add_up_and_are_each_acknowledged():
    changes = [
        ControlChange(1, prompt="night", blend_chunks=1),
        ControlChange(2, strength=0.5),
        ControlChange(3, prompt="snow", blend_chunks=1),
    ]
    client, coarse = changed(changes, later=1)
    acks = client.heard(ControlAck)
    assert [(ack.control_id, ack.frame_id) for ack in acks] == [(1, FIRST), (2, FIRST), (3, FIRST)]
    snow = {"embedding": pipeline().prompt("snow"), "strength": 0.5}
    assert same(client, by_hand(coarse, [{}, snow]))


def test_a_bad_change_is_refused_and_changes_nothing():
    async def test() -> None:
        async with serving(max_prompt_bytes=100) as server, session(server) as client:
            bad = ControlChange(4, prompt="x" * 101)
            await client.send(bad, *frames(FIRST))
            await client.answers(FIRST)
            (ack,) = client.heard(ControlAck)
            assert ack.control_id == 4
            assert ack.refused is not None
            assert "100" in ack.refused.message
            assert same(client, direct(images(FIRST)))

    run(test())


def test_a_change_without_a_chunk_to_come_is_refused():
    async def test() -> None:
        async with serving() as server, session(server) as client:
            await client.send(ControlChange(1, strength=0.5), EndRequest())
            await client.over()
            (ack,) = client.heard(ControlAck)
            assert ack.frame_id is None
            assert ack.refused is not None

    run(test())


def test_a_negative_prompt_is_said_to_have_no_effect():
    async def test() -> None:
        async with serving() as server, session(server, negative_prompt="blurry") as client:
            await client.send(ControlChange(1, negative_prompt="ugly"), *frames(FIRST))
            await client.answers(FIRST)
            codes = [one.code for one in client.heard(SessionWarning)]
            assert codes.count(WarningCode.NO_EFFECT) == 1
            assert client.heard(ControlAck)[0].frame_id == 0
            assert same(client, direct(images(FIRST)))

    run(test())


@pytest.mark.parametrize("seed", [0, 2**63 - 1, 2**63, 2**64 - 1])
def test_any_seed_renders_and_is_echoed(seed):
    async def test() -> None:
        async with serving() as server, session(server, seed=seed) as client:
            assert client.accepted is not None
            assert client.accepted.seed == seed
            await client.send(*frames(FIRST))
            assert all(isinstance(one, RenderedFrame) for one in await client.answers(FIRST))

    run(test())


def test_a_seed_that_the_server_chose_repeats_the_frames():
    async def test() -> None:
        async with serving() as server:
            async with session(server, seed=None) as one, session(server, seed=None) as two:
                assert one.accepted is not None
                assert two.accepted is not None
                assert one.accepted.seed != two.accepted.seed
                await one.send(*frames(FIRST))
                await one.answers(FIRST)
            async with session(server, seed=one.accepted.seed) as again:
                await again.send(*frames(FIRST))
                await again.answers(FIRST)
                assert same(again, np.stack([one.frames()[place] for place in range(FIRST)]))

    run(test())
