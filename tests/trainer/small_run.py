"""A renderer of the debug preset and clips to train it on, from seeds, and settings of runs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import yaml
from safetensors.torch import save_file

from c2r.clips import VideoWriter
from c2r.models.build import Networks
from c2r.models.presets import get_preset
from c2r.models.text import TextEncoder
from c2r.weights.renderer import save_renderer
from tests.small_networks import randomise
from trainer.data.manifest import Clip, read_manifest, write_manifest
from trainer.data.window import whole_window
from trainer.networks.encoders import cache_fields
from trainer.networks.start import Start, encoder_hash, weights_hash
from trainer.phases import phase_settings

ROOT = Path(__file__).resolve().parents[2]
DEBUG = get_preset("debug")
FPS, FRAMES, WIDTH, HEIGHT = DEBUG.fps, DEBUG.frames, DEBUG.width, DEBUG.height
MODEL: dict[str, Any] = {"name": DEBUG.name}


def random_frame(random: np.random.Generator) -> np.ndarray:
    coarse = random.integers(0, 255, (4, 8, 3)).astype(np.uint8)
    return np.kron(coarse, np.ones((HEIGHT // 4, WIDTH // 8, 1), dtype=np.uint8))


def write_video(path: Path, seed: int, frames: int = FRAMES, scale: int = 1) -> None:
    """Random blocks that drift sideways."""
    first = random_frame(np.random.default_rng(seed))
    first = np.kron(first, np.ones((scale, scale, 1), dtype=np.uint8))
    with VideoWriter(path, FPS) as writer:
        for frame in range(frames):
            writer.write(np.roll(first, 2 * frame, axis=1))


def make_clip(
    folder: Path, name: str, source: str, *, frames: int = FRAMES, split: str = "train"
) -> Clip:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
    write_video(folder / f"{name}.mp4", seed, frames)
    control = f"{name}-coarse.mp4" if source == "cg" else None
    if control:
        write_video(folder / control, seed + 1, frames)
    row: dict[str, Any] = {
        "id": name,
        "source": source,
        "video": f"{name}.mp4",
        "control": control,
        "caption": f"street {name}",
        "fps": float(FPS),
        "frames": frames,
        "width": WIDTH,
        "height": HEIGHT,
        "seed": seed if control else None,
        "licence": None if control else "CC0",
        "hash": "0" * 64,
        "control_hash": "1" * 64 if control else None,
        "split": split,
    }
    return Clip(**row)


def make_clips(folder: Path, real: int = 3, cg: int = 3) -> Path:
    """A manifest of small videos."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = [make_clip(folder, f"real{n}", "real") for n in range(real)]
    clips += [make_clip(folder, f"cg{n}", "cg") for n in range(cg)]
    write_manifest(folder / "manifest.jsonl", clips)
    return folder / "manifest.jsonl"


def make_renderer(
    folder: Path, control: bool = True, kind: Mapping[str, Any] = MappingProxyType({})
) -> Path:
    """A renderer with random weights everywhere, zero-initialised layers included; `kind`: changes
    of its control.
    """
    config = phase_settings({"model": MODEL | {"control": kind}, "phase": "ground"})
    start = Start(config)
    dit = start.dit()
    steering = start.control(dit) if control else None
    for place, network in enumerate((dit, steering)):
        if network is not None:
            randomise(network.requires_grad_(False), place, 0.05)
    preset = config.model
    if not control:
        preset = replace(preset, control=replace(preset.control, kind="none"))
    parts = Networks(preset, dit, steering, start.dino(), start.vae(), start.text())
    save_renderer(parts, folder)
    return folder


def make_cache(folder: Path, renderer: Path, manifest: Path) -> Path:
    """The clips of a manifest as a renderer's encoders see them."""
    config = phase_settings({"start": {"folder": str(renderer)}})
    start, preset = Start(config), config.model
    vae, text = start.vae().requires_grad_(False), start.text()
    assert isinstance(text, TextEncoder)
    clips, tensors = read_manifest(manifest), {}
    for clip in clips:
        frames = whole_window(preset, clip.frames).cut(manifest.parent / clip.video)
        pixels = torch.from_numpy(frames)[None].float() / 255
        tensors[f"{clip.id}/latents"] = vae.encode(pixels)[0].half()
        tensors[f"{clip.id}/text"] = text.encode([clip.caption])[0].half()
        for name in (clip.video, clip.control):
            if name is not None:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(manifest.parent / name, folder / name)
    save_file(tensors, folder / "shard-0000.safetensors")
    write_manifest(folder / "manifest.jsonl", clips)
    fields = cache_fields(preset, encoder_hash(vae), weights_hash(text))
    (folder / "cache.json").write_text(json.dumps(fields), encoding="utf-8")
    return folder


def changes(folder: Path, manifest: Path | None, phase: str, **more: Any) -> dict[str, Any]:
    """A run's settings as nested changes; `more` is merged over them, a level deep."""
    made: dict[str, Any] = {
        "phase": phase,
        "folder": str(folder),
        "model": MODEL,
        "data": {"manifest": str(manifest), "cg_ratio": 0.5, "prefetch": 1},
        "optim": {"lr": 3e-3, "warmup": 2, "ema": 0.9},
        "log": {"sample_every": 0, "tensorboard": False},
        "checkpoint": {"every": 1000},
        "steps": 3,
        "batch": 4,
        "micro_batch": 2,
        "precision": "float32",
        "device": "cpu",
    }
    for key, value in more.items():
        made[key] = made[key] | value if isinstance(value, dict) and key in made else value
    return made


def write_config(path: Path, settings: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


def start_process(config: Path, *arguments: str) -> subprocess.Popen[str]:
    """Training as a user starts it; torchrun takes it as a module instead."""
    command = [sys.executable, "trainer/train.py", "--config", str(config), *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def losses(folder: Path) -> list[float]:
    """The record's losses, by step."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    rows = [row for row in rows if "loss" in row]
    assert [row["step"] for row in rows] == list(range(len(rows)))
    return [row["loss"] for row in rows]
