"""Distillation on several processes (gloo): the losses of one process, the same exit step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.distill.conftest import settings
from tests.trainer.processes import free_port, start_processes, take_place
from tests.trainer.small_run import losses
from trainer.command import train
from trainer.distill.student import CausalDenoiser
from trainer.phases import phase_settings

STEPS = 4
DMD = {"critic_updates": 1, "critic_lr": 1e-3, "longest": 7}
GAN = {"weight": 0.1, "blocks": [1], "lr": 1e-2}
RUNS: dict[str, tuple[str, int, int, dict[str, Any]]] = {
    "ranks": ("dmd", 2, 0, {"dmd": DMD | {"gan": GAN}}),
    "away": ("dmd", 2, 2, {"dmd": DMD}),
    "forced": ("regress", 2, 1, {"distil": {"steps": 4}}),
}
"""Phase, processes of the student, processes of the teacher, and what else is set: everything
sharded over two; a sharded teacher away from them; one teacher that answers two in turn.
"""


def changes(root: Path, folder: Path, name: str, teachers: int) -> dict[str, Any]:
    phase, _, _, more = RUNS[name]
    found = settings(root, folder, phase, steps=STEPS, checkpoint={"every": 2}, **more)
    found["optim"] |= {"lr": 1e-3}
    found["distil"] = found.get("distil", {}) | {"teacher_ranks": teachers}
    return found


def _train(rank: int, root: Path, folder: Path, ports: dict[str, int]) -> None:
    """All runs, one after the other, and where every rollout of this process ended its chunks."""
    exits: list[Any] = []
    plain = CausalDenoiser.roll

    def spy(self, preset, plan, *rest, **more):
        steps = [plan.exit_of(block, 4) for block in plan.blocks(preset.stream.chunk)]
        exits.append([plan.latents, [plan.scored.start, plan.scored.stop], steps])
        return plain(self, preset, plan, *rest, **more)

    CausalDenoiser.roll = spy  # type: ignore[method-assign]
    for name, (_, students, teachers, _) in RUNS.items():
        if rank >= students + teachers:
            continue
        take_place(rank, students + teachers, ports[name])
        train(phase_settings(changes(root, folder / name, name, teachers)))
        if name == "ranks":
            (folder / f"exits-{rank}.json").write_text(json.dumps(exits))


@pytest.fixture(scope="module")
def together(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    start_processes(_train, (root, folder, {name: free_port() for name in RUNS}), 4)
    return folder


def test_both_ranks_leave_at_the_same_step(together):
    one, other = (json.loads((together / f"exits-{rank}.json").read_text()) for rank in (0, 1))
    assert len(one) == STEPS
    assert one == other
    assert len({str(steps) for _, _, steps in one}) > 1, "exits differ from step to step"
    for _, _, steps in one:
        assert len(set(steps) - {None}) == 1, "one exit for all scored chunks"


@pytest.mark.parametrize("name", list(RUNS))
def test_several_processes_give_the_losses_of_one(root, together, tmp_path, name):
    train(phase_settings(changes(root, tmp_path / "alone", name, 0)))
    alone = losses(tmp_path / "alone")
    assert len(alone) == STEPS
    assert losses(together / name) == pytest.approx(alone, abs=1e-4)
    assert (together / name / "renderer" / "preset.yaml").is_file()
