"""`make bench-gpu`: is it right, how fast is it, and where does the time go, on one GPU.

Runs with PyTorch, transformers, numpy, grpcio and this repository; needs no weights and no
internet. Correctness comes first, then speed (gRPC on loopback included), a profile by stage, and
the choices for latency. What there was no time for is said. The same command runs on a CPU with
`--preset tiny --device cpu --quick`, where plain calls replace the graphs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from c2r.command_line import ArgumentParser
from c2r.models.configs import Preset
from c2r.models.presets import PRESETS, get_preset
from runtime.bench import parity
from runtime.bench.gpu_profile import SynchronizedStreams, ceilings, profile
from runtime.bench.gpu_run import GpuRun, chosen_precisions
from runtime.bench.latency_sweep import SETTINGS, Setting, sweep
from runtime.bench.measure import Measured, measure_local
from runtime.bench.over_grpc import measure_grpc
from runtime.bench.report import Findings, SpeedRow, tables
from runtime.graphs.capture import CudaGraphs
from runtime.pipeline.pipeline import Pipeline
from runtime.pipeline.tuning import PRECISIONS


def check(bench: GpuRun) -> None:
    """Correctness: graphs, streams, waits; then FP8 and fast kernels compared with eager."""
    found, seed, coarse = bench.found, bench.chosen.seed, bench.coarse()
    plain = Pipeline(bench.networks)
    expected: list[parity.StreamOutput] = []

    def graphs() -> None:
        graphed = bench.graphed(bench.networks)
        found.checks.append(parity.graph_equals_eager(graphed, plain, coarse, seed))
        found.checks.append(parity.streams_are_apart(graphed, coarse, (1, 2, 3)))
        found.checks.extend(parity.nothing_waits(graphed, coarse, seed))

    def against_plain(name: str, precision: str, least: float) -> None:
        chunks = parity.enough_chunks(plain)
        if not expected:
            expected.append(parity.stream_output(plain, coarse, seed, chunks))
        other = parity.stream_output(Pipeline(bench.tuned(precision)), coarse, seed, chunks)
        agree = parity.compared(name, other, expected[0], lambda _, cosine: cosine >= least)
        found.checks.append(agree)

    bench.part("check: graphs", graphs, needs_s=20)
    for name, precision, least in (
        ("FP8 = plain", "fp8", parity.FP8_COSINE),
        ("fast kernels = plain", bench.found.dtype, parity.KERNELS_COSINE),
    ):
        if precision in bench.precisions:

            def compare(name: str = name, precision: str = precision, least: float = least) -> None:
                against_plain(name, precision, least)

            bench.part(f"check: {name}", compare, needs_s=20)


def speed(bench: GpuRun) -> None:
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


def measure_both(bench: GpuRun, pipeline: Pipeline, name: str) -> None:
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


def stages(bench: GpuRun) -> None:
    """Every stage alone, in the first precision."""

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


def choices(bench: GpuRun) -> None:
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


def run(chosen: argparse.Namespace, preset: Preset) -> Findings:
    """Everything that was asked for, of one preset."""
    if chosen.quick:
        chosen.chunks = min(3, chosen.chunks)
    bench = GpuRun(chosen, preset)
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
