"""A student with a guided decoder of twice its size, and paired clips at that size with motion."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainer.small_run import HEIGHT, WIDTH, changes, make_clip, make_renderer, write_video
from trainer.data.manifest import write_manifest
from trainer.dist.parallel import close_world, open_world
from trainer.loop import Loop, open_dataset
from trainer.networks.lpips import CONVOLUTIONS
from trainer.phases import load_phase
from trainer.settings import TrainConfig

SCALE = 2
FRAMES = 9
STREAM: dict[str, Any] = {"chunk": 2, "window": 4, "sink": 1, "timesteps": [1000.0, 500.0]}
MODEL: dict[str, Any] = {
    "name": "debug",
    "stream": STREAM,
    "vae": {"guide": {"scale": SCALE, "widths": [8, 8, 8, 8]}},
}


@pytest.fixture(scope="session")
def student(tmp_path_factory) -> Path:
    """A renderer without a guide, as they are before phase guide."""
    return make_renderer(tmp_path_factory.mktemp("phases") / "student")


@pytest.fixture(scope="session")
def pairs(tmp_path_factory) -> Path:
    """A manifest of pairs at the output's size; their content drifts by two pixels a frame."""
    folder = tmp_path_factory.mktemp("pairs")
    clips = []
    for number in range(3):
        clip = make_clip(folder, f"pair{number}", "cg", frames=FRAMES)
        seed = int.from_bytes(hashlib.sha256(clip.id.encode()).digest()[:4], "little")
        write_video(folder / clip.video, seed, FRAMES, SCALE)
        assert clip.control is not None
        write_video(folder / clip.control, seed + 1, FRAMES, SCALE)
        motion = np.zeros((FRAMES, SCALE * HEIGHT, SCALE * WIDTH, 2), np.float16)
        motion[..., 0] = -2
        np.savez(folder / f"{clip.id}.npz", motion=motion, depth=np.zeros(1))
        clips.append(
            replace(
                clip,
                width=SCALE * WIDTH,
                height=SCALE * HEIGHT,
                geometry=f"{clip.id}.npz",
                split="held_out" if number == 2 else "train",
            )
        )
    write_manifest(folder / "manifest.jsonl", clips)
    return folder / "manifest.jsonl"


@pytest.fixture(scope="session")
def alexnet(tmp_path_factory) -> Path:
    """Weights of the perceptual network's shapes, from a seed."""
    random = torch.Generator().manual_seed(0)
    sizes = ((64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3))
    state = {}
    for layer, (name, (out, into, side)) in enumerate(zip(CONVOLUTIONS, sizes, strict=True)):
        weight = torch.randn(out, into, side, side, generator=random)
        state[f"{name}.weight"] = weight / (into * side * side) ** 0.5
        state[f"{name}.bias"] = torch.zeros(out)
        state[f"lin{layer}.model.1.weight"] = torch.rand(1, out, 1, 1, generator=random)
    path = tmp_path_factory.mktemp("lpips") / "alex_shift_tolerant.pth"
    torch.save(state, path)
    return path


@pytest.fixture(autouse=True)
def _packaged(alexnet, monkeypatch) -> None:
    monkeypatch.setattr("trainer.phases.frame_losses.packaged_weights", lambda: alexnet)


@pytest.fixture
def open_loop() -> Iterator[Callable[[TrainConfig], Loop]]:
    """The loop of a run's settings, in this process."""

    def opened(config: TrainConfig) -> Loop:
        world = open_world(config.parallel, "cpu")
        phase = load_phase(config.phase)(config, world)
        return Loop(config, phase, world, open_dataset(config, phase))

    yield opened
    close_world()


def settings(folder: Path, manifest: Path, phase: str, student: Path, **more: Any) -> dict:
    """Nested changes of a run on pairs from the student."""
    start = {"folder": str(student)} | more.pop("start", {})
    data = {"cg_ratio": 1.0, "frames": FRAMES} | more.pop("data", {})
    made = changes(folder, manifest, phase, start=start, data=data, **more)
    made["model"] = MODEL | more.get("model", {})
    return made
