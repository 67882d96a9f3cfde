"""The sample game as a source of wire frames."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("panda3d", reason="the sample game needs the panda3d package")

from c2r.wire import CoarseEncoder, ResetReason
from c2r.wire.coarse_stream import CoarseDecoder
from c2r.wire.formats import Codec, CodecChoice, SideChannel
from c2r.wire.handshake import Accepted, Limits
from engine_bridge.sources import GameSource, coarse_frame, open_game
from street.game.frame import GameFrame
from street.game.game import Game


@pytest.fixture(scope="module")
def source():
    with GameSource(Game(96, 64, seed=2, fps=16.0, people=3, cars=1)) as running:
        yield running


def test_the_games_frames_travel(source: GameSource) -> None:
    frames = list(itertools.islice(source, 4))
    assert [frame.frame_id for frame in frames] == [0, 1, 2, 3]
    assert [frame.reset for frame in frames] == [ResetReason.LEVEL_LOAD, None, None, None]
    times = [frame.capture_time_us for frame in frames]
    assert times == sorted(set(times))
    assert frames[0].frame_delta_ms == 0
    assert frames[3].frame_delta_ms == pytest.approx(62.5, abs=0.01)
    assert all(frame.size == (source.width, source.height) == (96, 64) for frame in frames)
    assert all(frame.camera is not None for frame in frames)
    accepted = Accepted(
        session_id="s",
        width=96,
        height=64,
        fps=16.0,
        chunk_latents=1,
        first_chunk_frames=1,
        chunk_frames=4,
        max_in_flight_chunks=1,
        codecs=CodecChoice(Codec.RAW, Codec.RAW, Codec.RAW),
        limits=Limits(),
        side_channels=tuple(SideChannel),
    )
    encoder, decoder = CoarseEncoder(accepted), CoarseDecoder(accepted)
    for frame in frames:
        back = decoder.decode(encoder.encode(frame).frame)
        assert (back.rgb == frame.rgb).all()


@pytest.mark.parametrize(
    ("side_channels", "drawn"),
    [((), False), ((SideChannel.CAMERA,), False), ((SideChannel.MOTION,), True)],
)
def test_depth_and_motion_are_drawn_for_servers_that_take_them(
    side_channels: tuple[SideChannel, ...], drawn: bool
) -> None:
    with (
        open_game(96, 64, seed=3, fps=16.0, side_channels=side_channels) as game,
        open_game(96, 64, seed=3, fps=16.0) as whole,
    ):
        if whole.game.pipe != "egl":
            pytest.skip("depth and motion need GL")
        for _ in range(2):
            frame, other = game.step(), whole.step()
            assert (frame.depth is not None) is (frame.motion is not None) is drawn
            assert frame.camera is not None
            assert (frame.rgb == other.rgb).all()


def test_no_key_is_down_without_a_window(source: GameSource) -> None:
    assert not source.game.is_down("1")


def test_motion_beyond_half_precision_has_no_answer(source: GameSource) -> None:
    plain = source.game.step()
    motion = np.zeros((64, 96, 2), np.float32)
    motion[0, 0], motion[1, 1], motion[2, 2] = 1e6, np.inf, (1.5, np.nan)
    odd = GameFrame(
        frame_id=plain.frame_id,
        time_us=plain.time_us,
        rgb=plain.rgb,
        depth=np.full((64, 96), np.inf, np.float32),
        motion=motion,
        camera=plain.camera,
        reset=True,
        reset_reason="teleport",
    )
    frame = coarse_frame(odd, 5, 62.5)
    assert frame.reset is ResetReason.TELEPORT
    assert frame.motion is not None
    assert np.isnan(frame.motion[0, 0]).all()
    assert np.isnan(frame.motion[1, 1]).all()
    assert frame.motion[2, 2, 0] == 1.5
    assert frame.motion[3, 3].tolist() == [0, 0]
