"""A teacher in a separate process group: students send requests, its processes send predictions.

Every student sends the same requests in the same order. The teacher's weights are sharded over its
processes, so each forward pass is a collective: with each process at the same request of one of its
students, all enter it together. Another order would let one gather weights that no other sends.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from c2r.models.attention import LatentMask
from trainer.dist.link import Link
from trainer.dist.parallel import World
from trainer.distill.settings import DistilConfig
from trainer.distill.student import CausalDenoiser, forcing_mask
from trainer.distill.teacher import Conditions, Teacher
from trainer.networks.assemble import frozen_denoiser
from trainer.networks.start import start_of
from trainer.pace import StopSignals
from trainer.settings import TrainConfig

END = "over"
"""The request that tells the teacher that a student is done."""


class RemoteTeacher:
    """As `Teacher`, for a student's process."""

    def __init__(self, link: Link, rank: int, device: torch.device) -> None:
        self.link, self.device = link, device
        self.place = link.teacher_of(rank)

    def clean(self, x: Tensor, levels: Tensor, given: Conditions) -> Tensor:
        """See `Teacher.clean`."""
        return self._request("clean", given, x=x, levels=levels)

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
        return self._request("forced", given, **more)

    def _request(self, question: str, given: Conditions, **more: Any) -> Tensor:
        self.link.send(self.place, {"question": question, **vars(given), **more})
        prediction = self.link.receive(self.place)["answer"]
        assert isinstance(prediction, Tensor)
        return prediction.to(self.device)


def end_requests(link: Link, rank: int) -> None:
    """Tell the teacher that the student of that rank has no more requests."""
    link.send(link.teacher_of(rank), {"question": END})


def serve_students(config: TrainConfig, distil: DistilConfig, world: World) -> None:
    """A teacher's process: build the teacher, answer until all its students are done."""
    assert world.link is not None
    folder = distil.teacher or config.start.folder
    if folder is None:
        raise ValueError("distil.teacher_ranks needs a teacher; name distil.teacher")
    start = start_of(config, folder)
    denoiser = frozen_denoiser(start.config, world, start, CausalDenoiser)
    teacher, mask = Teacher(denoiser, distil.guidance), forcing_mask(config)
    students = list(world.link.students_of(world.rank))
    with StopSignals():  # of a preemption: the students end with a checkpoint, and say so
        while students:
            for student in list(students):
                request = world.link.receive(student)
                if request["question"] == END:
                    students.remove(student)
                    continue
                with world.autocast(config.precision):
                    answer = _answer(teacher, request, mask, world.device)
                world.link.send(student, {"answer": answer})


def _answer(
    teacher: Teacher, request: dict[str, Any], mask: LatentMask, device: torch.device
) -> Tensor:
    moved: dict[str, Any] = {
        k: v.to(device) if isinstance(v, Tensor) else v for k, v in request.items()
    }
    question = moved.pop("question")
    given = Conditions(*(moved.pop(name) for name in Conditions.__dataclass_fields__))
    if question == "clean":
        return teacher.clean(given=given, **moved)
    return teacher.forced(given=given, mask=mask, **moved)
