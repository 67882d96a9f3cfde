"""Checkpoints of small networks, written the ways that published ones are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from c2r.models.dit import DiT
from tests.small_networks import make_dit

State = dict[str, Tensor]


def same_values(module: nn.Module, state: State, dtype: torch.dtype = torch.float32) -> bool:
    """Whether the module holds exactly these names and values, all of `dtype`."""
    found = module.state_dict()
    return found.keys() == state.keys() and all(
        found[name].dtype == dtype and torch.equal(found[name], state[name].to(dtype))
        for name in state
    )


@pytest.fixture
def dit() -> DiT:
    return make_dit()


@pytest.fixture
def same() -> Callable[..., bool]:
    return same_values


@pytest.fixture
def state(dit: DiT) -> State:
    """The small DiT's state dict, under the official names."""
    return {name: tensor.clone() for name, tensor in dit.state_dict().items()}


@pytest.fixture
def official(tmp_path: Path, state: State) -> Path:
    """That state dict as a file with a name that says nothing."""
    path = tmp_path / "official" / "weights.safetensors"
    path.parent.mkdir()
    save_file(state, path)
    return path
