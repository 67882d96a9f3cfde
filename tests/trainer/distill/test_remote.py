"""Teachers on processes of their own (gloo): the losses of one process, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import multiprocessing

from tests.trainer.distill.conftest import settings
from tests.trainer.small_run import free_port, losses
from trainer.command import train
from trainer.dist.link import Link
from trainer.dist.parallel import open_world
from trainer.distill.remote import RemoteTeacher
from trainer.distill.teacher import Conditions
from trainer.settings import ParallelConfig, settings_from

STEPS = 4
DMD = {"critic_updates": 1, "critic_lr": 1e-3, "longest": 7}
RUNS: dict[str, tuple[str, int, int, dict[str, Any]]] = {
    "dmd": ("dmd", 2, 2, {"dmd": DMD}),
    "consistency": ("consistency", 1, 1, {"distil": {"steps": 4}}),
    "regress": ("regress", 2, 1, {"distil": {"steps": 4}}),
    "adversary": ("dmd", 2, 0, {"dmd": DMD | {"gan": {"weight": 0.1, "blocks": [1], "lr": 1e-2}}}),
}
"""Phase, processes of the student, processes of the teacher, and what else is set."""


def made(root: Path, folder: Path, name: str, teachers: int) -> dict[str, Any]:
    phase, _, _, more = RUNS[name]
    found = settings(root, folder, phase, steps=STEPS, checkpoint={"every": 2}, **more)
    found["optim"] |= {"lr": 1e-3}
    found["distil"] = found.get("distil", {}) | {"teacher_ranks": teachers}
    return found


def _train(rank: int, root: Path, folder: Path, name: str, port: int) -> None:
    torch.set_num_threads(1)
    _, students, teachers, _ = RUNS[name]
    place = {"RANK": rank, "WORLD_SIZE": students + teachers, "MASTER_PORT": port}
    os.environ.update({key: str(value) for key, value in place.items()})
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    train(settings_from(made(root, folder, name, teachers)))


@pytest.mark.parametrize("name", list(RUNS))
def test_it_gives_the_losses_of_one_process(root, tmp_path, name):
    """Sharded teachers and sharded students; one teacher answers two students in turn."""
    _, students, teachers, _ = RUNS[name]
    arguments = (root, tmp_path / "many", name, free_port())
    multiprocessing.spawn(_train, arguments, nprocs=students + teachers)
    train(settings_from(made(root, tmp_path / "alone", name, 0)))
    alone = losses(tmp_path / "alone")
    assert len(alone) == STEPS
    assert losses(tmp_path / "many") == pytest.approx(alone, abs=1e-4)
    assert (tmp_path / "many" / "renderer" / "preset.yaml").is_file()


class Mail:
    """A link's two ends in one process: what one sends, the same one receives."""

    def __init__(self) -> None:
        self.letters: list[torch.Tensor] = []

    def send(self, tensors: list[torch.Tensor], rank: int, tag: int) -> Any:
        self.letters.append(tensors[0].clone())
        return self

    def recv(self, tensors: list[torch.Tensor], rank: int, tag: int) -> Any:
        if not self.letters:
            raise RuntimeError("Connection closed by peer")
        tensors[0].copy_(self.letters.pop(0))
        return self

    def wait(self) -> None:
        """At once."""


def test_messages_arrive_as_they_were_sent():
    link = Link(Mail(), students=2, teachers=1)
    torch.manual_seed(0)
    sent = {"question": "clean", "x": torch.randn(2, 3).bfloat16(), "context": 0.5}
    link.send(0, sent)
    found = link.receive(0)
    assert found["question"] == "clean"
    assert found["context"] == 0.5
    assert found["x"].dtype == torch.bfloat16
    torch.testing.assert_close(found["x"], sent["x"], atol=0, rtol=0)


def test_a_teacher_that_has_ended_is_told_in_a_sentence():
    class Deaf(Mail):
        """Takes letters and answers none."""

        def send(self, tensors: list[torch.Tensor], rank: int, tag: int) -> Any:
            return self

    teacher = RemoteTeacher(Link(Deaf(), 1, 1), 0, torch.device("cpu"))
    given = Conditions(*(torch.zeros(1) for _ in range(4)))
    with pytest.raises(ConnectionError, match="link between student and teacher is broken"):
        teacher.clean(torch.zeros(1), torch.zeros(1), given)


def test_students_are_shared_out():
    link = Link(Mail(), students=6, teachers=2)
    assert [link.teacher_of(student) for student in range(6)] == [6, 7, 6, 7, 6, 7]
    assert [list(link.students_of(teacher)) for teacher in (0, 1)] == [[0, 2, 4], [1, 3, 5]]


@pytest.mark.parametrize(("size", "teachers"), [(1, 1), (3, 2), (2, 3)])
def test_uneven_shares_are_refused(monkeypatch, size, teachers):
    monkeypatch.setenv("WORLD_SIZE", str(size))
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ValueError, match="start a multiple of teacher_ranks"):
        open_world(ParallelConfig(), "cpu", teachers)


@pytest.mark.parametrize(
    ("phase", "more", "words"),
    [
        ("autoregress", {"distil": {"teacher_ranks": 1}}, "asks no teacher"),
        ("dmd", {"distil": {"teacher_ranks": -1}}, "give 0 or more"),
        ("dmd", {"distil": {"teacher_ranks": 1, "teacher_on": "cpu"}}, "leave it or"),
    ],
)
def test_settings_that_cannot_be(root, tmp_path, phase, more, words):
    with pytest.raises(ValueError, match=words):
        settings_from(settings(root, tmp_path, phase, **more))
