"""A NaN anywhere in a chunk: found, answered as failed, forgotten; a renderer of nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
import torch
from grpc_health.v1 import health_pb2, health_pb2_grpc

from c2r.wire import FailedFrame, RenderedFrame
from c2r.wire.events import EndReason, SessionWarning, WarningCode
from runtime.graphs.graphed_pipeline import GraphedPipeline
from runtime.pipeline.finite import NotFiniteError, all_finite, check_finite
from runtime.pipeline.offline import render_offline
from runtime.pipeline.pipeline import Pipeline
from tests.debug_networks import debug_networks
from tests.runtime.bare_client import session
from tests.runtime.serving import (
    FIRST,
    LATER,
    SlowPipeline,
    direct,
    frames,
    images,
    run,
    serving,
    until,
)

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVING = health_pb2.HealthCheckResponse.SERVING


def test_the_flag():
    clean, decoded = torch.randn(1, 2, 3), torch.rand(1, 2, 3)
    check_finite(all_finite(clean, decoded))
    for bad in (math.nan, math.inf, -math.inf):
        for side in (clean, decoded):
            broken = side.clone()
            broken[0, 1, 2] = bad
            pair = (broken, decoded) if side is clean else (clean, broken)
            with pytest.raises(NotFiniteError, match="NaN"):
                check_finite(all_finite(*pair))


def bad_weight(pipeline: Pipeline, state: Any) -> None:
    next(iter(pipeline.networks.dit.parameters())).data.view(-1)[0] = math.nan


def bad_decoder(pipeline: Pipeline, state: Any) -> None:
    list(pipeline.networks.vae.parameters())[-1].data.view(-1)[0] = math.nan


def bad_cache(pipeline: Pipeline, state: Any) -> None:
    cache = pipeline.buffers.cache if isinstance(pipeline, GraphedPipeline) else state.stream.cache
    cache.values[:, :, :1] = math.nan


def after_a_reset(pipeline: Pipeline) -> np.ndarray:
    """The first chunk of a stream that was reset after a chunk, no number spoiled."""
    state, text = pipeline.open(5), pipeline.text(pipeline.prompt("noon"))
    pipeline.finalize(state, pipeline.render(state, images(FIRST), text))
    state.reset()
    return np.array(pipeline.render(state, images(FIRST), text).frames)


@pytest.mark.parametrize("kind", [Pipeline, GraphedPipeline])
@pytest.mark.parametrize("spoil", [bad_weight, bad_decoder, bad_cache])
def test_what_is_not_finite_is_found_and_leaves_with_a_reset(kind, spoil: Callable[..., None]):
    pipeline = kind(debug_networks())
    coarse, expected = images(FIRST + LATER), after_a_reset(pipeline)
    state, text = pipeline.open(5), pipeline.text(pipeline.prompt("noon"))
    pipeline.finalize(state, pipeline.render(state, coarse[:FIRST], text))
    spoil(pipeline, state)
    with pytest.raises(NotFiniteError):
        pipeline.render(state, coarse[FIRST:], text)
    state.reset()
    if spoil is bad_cache:
        again = pipeline.render(state, coarse[:FIRST], text)
        assert np.array_equal(again.frames, expected), "nothing of it is left in the caches"


def test_a_whole_clip_is_checked_too():
    pipeline = Pipeline(debug_networks())
    bad_decoder(pipeline, None)
    with pytest.raises(NotFiniteError):
        render_offline(pipeline, images(5), prompt="noon")


class Poisoned(SlowPipeline):
    """Decodes NaN as often as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.poison = 0
        decode = self.stages.vae

        def vae(*given: Any) -> Any:
            decoded, state = decode(*given)
            self.poison -= 1
            return (decoded * math.nan if self.poison >= 0 else decoded), state

        self.stages = type(self.stages)(**{**vars(self.stages), "vae": vae})


def test_one_such_chunk_fails_with_its_reason_and_the_stream_is_reset():
    async def test() -> None:
        renderer = Poisoned()
        async with serving(renderer) as server, session(server) as client:
            sent = frames(FIRST + LATER + FIRST)
            await client.render(sent[:FIRST])
            renderer.poison = 1
            await client.render(sent[FIRST : FIRST + LATER])
            failed = [one for one in client.replies if isinstance(one, FailedFrame)]
            assert [one.frame_id for one in failed] == [*range(FIRST, FIRST + LATER)]
            assert all("not finite" in one.fault.message for one in failed)
            await client.until(
                lambda: WarningCode.RESTARTED in [one.code for one in client.heard(SessionWarning)]
            )
            await client.render(sent[FIRST + LATER :])
            coarse = images(len(sent))
            expected = direct(np.concatenate([coarse[:FIRST], coarse[-FIRST:]]), resets=(FIRST,))
            assert np.array_equal(client.frames()[len(sent) - 1], expected[-1])

    run(test())


def test_when_every_session_is_given_up_health_says_so():
    async def test() -> None:
        renderer = Poisoned()

        async def health(server: Any) -> Any:
            async with grpc.aio.insecure_channel(server.address) as channel:
                stub: Any = health_pb2_grpc.HealthStub(channel)
                return (await stub.Check(health_pb2.HealthCheckRequest())).status

        async def give_up(server: Any) -> None:
            async with session(server) as client:
                renderer.poison = 3
                await client.send(*frames(3 * FIRST))
                assert await client.over() is grpc.StatusCode.INTERNAL
                assert client.ended is not None
                assert client.ended.reason is EndReason.FAULT
                assert len(client.ids(FailedFrame)) == 3 * FIRST

        async with serving(renderer) as server:
            await give_up(server)
            assert await health(server) == SERVING, "one session alone"
            async with session(server) as fine:
                renderer.poison = 0
                await fine.render(frames(FIRST))
                await give_up(server)
                assert await health(server) == SERVING, "another one renders"
            await until(lambda: not server.admission.active)
            await give_up(server)
            await give_up(server)
            assert await health(server) == NOT_SERVING
            renderer.poison = 0
            async with session(server) as client:
                await client.render(frames(FIRST))
                assert client.ids(RenderedFrame)
            await until(lambda: not server.admission.active)
            assert await health(server) == SERVING

    run(test())
