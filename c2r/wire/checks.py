"""Checks of dataclass fields; each raises `WireError`."""

from __future__ import annotations

import math

from c2r.wire.errors import ErrorCode, WireError

UINT32_MAX = (1 << 32) - 1
UINT64_MAX = (1 << 64) - 1
MAX_SIDE = 16384
"""Pixels; no frame is wider or higher, whatever a server's limits."""


def require(condition: bool, message: str, field: str) -> None:
    """Refuse a value (`INVALID`) unless `condition` holds."""
    if not condition:
        raise WireError(ErrorCode.INVALID, message, field)


def check_whole(value: int, field: str, low: int = 0, high: int = UINT64_MAX) -> None:
    """A whole number in [low, high]."""
    require(low <= value <= high, f"is {value}; it must be in [{low}, {high}]", field)


def check_real(value: float, field: str, low: float = 0.0, high: float = math.inf) -> None:
    """A finite number in [low, high]."""
    good = math.isfinite(value) and low <= value <= high
    require(good, f"is {value}; it must be finite and in [{low:g}, {high:g}]", field)


def check_positive(value: float, field: str) -> None:
    """A finite number above 0."""
    good = math.isfinite(value) and value > 0
    require(good, f"is {value}; it must be finite and above 0", field)


def check_text(value: str, field: str, max_bytes: int | None = None) -> None:
    """Text that UTF-8 can hold (no lone surrogates), in at most `max_bytes`."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise WireError(ErrorCode.INVALID, "holds a lone surrogate; remove it", field) from error
    if max_bytes is not None and size > max_bytes:
        raise WireError(
            ErrorCode.TOO_LARGE, f"has {size} bytes of UTF-8; shorten it to {max_bytes}", field
        )
