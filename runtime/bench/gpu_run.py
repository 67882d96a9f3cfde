"""One run of `make bench-gpu`: its networks, what was found so far, and how much time is left."""

from __future__ import annotations

import argparse
import copy
import gc
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch

from c2r.models.build import Networks
from c2r.models.configs import Preset
from runtime.bench.report import Findings, write_json
from runtime.bench.synthetic import coarse_chunk, random_networks
from runtime.core import Frames
from runtime.graphs.graphed_pipeline import GraphedPipeline
from runtime.pipeline.tuning import DTYPES, default_dtype, tune


def chosen_precisions(given: Sequence[str] | None, device: torch.device) -> tuple[str, ...]:
    """What is measured, the type of all networks first; `ValueError` for two such types."""
    default = str(default_dtype(device)).removeprefix("torch.")
    if given is None:
        return default, "fp8"
    types = [name for name in dict.fromkeys(given) if name != "fp8"]
    if len(types) > 1:
        raise ValueError(f"--precision {' '.join(types)}: one type at a time, and fp8 beside it")
    return (*types, *(["fp8"] if "fp8" in given else []))


class GpuRun:
    """What was asked for, what was found so far, and how long there is."""

    def __init__(self, chosen: argparse.Namespace, preset: Preset) -> None:
        self.begun_s = time.monotonic()
        self.chosen, self.preset = chosen, preset
        self.device = torch.device(chosen.device)
        self.cuda = self.device.type == "cuda"
        self.precisions = chosen_precisions(chosen.precision, self.device)
        dtype = DTYPES.get(self.precisions[0], default_dtype(self.device))
        name = torch.cuda.get_device_name(self.device) if self.cuda else platform.machine()
        versions = {"python": platform.python_version(), "torch": torch.__version__}
        self.dtype = dtype
        self.found = Findings(preset.name, name, str(dtype).removeprefix("torch."), versions)
        self.networks = random_networks(preset, chosen.seed, self.device, dtype)
        self._tuned: dict[str, Networks] = {}

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.begun_s

    def say(self, words: str) -> None:
        """A line of progress."""
        print(f"[{self.elapsed_s:5.0f} s] {words}", file=sys.stderr, flush=True)

    def part(self, what: str, work: Callable[[], None], *, needs_s: float) -> None:
        """One part of the run, if there is time for it. An error ends the part, not the run."""
        if self.elapsed_s + needs_s > self.chosen.budget:
            self.found.left_out.append(f"{what}: no time left of {self.chosen.budget:.0f} s")
            return
        self.say(what)
        try:
            work()
        except (RuntimeError, ValueError, AssertionError, NotImplementedError) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            self.found.failed.append(f"{what}: {reason}")
            self.say(self.found.failed[-1])
        gc.collect()
        if self.cuda:
            torch.cuda.empty_cache()
        self.found.seconds = self.elapsed_s
        write_json(self.chosen.json, asdict(self.found))

    def coarse(self, preset: Preset | None = None) -> Frames:
        """Frames of one later chunk."""
        return coarse_chunk(preset or self.preset, self.chosen.seed)

    def tuned(self, precision: str, preset: Preset | None = None) -> Networks:
        """The networks with the fastest kernels that are here, streamed as a preset says.

        FP8 gets a copy of the DiT. Any other precision changes the DiT itself, so everything that
        needs the untuned one has to run before.
        """
        if precision not in self._tuned:
            networks = self.networks
            if precision == "fp8":
                networks = replace(networks, dit=copy.deepcopy(networks.dit))
            how = tune(networks, precision, self.coarse())
            self.found.tuning[precision] = asdict(how)
            self._tuned[precision] = networks
        return replace(self._tuned[precision], preset=preset or self.preset)

    def graphed(self, networks: Networks, **parts: Any) -> GraphedPipeline:
        """The pipeline from CUDA graphs, with a line of progress."""

        def say(name: str, done: int, count: int) -> None:
            if done in (0, count):
                self.say(f"graphs: {done} of {count}")

        return GraphedPipeline(networks, say=say, **parts)
