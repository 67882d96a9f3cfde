"""Two processes (gloo): the same exit step on both, and the losses of one process."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import multiprocessing

from tests.trainer.distill.conftest import settings
from tests.trainer.small_run import free_port, losses
from trainer.command import train
from trainer.distill.student import CausalDenoiser
from trainer.settings import settings_from

STEPS = 4
DMD = {"critic_updates": 1, "critic_lr": 1e-3, "longest": 7}


def made(root: Path, folder: Path) -> dict[str, Any]:
    found = settings(root, folder, "dmd", steps=STEPS, dmd=DMD)
    found["optim"] |= {"lr": 1e-3}
    return found


def _train(rank: int, root: Path, folder: Path, port: int) -> None:
    """Train, and write down where every rollout of this process ended its chunks."""
    torch.set_num_threads(1)
    exits: list[Any] = []
    plain = CausalDenoiser.roll

    def spy(self, preset, course, *rest, **more):
        steps = [course.exit_of(block, 4) for block in course.blocks(preset.stream.chunk)]
        exits.append([course.latents, [course.scored.start, course.scored.stop], steps])
        return plain(self, preset, course, *rest, **more)

    CausalDenoiser.roll = spy  # type: ignore[method-assign]
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}
    os.environ.update({key: str(value) for key, value in place.items()})
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    train(settings_from(made(root, folder / "two")))
    (folder / f"exits-{rank}.json").write_text(json.dumps(exits))


@pytest.fixture(scope="module")
def together(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(_train, (root, folder, free_port()), nprocs=2)
    return folder


def test_both_ranks_leave_at_the_same_step(together):
    one, other = (json.loads((together / f"exits-{rank}.json").read_text()) for rank in (0, 1))
    assert len(one) == STEPS
    assert one == other
    assert len({str(steps) for _, _, steps in one}) > 1, "exits differ from step to step"
    for _, _, steps in one:
        assert len(set(steps) - {None}) == 1, "one exit for all scored chunks"


def test_two_processes_give_the_losses_of_one(root, together, tmp_path):
    """Student, critic and teacher are sharded; a student's pass is gone through many times."""
    train(settings_from(made(root, tmp_path / "alone")))
    alone = losses(tmp_path / "alone")
    assert len(alone) == STEPS
    assert losses(together / "two") == pytest.approx(alone, abs=1e-4)
