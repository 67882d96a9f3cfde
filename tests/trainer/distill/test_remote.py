"""Teachers in a separate process group: messages, who answers whom, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.trainer.distill.conftest import settings
from trainer.dist.link import Link
from trainer.dist.parallel import open_world
from trainer.distill.remote import RemoteTeacher
from trainer.distill.teacher import Conditions
from trainer.phases import phase_settings
from trainer.settings import ParallelConfig


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
        (
            "autoregress",
            {"distil": {"teacher_ranks": 1}},
            r"distil\.teacher_ranks belongs to phases consistency, regress, dmd",
        ),
        ("dmd", {"distil": {"teacher_ranks": -1}}, "give 0 or more"),
        ("dmd", {"distil": {"teacher_ranks": 1, "teacher_on": "cpu"}}, "leave it or"),
    ],
)
def test_settings_that_cannot_be(root, tmp_path, phase, more, words):
    with pytest.raises(ValueError, match=words):
        phase_settings(settings(root, tmp_path, phase, **more))
