"""Small videos for the tests of curation, each with one thing about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Frames = list[NDArray[np.uint8]]
WIDTH, HEIGHT = 192, 112


def texture(seed: int, width: int, height: int) -> NDArray[np.uint8]:
    """A colourful random pattern with detail at several sizes, over a colour of its own."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for size in (4, 12, 40):
        cells = rng.random((height // size + 2, width // size + 2, 3), dtype=np.float32)
        total += cv2.resize(cells, (width, height), interpolation=cv2.INTER_NEAREST)
    tint = rng.random(3, dtype=np.float32)
    return ((0.6 * total / 3 + 0.4 * tint) * 255).astype(np.uint8)


def pan(seed: int, count: int, width: int = WIDTH, height: int = HEIGHT, speed: int = 2) -> Frames:
    """A camera that moves over a pattern."""
    whole = texture(seed, width + speed * count, height)
    return [whole[:, speed * index : speed * index + width] for index in range(count)]


def blurred(frames: Frames, sigma: float = 6.0) -> Frames:
    """Out of focus, with as much contrast as a good frame."""
    soft = np.stack([cv2.GaussianBlur(one.astype(np.float32), (0, 0), sigma) for one in frames])
    soft = 128 + 45 * (soft - soft.mean((0, 1, 2))) / soft.mean(3).std()
    return list(np.clip(soft, 0, 255).astype(np.uint8))


def scaled(frames: Frames, gain: float, lift: float = 0.0) -> Frames:
    """Brightness times a gain, plus a lift (0 to 255)."""
    return [np.clip(one * gain + lift, 0, 255).astype(np.uint8) for one in frames]


def barred(frames: Frames, rows: int = 12) -> Frames:
    """Black bars above and below."""
    made = [one.copy() for one in frames]
    for one in made:
        one[:rows] = one[-rows:] = 16
    return made


def logo(frames: Frames) -> Frames:
    """White letters in the upper left corner."""
    white = (255, 255, 255)
    made = [np.ascontiguousarray(one) for one in frames]
    for one in made:
        cv2.rectangle(one, (18, 4), (72, 22), (0, 0, 0), -1)
        cv2.putText(one, "LIVE 5", (20, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, white, 1)
    return made


def write(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    rate: Fraction | int = 24,
    *,
    times: Sequence[int] | None = None,
    rotation: int = 0,
    options: dict[str, str] | None = None,
) -> Path:
    """H.264 of frames at a rate, or at `times` in milliseconds."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "16", "preset": "ultrafast", "g": "8", "bf": "0"}
        if rotation:
            stream.set_display_rotation(rotation)
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, rgb in enumerate(frames):
            if index == 0:
                stream.height, stream.width = rgb.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path, seconds: float = 1.0) -> Path:
    """A file without any frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        stream.layout = "mono"
        for start in range(0, int(seconds * 16000), 1024):
            tone = np.sin(np.arange(start, start + 1024) / 10).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
