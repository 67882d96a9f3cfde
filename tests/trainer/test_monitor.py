"""The CG-artefact monitor and the meter of losses."""

from __future__ import annotations

import pytest
import torch

from trainer.data.batch import Batch
from trainer.dist.parallel import Layout, World
from trainer.logs.artefact_monitor import Monitor, measure_artefacts
from trainer.logs.loss_meter import Losses, LossMeter


def street(seed: int, texture: float = 0.1, light: float = 0.5) -> torch.Tensor:
    """Three boxes under a light that falls off sideways, with noise for texture."""
    generator = torch.Generator().manual_seed(seed)
    frame = torch.full((3, 64, 96), 0.4)
    for box in range(3):
        frame[:, 16:56, 8 + 30 * box : 26 + 30 * box] = 0.1 + 0.35 * box
    frame = frame * torch.linspace(1 - light, 1 + light, 96)
    return (frame + texture * torch.randn(2, 3, 64, 96, generator=generator)).clamp(0, 1)


def test_graphics_are_told_from_video_and_advice_is_given():
    monitor = Monitor([measure_artefacts(street(seed)) for seed in range(4)])
    assert monitor.advice(measure_artefacts(street(9))) == []
    flat = measure_artefacts(street(9, texture=0.0), street(9, texture=0.0))
    assert flat.flatness > 0.5
    assert flat.leakage > 0.5
    said = " ".join(monitor.advice(flat))
    assert "textures are flatter" in said
    assert "data.cg_ratio" in said
    assert "outlines of the coarse frames show" in said
    even = " ".join(monitor.advice(measure_artefacts(street(9, light=0.0) * 0.1 + 0.4)))
    assert "light is more even" in even


def test_losses_by_source_and_band():
    world = World(0, torch.device("cpu"), Layout(1, 1, 1))
    meter = LossMeter()
    meter.add(
        Losses(
            torch.tensor(0.0),
            torch.tensor([1.0, 2.0, 6.0]),
            torch.tensor([0.1, 0.9, 1.0]),
            ("real", "cg", "cg"),
        )
    )
    assert meter.means(world) == pytest.approx(
        {"loss": 3.0, "loss/real": 1.0, "loss/cg": 4.0, "loss/t0-250": 1.0, "loss/t750-1000": 4.0}
    )


def test_a_batch_moves_as_one():
    frames = torch.zeros(1, 1, 3, 16, 16, dtype=torch.uint8)
    batch = Batch((0,), ("a",), ("real",), ("",), None, None, frames, None)
    moved = batch.to(torch.device("meta"))
    assert moved.frames is not None
    assert moved.frames.is_meta
    assert moved.control is None
