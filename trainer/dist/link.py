"""Messages between two process groups: the students', which send requests, and the teacher's.

Each has its own default group, mesh and collectives, so sharding and checkpoints of the students
know nothing of the teacher; this link (gloo, through main memory) is all they share.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, cast

import torch
import torch.distributed as dist
from torch import Tensor

PATIENCE = timedelta(hours=6)
"""How long a side waits for the other, which may load, compile or write a checkpoint meanwhile."""
LENGTH, BODY = 0, 1
"""Tags of a message's two parts."""


class Messages(Protocol):
    """What a link needs of a process group."""

    def send(self, tensors: list[Tensor], rank: int, tag: int) -> dist.Work:
        """Begin to send one tensor, given in a list."""

    def recv(self, tensors: list[Tensor], rank: int, tag: int) -> dist.Work:
        """Begin to receive into one tensor, given in a list."""


@dataclass(frozen=True)
class Link:
    """`students` count first in `group`, `teachers` on behind them."""

    group: Messages
    students: int
    teachers: int

    def teacher_of(self, student: int) -> int:
        """The rank in `group` of the process that answers a student."""
        return self.students + student % self.teachers

    def students_of(self, teacher: int) -> range:
        """The students that the teacher of that rank answers, in turn."""
        return range(teacher, self.students, self.teachers)

    def send(self, to: int, message: dict[str, Any]) -> None:
        """A message of tensors and plain values, on the CPU while it travels."""
        file = io.BytesIO()
        torch.save({k: v.cpu() if isinstance(v, Tensor) else v for k, v in message.items()}, file)
        body = torch.frombuffer(file.getbuffer(), dtype=torch.uint8)
        try:
            self.group.send([torch.tensor([len(body)])], to, LENGTH).wait()
            self.group.send([body], to, BODY).wait()
        except RuntimeError as error:
            raise _broken(error) from error

    def receive(self, source: int) -> dict[str, Any]:
        """The next message of a process, its tensors on the CPU."""
        length = torch.zeros(1, dtype=torch.long)
        try:
            self.group.recv([length], source, LENGTH).wait()
            body = torch.empty(int(length), dtype=torch.uint8)
            self.group.recv([body], source, BODY).wait()
        except RuntimeError as error:
            raise _broken(error) from error
        file = io.BytesIO(body.numpy().tobytes())
        message: dict[str, Any] = torch.load(file, weights_only=True)
        return message


def open_link(store: dist.Store, rank: int, students: int, teachers: int) -> Link:
    """Called by every process of both groups, `rank` counted over both."""
    prefixed, size = dist.PrefixStore("link", store), students + teachers
    group = dist.ProcessGroupGloo(prefixed, rank, size, PATIENCE)
    return Link(cast("Messages", group), students, teachers)


def _broken(error: RuntimeError) -> ConnectionError:
    return ConnectionError(
        "the link between student and teacher is broken; if a process on its other side has ended, "
        f"that one's own message says why ({error})"
    )
