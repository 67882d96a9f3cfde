"""Checkpoints (torch.distributed.checkpoint, DCP): written beside training, whole or not at all.

A checkpoint is `checkpoints/step-00001000/`: it is written under a hidden name and renamed when
every process has written its shards. A run that is killed at any moment leaves either the new one
or, under the hidden name, rubbish that the next start removes; the one before is still there.

Trained weights, their optimiser and EMA, the sampler's place and random states are in it; frozen
weights are not: they are read again from where they were. Each process writes its own shards, and
DCP records where in the whole tensor they lie, so another number of processes can read it and gets
other shards of the same tensors. The optimiser's state is keyed by parameter names, not by the
order of parameters, for the same reason.
"""

from __future__ import annotations

import logging
import re
import shutil
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

from trainer.data.sampler import SamplerState
from trainer.dist.parallel import World, reshard
from trainer.optim import Optimiser
from trainer.settings import CheckpointConfig

log = logging.getLogger(__name__)

_NAME = re.compile(r"step-(\d{8})")
_DAMAGED = "damaged-"
_OPTIONS = StateDictOptions(ignore_frozen_params=True)


@dataclass(frozen=True)
class Progress:
    """Where a run is: steps done, and the sampler after them."""

    step: int
    sampler: SamplerState


def _own_copy(value: Any) -> Any:
    """Tensors on the CPU copied: the optimiser updates them in place while the checkpoint is
    written. DCP copies from GPUs itself, but writes CPU tensors from where they are, and a
    checkpoint would hold parameters of several steps.
    """
    if isinstance(value, dict):
        return {key: _own_copy(item) for key, item in value.items()}
    return value.clone() if isinstance(value, Tensor) and value.device.type == "cpu" else value


def _weights(optimisers: dict[str, Optimiser]) -> dict[str, Any]:
    """Everything that is a tensor, by part; loading fills these tensors in place."""
    weights: dict[str, Any] = {}
    for part, optimiser in optimisers.items():
        # After a pass without gradients FSDP leaves the root's weights whole; DCP wants shards.
        reshard(optimiser.module)
        weights[part] = {
            "model": {name: p.detach() for name, p in optimiser.parameters.items()},
            "ema": dict(optimiser.ema),
            "adam": get_optimizer_state_dict(
                optimiser.module, optimiser.optimisers, options=_OPTIONS
            ),
        }
    return weights


def _random(world: World) -> dict[str, Tensor]:
    states = {f"{world.rank}.cpu": torch.get_rng_state()}
    if world.device.type == "cuda":
        states[f"{world.rank}.cuda"] = torch.cuda.get_rng_state()
    return states


class Checkpoints:
    """The checkpoints of one run. Close it: the last one may still be on its way to the disk."""

    def __init__(self, folder: Path, config: CheckpointConfig, world: World) -> None:
        self.folder, self.config, self.world = folder / "checkpoints", config, world
        self._pending: tuple[Future[Any], Path] | None = None
        # Its own group: a thread writes it while training's collectives run. In one group the two
        # would meet in another order on each process, and hang.
        self._group = dist.new_group(backend="gloo") if world.layout.size > 1 else None
        if world.first:
            self.folder.mkdir(parents=True, exist_ok=True)
            for partial in self.folder.glob(".step-*"):  # left by a run that was killed
                shutil.rmtree(partial)
        world.wait()

    def steps(self) -> list[int]:
        """The whole checkpoints, oldest first."""
        found = (_NAME.fullmatch(path.name) for path in self.folder.glob("step-*"))
        return sorted(int(match[1]) for match in found if match)

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08}"

    def save(self, progress: Progress, optimisers: dict[str, Optimiser]) -> None:
        """Start to write; training continues. The checkpoint before is finished first."""
        self.settle()
        final = self._path(progress.step)
        partial = final.with_name(f".{final.name}")
        state: dict[str, Any] = {
            "parts": _own_copy(_weights(optimisers)),
            "random": _random(self.world),
            "step": progress.step,
            "drawn": progress.sampler.drawn,
            "fingerprint": progress.sampler.fingerprint,
        }
        begun = dcp.async_save(state, checkpoint_id=partial, process_group=self._group)
        assert isinstance(begun, Future)
        self._pending = begun, final

    def poll(self) -> None:
        """Finish a checkpoint whose writing is done; never waits."""
        if self._pending is not None and self._pending[0].done():
            self.settle()

    def settle(self) -> None:
        """Wait for the checkpoint under way; `OSError` when it could not be written.

        The first process writes the metadata when all have written their shards, and renames.
        """
        if self._pending is None:
            return
        (future, final), self._pending = self._pending, None
        try:
            future.result()
        except dcp.CheckpointException as error:  # no Exception: it would pass every handler
            reasons = "; ".join(str(failure[0]) for failure in error.failures.values())
            raise OSError(
                f"{final} could not be written: {reasons}. The checkpoint before it is kept; "
                "repair that, and run the same command again"
            ) from error
        if self.world.first:
            final.with_name(f".{final.name}").replace(final)
            for step in self.steps()[: -self.config.keep]:
                shutil.rmtree(self._path(step))
            log.info("checkpoint %s", final)

    def load(self, optimisers: dict[str, Optimiser]) -> Progress | None:
        """Fill the newest checkpoint that can be read into the optimisers' parts; None: none.

        One that cannot be read is reported and set aside, and the one before it is taken.
        `ValueError` when none can be read.
        """
        for step in reversed(self.steps()):
            path = self._path(step)
            try:
                return self._load(path, optimisers)
            except (dcp.CheckpointException, OSError, EOFError) as error:
                log.error("checkpoint %s cannot be read: %s", path, error)
            self._set_aside(path)
        if any(self.folder.glob(f"{_DAMAGED}*")):
            raise ValueError(
                f"none of the checkpoints in {self.folder} can be read; remove them to train from "
                "the start"
            )
        return None

    def _set_aside(self, path: Path) -> None:
        """Out of the way of the one that will be written for the same step."""
        self.world.wait()
        if self.world.first:
            aside = path.with_name(_DAMAGED + path.name)
            shutil.rmtree(aside, ignore_errors=True)
            path.replace(aside)
        self.world.wait()

    def _load(self, path: Path, optimisers: dict[str, Optimiser]) -> Progress:
        # Asking DCP for a key that is not there fails. With more processes than wrote it, the new
        # ones have no random state in it, and keep their own: nothing of training depends on it.
        known = dcp.FileSystemReader(path).read_metadata().state_dict_metadata
        state: dict[str, Any] = {
            "parts": _weights(optimisers),
            "step": 0,
            "drawn": 0,
            "fingerprint": "",
        }
        mine = _random(self.world)
        state["random"] = {k: v for k, v in mine.items() if f"random.{k}" in known}
        dcp.load(state, checkpoint_id=path)
        for part, optimiser in optimisers.items():
            adam = state["parts"][part]["adam"]
            set_optimizer_state_dict(optimiser.module, optimiser.optimisers, adam, options=_OPTIONS)
        for key, value in state["random"].items():
            if key.endswith(".cpu"):
                torch.set_rng_state(value)
            else:
                torch.cuda.set_rng_state(value)
        return Progress(state["step"], SamplerState(state["drawn"], state["fingerprint"]))
