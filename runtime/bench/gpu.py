"""`make bench-gpu`: is it right, how fast is it, and where does the time go, on one GPU.

Runs with PyTorch, transformers, numpy, grpcio and this repository; needs no weights and no
internet. Correctness comes first, then speed (gRPC on loopback included), a profile by stage, and
the choices for latency. What there was no time for is said. The same command runs on a CPU with
`--preset tiny --device cpu --quick`, where a stand-in replaces the graphs.
"""

from __future__ import annotations

import argparse
import copy
import gc
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from c2r.command_line import ArgumentParser
from c2r.models.build import Networks
from c2r.models.configs import Preset
from c2r.models.presets import PRESETS, get_preset
from runtime.bench import gpu_checks as checks
from runtime.bench.gpu_profile import SynchronizedStreams, ceilings, profile
from runtime.bench.gpu_report import Findings, SpeedRow, tables
from runtime.bench.latency_sweep import SETTINGS, Setting, sweep
from runtime.bench.measured import Measured
from runtime.bench.over_grpc import measure_grpc
from runtime.bench.pipeline_alone import measure_local
from runtime.bench.results import write_json
from runtime.bench.synthetic import coarse_chunk, drawn_networks
from runtime.graphs.capture import CudaGraphs
from runtime.graphs.graphed_pipeline import GraphedPipeline
from runtime.pipeline.pipeline import Pipeline
from runtime.pipeline.tuning import DTYPES, PRECISIONS, default_dtype, tune


class Bench:
    """One run: what was asked for, what was found so far, and how long there is."""

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
        self.networks = drawn_networks(preset, chosen.seed, self.device, dtype)
        self._tuned: dict[str, Networks] = {}

    @property
    def elapsed_s(self) -> float:
        """Since the beginning."""
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

    def coarse(self, preset: Preset | None = None) -> Any:
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
        """Recorded, with a line of progress."""

        def say(name: str, done: int, count: int) -> None:
            if done in (0, count):
                self.say(f"graphs: {done} of {count}")

        return GraphedPipeline(networks, say=say, **parts)


def check(bench: Bench) -> None:
    """Correctness: graphs, streams, waits; then FP8 and fast kernels against the plain rollout."""
    found, seed, coarse = bench.found, bench.chosen.seed, bench.coarse()
    plain = Pipeline(bench.networks)
    expected: list[checks.Rolled] = []

    def graphs() -> None:
        graphed = bench.graphed(bench.networks)
        found.checks.append(checks.graph_equals_eager(graphed, plain, coarse, seed))
        found.checks.append(checks.streams_are_apart(graphed, coarse, (1, 2, 3)))
        found.checks.extend(checks.nothing_waits(graphed, coarse, seed))

    def against_plain(name: str, precision: str, least: float) -> None:
        chunks = checks.enough_chunks(plain)
        if not expected:
            expected.append(checks.rolled(plain, coarse, seed, chunks))
        other = checks.rolled(Pipeline(bench.tuned(precision)), coarse, seed, chunks)
        agree = checks.compared(name, other, expected[0], lambda _, cosine: cosine >= least)
        found.checks.append(agree)

    bench.part("check: graphs", graphs, needs_s=20)
    for name, precision, least in (
        ("FP8 = plain", "fp8", checks.FP8_COSINE),
        ("fast kernels = plain", bench.found.dtype, checks.KERNELS_COSINE),
    ):
        if precision in bench.precisions:

            def compare(name: str = name, precision: str = precision, least: float = least) -> None:
                against_plain(name, precision, least)

            bench.part(f"check: {name}", compare, needs_s=20)


def speed(bench: Bench) -> None:
    """Each precision at 4 steps and at 2, with and without transport."""
    stream = bench.preset.stream
    for precision in bench.precisions:
        for steps in (4, 2):
            setting = Setting(stream.chunk, stream.window, steps)

            def measure(precision: str = precision, setting: Setting = setting) -> None:
                if bench.cuda:
                    torch.cuda.reset_peak_memory_stats(bench.device)
                name = f"{precision}, {setting.steps} steps"
                networks = bench.tuned(precision, setting.of(bench.preset))
                measure_both(bench, bench.graphed(networks), name)

            bench.part(f"speed: {precision}, {steps} steps", measure, needs_s=30)


def measure_both(bench: Bench, pipeline: Pipeline, name: str) -> None:
    """The pipeline alone, and with gRPC on loopback."""
    chosen, coarse = bench.chosen, bench.coarse(pipeline.preset)
    for transport, run in (("none", measure_local), ("grpc", measure_grpc)):
        measured = run(
            pipeline, coarse, chunks=chosen.chunks, seed=chosen.seed, on_chunk=lambda: None
        )
        peak = torch.cuda.max_memory_allocated(bench.device) / 2**30 if bench.cuda else None
        bench.found.speed.append(speed_row(name, transport, measured, peak))
        bench.say(f"{name}, transport {transport}: {bench.found.speed[-1].fps:.1f} FPS")


def speed_row(name: str, transport: str, measured: Measured, peak_gib: float | None) -> SpeedRow:
    """What was measured, in one row."""
    p50, p99 = np.percentile(measured.chunk_ms, (50, 99))
    return SpeedRow(
        name=name,
        transport=transport,
        fps=1000 * measured.frames_rendered / measured.busy_ms,
        chunk_p50_ms=float(p50),
        chunk_p99_ms=float(p99),
        latency_p50_ms=float(np.percentile(measured.latency_ms, 50)),
        first_picture_ms=measured.ttff_warm_ms,
        peak_gib=peak_gib,
    )


def stages(bench: Bench) -> None:
    """Every stage by itself, in the first precision."""

    def measure() -> None:
        bench.found.ceilings = ceilings(bench.device, bench.dtype)
        parts: dict[str, Any] = {}
        if bench.cuda:
            streams = SynchronizedStreams(bench.device)
            parts = {"runner": streams, "capture": CudaGraphs(streams)}
        pipeline = bench.graphed(bench.tuned(bench.precisions[0]), **parts)
        product, chunks = bench.found.ceilings.product_tflops, bench.chosen.chunks
        bench.found.stages = profile(pipeline, bench.coarse(), bench.chosen.seed, chunks, product)

    bench.part("profile by stage", measure, needs_s=30)


def choices(bench: Bench) -> None:
    """The sweep, in the first precision, for as long as there is time."""
    chosen = bench.chosen
    for setting in SETTINGS[:2] if chosen.quick else SETTINGS:

        def measure(setting: Setting = setting) -> None:
            networks = bench.tuned(bench.precisions[0], setting.of(bench.preset))
            bench.found.sweep += sweep(
                [setting],
                lambda _: bench.graphed(networks),
                bench.coarse,
                chunks=chosen.chunks,
                rate=chosen.rate,
                seed=chosen.seed,
                on_row=lambda row: bench.say(f"{row.fps:.1f} FPS, seen in {row.visible_ms:.0f} ms"),
            )

        bench.part(f"sweep: {setting}", measure, needs_s=25)


def parser() -> ArgumentParser:
    """The command's options."""
    options = ArgumentParser("bench-gpu", __doc__)
    options.add_argument("--preset", choices=list(PRESETS), default="wan-1.3b")
    options.add_argument("--device", default="cuda", help="cuda, cuda:1 ... or cpu (cuda)")
    precision = options.add_argument("--precision", nargs="+", choices=PRECISIONS)
    precision.help = "of all networks; fp8: of the DiT's products (bfloat16 fp8, float32 off CUDA)"
    options.add_argument("--chunks", type=int, default=40, help="measured chunks (40)")
    options.add_argument("--rate", type=float, default=24.0, help="the game's frames a second (24)")
    options.add_argument("--budget", type=float, default=450.0, help="seconds, in all (450)")
    options.add_argument("--quick", action="store_true", help="3 chunks, two rows of the sweep")
    options.add_argument("--seed", type=int, default=0, help="of weights, noise and frames (0)")
    options.add_argument("--json", type=Path, default=Path("out/bench-gpu.json"))
    return options


def chosen_precisions(given: Sequence[str] | None, device: torch.device) -> tuple[str, ...]:
    """What is measured, the type of all networks first; `ValueError` for two such types."""
    default = str(default_dtype(device)).removeprefix("torch.")
    if given is None:
        return default, "fp8"
    types = [name for name in dict.fromkeys(given) if name != "fp8"]
    if len(types) > 1:
        raise ValueError(f"--precision {' '.join(types)}: one type at a time, and fp8 beside it")
    return (*types, *(["fp8"] if "fp8" in given else []))


def run(chosen: argparse.Namespace, preset: Preset) -> Findings:
    """Everything that was asked for, of one preset."""
    if chosen.quick:
        chosen.chunks = min(3, chosen.chunks)
    bench = Bench(chosen, preset)
    for step in (check, speed, stages, choices):
        step(bench)
    print(tables(bench.found), flush=True)
    return bench.found


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 when a check did not pass or a part failed, 2 for the user's mistake."""
    try:
        chosen = parser().parse_args(arguments)
        chosen_precisions(chosen.precision, torch.device(chosen.device))
    except ValueError as error:
        print(f"bench-gpu: {error}", file=sys.stderr)
        return 2
    if torch.device(chosen.device).type == "cuda" and not torch.cuda.is_available():
        print(
            "bench-gpu: PyTorch sees no GPU; --device cpu --preset tiny --quick tries it on a CPU"
        )
        return 2
    return 0 if run(chosen, get_preset(chosen.preset)).sound else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
