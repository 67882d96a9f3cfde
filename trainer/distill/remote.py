"""A teacher on processes of its own: students ask over a link, the teacher's processes answer.

Asking is in step: every student asks the same questions in the same order, so the teacher's
processes, over which its weights are sharded, are all at work on one student each.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from c2r.models.attention import LatentMask
from trainer.dist.link import Link
from trainer.dist.parallel import World
from trainer.distill.student import CausalDenoiser, forcing_mask
from trainer.distill.teacher import Conditions, Teacher
from trainer.networks.assemble import frozen_denoiser
from trainer.networks.start import start_of
from trainer.settings import TrainConfig

OVER = "over"


class RemoteTeacher:
    """As `Teacher`, for a student's process."""

    def __init__(self, link: Link, rank: int, device: torch.device) -> None:
        self.link, self.device = link, device
        self.place = link.teacher_of(rank)

    def clean(self, x: Tensor, levels: Tensor, given: Conditions) -> Tensor:
        """See `Teacher.clean`."""
        return self._ask("clean", given, x=x, levels=levels)

    def forced(
        self,
        clean: Tensor,
        noisy: Tensor,
        levels: Tensor,
        mask: LatentMask,
        given: Conditions,
        context: float = 0.0,
    ) -> Tensor:
        """See `Teacher.forced`; `mask` is that of the run's settings on both sides."""
        more = {"clean": clean, "noisy": noisy, "levels": levels, "context": context}
        return self._ask("forced", given, **more)

    def _ask(self, question: str, given: Conditions, **more: Any) -> Tensor:
        self.link.send(self.place, {"question": question, **vars(given), **more})
        found = self.link.receive(self.place)["answer"]
        assert isinstance(found, Tensor)
        return found.to(self.device)


def end_questions(link: Link, rank: int) -> None:
    """Tell the teacher that the student of that rank asks no more."""
    link.send(link.teacher_of(rank), {"question": OVER})


def answer_students(config: TrainConfig, world: World) -> None:
    """A teacher's process: build the teacher, answer until its students have no more questions."""
    assert world.link is not None
    folder = config.distil.teacher or config.start.folder
    if folder is None:
        raise ValueError("there is no teacher to share out; name distil.teacher")
    start = start_of(config, folder)
    denoiser = frozen_denoiser(start.config, world, start, CausalDenoiser)
    teacher, mask = Teacher(denoiser, config.distil.guidance), forcing_mask(config)
    asking = list(world.link.students_of(world.rank))
    while asking:
        for student in list(asking):
            asked = world.link.receive(student)
            if asked["question"] == OVER:
                asking.remove(student)
                continue
            with world.autocast(config.precision):
                answer = _answer(teacher, asked, mask, world.device)
            world.link.send(student, {"answer": answer})


def _answer(
    teacher: Teacher, asked: dict[str, Any], mask: LatentMask, device: torch.device
) -> Tensor:
    moved: dict[str, Any] = {
        k: v.to(device) if isinstance(v, Tensor) else v for k, v in asked.items()
    }
    question = moved.pop("question")
    given = Conditions(*(moved.pop(name) for name in Conditions.__dataclass_fields__))
    if question == "clean":
        return teacher.clean(given=given, **moved)
    return teacher.forced(given=given, mask=mask, **moved)
