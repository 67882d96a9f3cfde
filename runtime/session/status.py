"""The one place that turns faults into gRPC status codes."""

from __future__ import annotations

from enum import StrEnum

import grpc

from c2r.wire import ErrorCode, WireError


class Refusal(StrEnum):
    """Why a stream is refused or cut off, when no message is to blame."""

    FULL = "full"
    STOPPING = "stopping"
    NO_OPEN = "no_open"
    NOT_READING = "not_reading"
    NO_MEMORY = "no_memory"
    FAULT = "fault"


class RefusedError(Exception):
    """A stream ends with a status; `message` says what to do."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.message = message


STATUS: dict[ErrorCode | Refusal, grpc.StatusCode] = {
    ErrorCode.UNSPECIFIED: grpc.StatusCode.UNKNOWN,
    ErrorCode.MALFORMED: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.UNSUPPORTED: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.OUT_OF_ORDER: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.NEEDS_KEYFRAME: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.INTERNAL: grpc.StatusCode.INTERNAL,
    # Whoever meets these may well succeed a little later.
    Refusal.FULL: grpc.StatusCode.UNAVAILABLE,
    Refusal.STOPPING: grpc.StatusCode.UNAVAILABLE,
    Refusal.NO_OPEN: grpc.StatusCode.DEADLINE_EXCEEDED,
    Refusal.NOT_READING: grpc.StatusCode.DEADLINE_EXCEEDED,
    Refusal.NO_MEMORY: grpc.StatusCode.UNAVAILABLE,
    Refusal.FAULT: grpc.StatusCode.INTERNAL,
}


def status_of(error: WireError | RefusedError) -> tuple[grpc.StatusCode, str]:
    """Code and details of the status that a fault ends a stream with."""
    if isinstance(error, WireError):
        return STATUS[error.code], str(error)
    return STATUS[error.refusal], error.message
