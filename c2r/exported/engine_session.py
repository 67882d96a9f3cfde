"""The interface of one exported engine: input tensors by name, output tensors by name.

Sessions take addresses, not values: inputs and outputs stay on the device, in memory that the
caller owns. An output that is an alias of an input is given the same tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from c2r.exported.manifest import EngineEntry, TensorSpec


class EngineSession(Protocol):
    """An engine of any kind."""

    entry: EngineEntry

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """Fill `outputs` from `inputs`, all contiguous and on the session's device."""


def sizes_of(entry: EngineEntry, inputs: Mapping[str, Tensor]) -> dict[str, int]:
    """Values of the dynamic sizes, from the inputs.

    Inputs come from our own code, so a wrong one is an assertion, not a user's mistake.
    """
    sizes: dict[str, int] = {}
    for spec in entry.inputs:
        tensor = inputs[spec.name]
        assert len(tensor.shape) == len(spec.shape), (spec, tuple(tensor.shape))
        assert str(tensor.dtype) == f"torch.{spec.dtype}", (spec, tensor.dtype)
        assert tensor.is_contiguous(), spec
        for side, size in zip(spec.shape, tensor.shape, strict=True):
            if isinstance(side, str):
                assert sizes.setdefault(side, size) == size, (spec, tuple(tensor.shape))
            else:
                assert side == size, (spec, tuple(tensor.shape))
    assert not entry.profiles or sizes in [dict(profile) for profile in entry.profiles], sizes
    return sizes


def empty_output(spec: TensorSpec, sizes: Mapping[str, int], device: torch.device) -> Tensor:
    """Uninitialised memory for an output."""
    shape = [sizes[side] if isinstance(side, str) else side for side in spec.shape]
    return torch.empty(shape, dtype=getattr(torch, spec.dtype), device=device)
