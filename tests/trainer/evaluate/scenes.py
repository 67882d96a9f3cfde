"""A small data set for tests: a camera slides along a wall; coarse, fine and geometry.

Hour is how bright the fine frames are, weather how blue. Motion is a whole number of pixels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from c2r.clips import VideoWriter
from street.city.clip_folder import CameraLog, FrameCamera, Geometry, save_clip_folder
from trainer.data.manifest import Clip, write_manifest

WIDTH, HEIGHT, FRAMES, FPS = 64, 48, 9, 16.0
STEP = 2
"""Pixels a frame that the wall moves to the left."""
BRIGHT = {"noon": 1.0, "night": 0.25}
BLUE = {"clear": 0.0, "rain": 60.0}
Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Wall:
    """A wall wide enough for the whole slide, smooth noise with dark posts before it."""

    texture: NDArray[np.float64]
    posts: NDArray[np.bool_]


def make_wall(seed: int) -> Wall:
    rng = np.random.default_rng(seed)
    width = WIDTH + STEP * FRAMES
    coarse = rng.uniform(40, 250, (HEIGHT // 4, width // 4 + 1, 3))
    texture = coarse.repeat(4, axis=0).repeat(4, axis=1)[:, :width]
    posts = np.zeros((HEIGHT, width), bool)
    for column in range(8 + seed % 5, width - 6, 23):
        posts[10:44, column : column + 6] = True
    return Wall(texture, posts)


def slide(plane: NDArray) -> NDArray:
    """`[F, H, W, ...]`: what the camera sees of a plane as it slides."""
    return np.stack([plane[:, STEP * t : STEP * t + WIDTH] for t in range(FRAMES)])


def fine_frames(wall: Wall, hour: str, weather: str) -> Frames:
    texture = wall.texture * BRIGHT[hour]
    texture[..., 2] += BLUE[weather]
    texture[wall.posts] *= 0.2
    return slide(texture).clip(0, 255).astype(np.uint8)


def coarse_frames(wall: Wall) -> Frames:
    flat = np.full((*wall.posts.shape, 3), 170.0)
    flat[wall.posts] = 60
    return slide(flat).astype(np.uint8)


def geometry_of(wall: Wall) -> Geometry:
    """Posts stand at 5 m, the wall at 20; both slide alike, as if far away."""
    depth = slide(np.where(wall.posts, 5.0, 20.0))
    motion = np.zeros((*depth.shape, 2), np.float16)
    motion[..., 0] = STEP
    motion[0] = np.nan
    return Geometry(depth.astype(np.float16), motion, np.zeros(depth.shape, np.uint16))


def cameras() -> tuple[FrameCamera, ...]:
    """To the right and back: the second half retraces the first."""
    rows = np.eye(4).tolist()
    same = tuple((r[0], r[1], r[2], r[3]) for r in rows)
    assert len(same) == 4
    places = [float(min(t, FRAMES - 1 - t)) for t in range(FRAMES)]
    turned = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0))
    return tuple(
        FrameCamera((x, 0.0, 1.7), *turned, 1.0, 0.1, 100.0, (same[0], same[1], same[2], same[3]))
        for x in places
    )


def write_video(path: Path, frames: Frames, fps: float = FPS) -> None:
    with VideoWriter(path, fps, crf=4) as writer:
        for frame in frames:
            writer.write(frame)


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_clip(root: Path, seed: int, split: str, hour: str, weather: str) -> Clip:
    name, wall = f"{split}-{seed}", make_wall(seed)
    folder = root / "clips" / name
    write_video(folder / "fine.mp4", fine_frames(wall, hour, weather))
    write_video(folder / "coarse.mp4", coarse_frames(wall))
    log = CameraLog(name, "mid", "test", WIDTH, HEIGHT, FPS, cameras())
    save_clip_folder(folder, geometry_of(wall), log)
    return Clip(
        id=name,
        source="cg",
        video=f"clips/{name}/fine.mp4",
        control=f"clips/{name}/coarse.mp4",
        caption=f"a wall at {hour}, {weather}",
        fps=FPS,
        frames=FRAMES,
        width=WIDTH,
        height=HEIGHT,
        seed=seed,
        licence=None,
        hash=sha(folder / "fine.mp4"),
        control_hash=sha(folder / "coarse.mp4"),
        split="train" if split == "train" else "held_out",
        attributes={"hour": hour, "weather": weather},
        geometry=f"clips/{name}/geometry.npz",
    )


def write_set(root: Path, *, train: int = 8, held_out: int = 2) -> tuple[Clip, ...]:
    """A data folder; the four combinations of hour and weather in turn."""
    prompts = [(hour, weather) for hour in BRIGHT for weather in BLUE]
    clips = [write_clip(root, 100 + i, "train", *prompts[i % 4]) for i in range(train)]
    clips += [write_clip(root, 200 + i, "held_out", *prompts[(3 * i) % 4]) for i in range(held_out)]
    write_manifest(root / "manifest.jsonl", clips)
    return tuple(clips)
