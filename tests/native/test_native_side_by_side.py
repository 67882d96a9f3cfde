"""Both engine-side clients against the real server: the same frames, the same pictures."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the real server renders with PyTorch")

from c2r.wire import CoarseFrame, RenderedFrame
from c2r.wire.formats import Codec, CodecLists
from engine_bridge.client.endpoint import Endpoint, endpoint_from_files
from engine_bridge.client.options import ClientOptions
from engine_bridge.client.render_client import RenderClient
from engine_bridge.client.statistics import monotonic_us
from engine_bridge.client.status import State
from tests.native.native_client import HANG_S, NativeClient
from tests.native.native_rig import play, until_state
from tests.runtime.serving import FIRST, LATER, PRESET, images, run, serving
from tests.runtime.test_server_tls import Authority

OPTIONS = ClientOptions(PRESET.width, PRESET.height, 16.0, prompt="noon", seed=5)
COUNT = FIRST + 3 * LATER


def played(client: Any, coarse: np.ndarray) -> list[Any]:
    """Every image through a client, none dropped; the outcomes."""
    images = (CoarseFrame(index, monotonic_us(), one) for index, one in enumerate(coarse))
    with client:
        client.wait_streaming(HANG_S)
        outcomes = play(client, images)
        client.close(timeout_s=HANG_S)
        outcomes += client.results()
    assert [one.frame_id for one in outcomes] == list(range(len(coarse)))
    assert all(isinstance(one, RenderedFrame) for one in outcomes)
    return outcomes


@pytest.mark.parametrize("codec", [Codec.RAW, Codec.ZSTD, Codec.LZ4, Codec.JPEG])
def test_pictures_are_the_same_bit_for_bit(codec: Codec):
    coarse = images(COUNT, seed=11)
    lists = CodecLists(coarse=(Codec.ZSTD,), picture=(codec,))

    async def test() -> None:
        async with serving() as server:
            endpoint, options = Endpoint(server.address), replace(OPTIONS, codecs=lists)
            python = await asyncio.to_thread(played, RenderClient(endpoint, options), coarse)
            native = await asyncio.to_thread(played, NativeClient(endpoint, options), coarse)
        for one, other in zip(python, native, strict=True):
            assert np.array_equal(one.rgb, other.rgb)
            assert one.chunk_index == other.chunk_index
        assert native[-1].stages.total_ms > 0

    run(test())


@pytest.mark.parametrize("mutual", [False, True])
def test_tls_with_a_token(tmp_path: Path, mutual: bool):
    async def test() -> None:
        authority = Authority(tmp_path, "authority")
        mine, tls = authority.issue("client"), authority.issue("server")
        if mutual:
            tls = replace(tls, client_ca=authority.file)
        token = tmp_path / "token"
        token.write_text("a-token-of-good-length\n", encoding="utf-8")
        async with serving(tls=tls, token=token.read_bytes().strip()) as server:
            endpoint = endpoint_from_files(
                server.address,
                token_file=token,
                tls_ca=authority.file,
                tls_cert=mine.certificate if mutual else None,
                tls_key=mine.key if mutual else None,
            )
            await asyncio.to_thread(played, NativeClient(endpoint, OPTIONS), images(COUNT))

    run(test())


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("another authority", "TLS fails"),
        ("expired", "expired"),
        ("another name", "mismatch"),
        ("no token", "UNAUTHENTICATED"),
    ],
)
def test_a_server_that_cannot_be_trusted_is_refused_at_once(tmp_path: Path, fault: str, said: str):
    async def test() -> None:
        authority, other = Authority(tmp_path, "authority"), Authority(tmp_path, "other")
        tls = authority.issue("server", days=-2 if fault == "expired" else 1)
        trusted = other if fault == "another authority" else authority
        name = "another.example" if fault == "another name" else None
        async with serving(tls=tls, token=b"0123456789abcdef") as server:
            endpoint = endpoint_from_files(server.address, tls_ca=trusted.file, tls_name=name)
            with NativeClient(endpoint, OPTIONS) as client:
                assert said in await asyncio.to_thread(until_state, client, State.FAILED)

    run(test())


def test_tls_and_plain_text_do_not_meet(tmp_path: Path):
    async def test() -> None:
        authority = Authority(tmp_path, "authority")
        async with serving() as server:
            endpoint = endpoint_from_files(server.address, tls_ca=authority.file)
            with NativeClient(endpoint, OPTIONS) as client:
                left = (State.RECONNECTING, State.FAILED)
                assert "TLS" in await asyncio.to_thread(until_state, client, *left)
        async with serving(tls=authority.issue("server")) as server:
            with NativeClient(Endpoint(server.address), OPTIONS) as client:
                text = await asyncio.to_thread(until_state, client, State.RECONNECTING)
                assert "TLS" in text or "closed" in text

    run(test())
