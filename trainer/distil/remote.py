"""A teacher on processes of its own: students ask over a link, the teacher's processes answer.

Asking is in step: every student asks the same questions in the same order, so the teacher's
processes, over which its weights are sharded, are all at work on one student each.
"""

from __future__ import annotations

import io
from typing import Any

import torch
from torch import Tensor

from c2r.models.attention import LatentMask
from trainer.assemble import frozen_denoiser
from trainer.distil.student import CausalDenoiser, forcing_mask
from trainer.distil.teacher import Conditions, Teacher
from trainer.parallel import Link, World
from trainer.settings import TrainConfig
from trainer.start import start_of

LENGTH, BODY = 0, 1
"""Tags of a message's two halves."""
OVER = "over"


def send(link: Link, to: int, message: dict[str, Any]) -> None:
    """A message of tensors and plain values, on the CPU while it travels."""
    file = io.BytesIO()
    on_cpu = {k: v.cpu() if isinstance(v, Tensor) else v for k, v in message.items()}
    torch.save(on_cpu, file)
    body = torch.frombuffer(bytearray(file.getbuffer()), dtype=torch.uint8)
    try:
        link.group.send([torch.tensor([len(body)])], to, LENGTH).wait()
        link.group.send([body], to, BODY).wait()
    except RuntimeError as error:
        raise _gone() from error


def receive(link: Link, source: int) -> dict[str, Any]:
    """The next message of a process, its tensors on the CPU."""
    length = torch.zeros(1, dtype=torch.long)
    try:
        link.group.recv([length], source, LENGTH).wait()
        body = torch.empty(int(length), dtype=torch.uint8)
        link.group.recv([body], source, BODY).wait()
    except RuntimeError as error:
        raise _gone() from error
    found: dict[str, Any] = torch.load(io.BytesIO(body.numpy().tobytes()), weights_only=True)
    return found


def _gone() -> ConnectionError:
    return ConnectionError(
        "a process on the other side of the teacher's link has ended; its own message says why"
    )


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
        send(self.link, self.place, {"question": question, **vars(given), **more})
        found = receive(self.link, self.place)["answer"]
        assert isinstance(found, Tensor)
        return found.to(self.device)


def end_questions(link: Link, rank: int) -> None:
    """Tell the teacher that the student of that rank asks no more."""
    send(link, link.teacher_of(rank), {"question": OVER})


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
            asked = receive(world.link, student)
            question = asked.pop("question")
            if question == OVER:
                asking.remove(student)
                continue
            moved = {
                k: v.to(world.device) if isinstance(v, Tensor) else v for k, v in asked.items()
            }
            given = Conditions(*(moved.pop(name) for name in Conditions.__dataclass_fields__))
            if question == "forced":
                moved["mask"] = mask
            with world.autocast(config.precision):
                found = getattr(teacher, question)(given=given, **moved)
            send(world.link, student, {"answer": found})
