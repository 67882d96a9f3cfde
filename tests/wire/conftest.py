from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from c2r.wire.formats import Codec, CodecChoice, SideChannel
from c2r.wire.frames import Camera, CoarseFrame
from c2r.wire.handshake import Accepted, Limits

MakeAccepted = Callable[..., Accepted]
MakeImage = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def make_image() -> MakeImage:
    """A smooth image with no symmetry, so that a turned or mirrored one is told apart."""

    def make(width: int, height: int, shift: float = 0.0) -> np.ndarray:
        y, x = np.mgrid[0:height, 0:width]
        u, v = x / max(1, width - 1), y / max(1, height - 1)
        planes = (220 * v, 60 + 150 * u, 200 - 90 * u * v + 20 * np.sin(3 * u + shift))
        return np.clip(np.stack(planes, axis=-1) + shift, 0, 255).astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def make_accepted() -> MakeAccepted:
    def make(
        coarse: Codec = Codec.RAW,
        picture: Codec = Codec.RAW,
        plane: Codec = Codec.RAW,
        width: int = 48,
        height: int = 32,
        side_channels: tuple[SideChannel, ...] = tuple(SideChannel),
    ) -> Accepted:
        return Accepted(
            session_id="s1",
            width=width,
            height=height,
            fps=16.0,
            chunk_latents=3,
            first_chunk_frames=9,
            chunk_frames=12,
            max_in_flight_chunks=2,
            codecs=CodecChoice(coarse=coarse, plane=plane, picture=picture),
            limits=Limits(max_width=256, max_height=256),
            side_channels=side_channels,
        )

    return make


@pytest.fixture(scope="session")
def camera() -> Camera:
    fov_y, aspect, near, far = 1.0, 1.5, 0.1, 500.0
    scale = 1 / np.tan(fov_y / 2)
    projection = np.zeros((4, 4))
    projection[0, 0], projection[1, 1] = scale / aspect, scale
    projection[2, 2], projection[3, 2] = far / (far - near), -far * near / (far - near)
    projection[2, 3] = 1
    cos, sin = np.cos(0.3), np.sin(0.3)
    return Camera(
        position=np.array([1.0, -2.0, 1e6]),
        right=np.array([cos, sin, 0]),
        up=np.array([0.0, 0, 1]),
        forward=np.array([-sin, cos, 0]),
        fov_y=fov_y,
        view_to_clip=projection,
        clip_to_prev_clip=np.eye(4) + 0.01,
    )


@pytest.fixture
def full_frame(make_image: MakeImage, camera: Camera) -> CoarseFrame:
    """A frame of the default session's size with everything that a frame can carry."""
    rng = np.random.default_rng(7)
    motion = rng.normal(0, 9, (16, 24, 2)).astype(np.float16)
    motion[3, 4] = np.nan
    depth = rng.uniform(0.1, 300, (20, 30)).astype(np.float32)
    depth[0, :] = np.inf
    return CoarseFrame(
        frame_id=41,
        capture_time_us=123_456_789_012,
        rgb=make_image(48, 32),
        frame_delta_ms=16.7,
        depth=depth,
        motion=motion,
        camera=camera,
        jitter=(0.25, -0.5),
        pre_exposure=0.8,
    )
