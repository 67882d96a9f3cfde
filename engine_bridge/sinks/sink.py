"""What every sink of pictures is."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from c2r.wire.formats import Image


class Sink(Protocol):
    """Takes pictures [H, W, 3] uint8 in order; a context manager that closes itself."""

    def write(self, rgb: Image, frame_id: int) -> None:
        """The next picture; `frame_id` is that of its coarse frame."""
        ...

    def close(self) -> None:
        """Finish; closing twice is no error."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
