"""Python's enums and their numbers on the wire, matched by name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, TypeVar

from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.events import EndReason, WarningCode
from c2r.wire.formats import Codec, DepthFormat, PixelFormat, RowOrder, SideChannel
from c2r.wire.frames import ResetReason
from c2r.wire.replies import DropReason
from c2r.wire.v1 import renderer_pb2 as pb

E = TypeVar("E", bound=StrEnum)

WIRE_ENUMS: dict[type[StrEnum], Any] = {
    Codec: pb.Codec,
    DepthFormat: pb.DepthFormat,
    DropReason: pb.DropReason,
    EndReason: pb.EndReason,
    ErrorCode: pb.ErrorCode,
    PixelFormat: pb.PixelFormat,
    ResetReason: pb.ResetReason,
    RowOrder: pb.RowOrder,
    SideChannel: pb.SideChannel,
    WarningCode: pb.WarningCode,
}


def _numbers(cls: type[StrEnum]) -> dict[str, int]:
    wire = WIRE_ENUMS[cls]
    prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", wire.DESCRIPTOR.name).upper()
    return {member.name: wire.Value(f"{prefix}_{member.name}") for member in cls}


_NUMBERS = {cls: _numbers(cls) for cls in WIRE_ENUMS}
_NAMES = {cls: {number: name for name, number in _NUMBERS[cls].items()} for cls in WIRE_ENUMS}


def number_of(member: StrEnum) -> Any:
    """The wire's number for a member: an int, which the stubs give a type of its own."""
    return _NUMBERS[type(member)][member.name]


def known_members(cls: type[E], numbers: Iterable[int]) -> tuple[E, ...]:
    """The members for `numbers`, in order, without unknown ones (of newer peers)."""
    names = _NAMES[cls]
    return tuple(cls[names[number]] for number in numbers if number in names)


def member_of(cls: type[E], number: int, field: str) -> E:
    """The member for a number from the wire.

    An unknown one is `UNSPECIFIED` where the enum has that, else `UNSUPPORTED`.
    """
    name = _NAMES[cls].get(number)
    if name is None and "UNSPECIFIED" in cls.__members__:
        name = "UNSPECIFIED"
    if name is None:
        known = ", ".join(cls)
        message = f"is {number}, which this side does not know; use one of: {known}"
        raise WireError(ErrorCode.UNSUPPORTED, message, field)
    return cls[name]
