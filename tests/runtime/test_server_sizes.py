"""Sizes of a server whose decoder is guided: its output size, and the DiT's."""

from __future__ import annotations

import grpc
import numpy as np
import pytest

from c2r.wire import CoarseFrame
from runtime.pipeline.pipeline import Pipeline
from tests.debug_networks import guided_networks
from tests.runtime.bare_client import session, stream
from tests.runtime.serving import FIRST, images, request, run, serving
from tests.runtime.test_server import info


@pytest.fixture(scope="module")
def guided() -> Pipeline:
    return Pipeline(guided_networks())


def test_a_server_offers_its_output_size(guided):
    async def test() -> None:
        async with serving(guided) as server:
            told = await info(server.address)
            assert (told.width, told.height) == (128, 96)
            assert (told.limits.max_width, told.limits.max_height) == (128, 96)

    run(test())


@pytest.mark.parametrize("scale", [1, 2])
def test_frames_are_answered_at_their_own_size(guided, scale):
    """At the DiT's size, with the means of the pixels of the output size."""
    small = images(FIRST)
    large = small.repeat(2, axis=1).repeat(2, axis=2)
    state, text = guided.open(5), guided.text(guided.prompt("noon"))
    expected = guided.render(state, large, text).frames
    if scale == 1:
        parts = expected.reshape(FIRST, 48, 2, 64, 2, 3)
        expected = np.round(parts.mean(axis=(2, 4))).astype(np.uint8)

    async def test() -> None:
        async with serving(guided) as server:
            asked = request(width=64 * scale, height=48 * scale)
            async with session(server, asked) as client:
                assert client.accepted is not None
                assert (client.accepted.width, client.accepted.height) == (64 * scale, 48 * scale)
                sent = large if scale == 2 else small
                await client.render([CoarseFrame(i, i, rgb) for i, rgb in enumerate(sent)])
                assert np.array_equal(np.stack([*client.frames().values()]), expected)

    run(test())


def test_another_size_is_refused_with_what_to_change(guided):
    async def test() -> None:
        async with serving(guided) as server, stream(server) as client:
            await client.send(request(width=256, height=192))
            assert await client.over() is grpc.StatusCode.INVALID_ARGUMENT
            assert "renders 128x96" in client.details
            assert "--width 128 --height 96" in client.details

    run(test())
