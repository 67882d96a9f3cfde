"""What can be wrong with a message: one exception, one list of kinds.

Knows nothing of gRPC; the server maps `ErrorCode` to a status in one place.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    """Kinds of fault; `renderer.proto` says when each applies."""

    UNSPECIFIED = "unspecified"
    MALFORMED = "malformed"
    INVALID = "invalid"
    UNSUPPORTED = "unsupported"
    TOO_LARGE = "too_large"
    OUT_OF_ORDER = "out_of_order"
    NEEDS_KEYFRAME = "needs_keyframe"
    INTERNAL = "internal"


@dataclass(frozen=True)
class Fault:
    """A fault as it travels in a reply.

    `message` says what to change; `field` is a path inside the message at fault, or empty.
    """

    code: ErrorCode
    message: str
    field: str = ""


class WireError(ValueError):
    """A message, or a value for one, breaks the contract.

    `field` is the path of the value at fault, for example `camera.fov_y`; empty if none is.
    """

    def __init__(self, code: ErrorCode, message: str, field: str = "") -> None:
        super().__init__(code, message, field)
        self.code = code
        self.message = message
        self.field = field

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message

    @property
    def fault(self) -> Fault:
        """This error as it is sent in a reply."""
        return Fault(self.code, self.message, self.field)

    def inside(self, name: str) -> WireError:
        """The same error with `name` in front of its field path."""
        path = f"{name}.{self.field}" if self.field else name
        return WireError(self.code, self.message, path)
