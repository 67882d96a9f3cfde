"""Whether a chunk is made of numbers: one flag on the device, read on the host with its frames.

A NaN becomes a black pixel when frames become bytes, and keys and values carry it from chunk to
chunk. A value that is wrong anywhere before (weights, cached keys and values, control) shows in the
clean latents or in the decoded frames. The decoder limits its output, so an infinity of its very
last layer alone is a white pixel and is not found.
"""

from __future__ import annotations

import torch
from torch import Tensor


class NotFiniteError(ValueError):
    """A chunk has a NaN or an infinity in it; its stream has to be reset."""

    def __init__(self) -> None:
        super().__init__(
            "the renderer gave values that are not finite (NaN or infinity); if every chunk does, "
            "check the weights, or try --precision float32"
        )


def all_finite(clean: Tensor, decoded: Tensor) -> Tensor:
    """Whether clean latents and decoded frames are finite: one bool, not waited for."""
    return torch.isfinite(clean).all() & torch.isfinite(decoded).all()


def check_finite(flag: Tensor) -> None:
    """`NotFiniteError` unless the flag is true. Read it when the frames have come: it waits too."""
    if not bool(flag):
        raise NotFiniteError()
