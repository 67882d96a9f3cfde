"""`c2r bench`: how fast a preset runs here, everything counted.

Coarse frames are synthetic; speed does not depend on the weights, so random ones serve. The cache
is filled before the measured chunks begin. What the times do not contain is said in the report.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress

from c2r.report import Report, percentiles, processor_name
from runtime.bench_grpc import measure_grpc
from runtime.bench_local import chunks_to_fill, measure_local
from runtime.measured import Measured
from runtime.options import add_network_options, pipeline_from
from runtime.pipeline import Pictures, Pipeline

TRANSPORTS = {"none": measure_local, "grpc": measure_grpc}


def coarse_frames(count: int, width: int, height: int, seed: int) -> Pictures:
    """Frames `[count, height, width, 3]` of flat boxes that move, from a seed."""
    draw = np.random.default_rng(seed)
    frames = np.full((count, height, width, 3), 90, np.uint8)
    for _ in range(8):
        left, top = draw.integers(0, width), draw.integers(0, height)
        wide, high = draw.integers(1, width // 4 + 2), draw.integers(1, height // 3 + 2)
        speed, colour = draw.integers(-4, 5), draw.integers(0, 256, 3)
        for index, frame in enumerate(frames):
            place = (left + speed * index) % width
            frame[top : top + high, place : place + wide] = colour
    return frames


def peak_memory_gib(device: torch.device) -> float | None:
    """Most memory taken so far: of the CUDA device, else of the process; None where unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    if sys.platform == "win32":
        return None
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 2**30 if sys.platform == "darwin" else used / 2**20


def report_of(pipeline: Pipeline, measured: Measured, details: dict[str, object]) -> Report:
    """The run as a report; `details` are added to what is known here."""
    preset, networks = pipeline.preset, pipeline.networks
    cuda = pipeline.device.type == "cuda"
    name = torch.cuda.get_device_name() if cuda else f"cpu: {processor_name()}"
    return Report(
        preset=preset.name,
        weights="random: " + ", ".join(networks.random_parts) if networks.random_parts else "given",
        device=name,
        width=preset.width,
        height=preset.height,
        frames_sent=measured.frames_sent,
        frames_rendered=measured.frames_rendered,
        frames_dropped=measured.frames_dropped,
        fps_steady=1000 * measured.frames_rendered / measured.busy_ms,
        ttff_ms=measured.ttff_warm_ms,
        latency_ms=percentiles(measured.latency_ms),
        stages_ms={stage: percentiles(values) for stage, values in measured.stages_ms.items()},
        left_out=measured.left_out,
        details={
            "ttff_cold_ms": measured.ttff_cold_ms,
            "dtype": str(networks.dit.dtype).removeprefix("torch."),
            "peak_memory_gib": peak_memory_gib(pipeline.device),
            "threads": torch.get_num_threads(),
            **details,
        },
    )


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser("c2r bench", description=__doc__, allow_abbrev=False)
    parser.add_argument("--chunks", type=int, default=20, help="measured chunks (20)")
    transport = parser.add_argument("--transport", choices=list(TRANSPORTS), default="grpc")
    transport.help = "none: the pipeline alone; grpc: a server and a client on loopback (grpc)"
    parser.add_argument("--json", type=Path, help="write the report there")
    add_network_options(parser)
    chosen, rest = parser.parse_known_args(arguments)
    if chosen.chunks < 1:
        raise ValueError(f"--chunks {chosen.chunks}: measure at least one")
    console = Console(stderr=True)
    pipeline = pipeline_from(chosen, rest, console)
    preset = pipeline.preset
    coarse = coarse_frames(preset.chunk_frames(False), preset.width, preset.height, chosen.seed)
    with Progress(console=console) as progress:
        bar = progress.add_task("measuring", total=chunks_to_fill(pipeline) + chosen.chunks)
        measured = TRANSPORTS[chosen.transport](
            pipeline,
            coarse,
            chunks=chosen.chunks,
            seed=chosen.seed,
            on_chunk=lambda: progress.advance(bar),
        )
        progress.update(bar, completed=chunks_to_fill(pipeline) + chosen.chunks)
    details = {key: getattr(chosen, key) for key in ("attention", "backend", "transport")}
    report = report_of(pipeline, measured, {**details, "chunks": chosen.chunks})
    Console().print(report.table())
    for missing in report.left_out:
        console.print(f"left out: {missing}")
    if chosen.json is not None:
        report.write(chosen.json)
        console.print(f"wrote {chosen.json}")
    return 0
