"""`c2r bench`: how fast a preset runs here, everything counted.

Coarse frames are synthetic; speed does not depend on the weights, so random ones serve. The cache
is filled before the measured chunks begin.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from c2r.models.forward_pass import TextKV
from c2r.report import Report, percentiles
from runtime.options import add_network_options, networks_from
from runtime.pipeline import Pictures, Pipeline, VideoState

PROMPT = "a city street at noon, people walking, photorealistic"


@dataclass
class Measured:
    """What the measured chunks took, milliseconds; `chunk_ms` counts the K/V write in."""

    ttff_cold_ms: float = 0.0
    ttff_warm_ms: float = 0.0
    frames: int = 0
    chunk_ms: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    stages_ms: dict[str, list[float]] = field(default_factory=dict)


def coarse_frames(count: int, width: int, height: int, seed: int) -> Pictures:
    """Frames `[count, height, width, 3]` of flat boxes that move, from a seed."""
    draw = np.random.default_rng(seed)
    frames = np.full((count, height, width, 3), 90, np.uint8)
    for _ in range(8):
        left, top = draw.integers(0, width), draw.integers(0, height)
        wide, high = draw.integers(8, width // 4), draw.integers(8, height // 3)
        speed, colour = draw.integers(-4, 5), draw.integers(0, 256, 3)
        for index, frame in enumerate(frames):
            place = (left + speed * index) % width
            frame[top : top + high, place : place + wide] = colour
    return frames


def run_chunk(
    pipeline: Pipeline, state: VideoState, coarse: Pictures, text: TextKV, into: Measured
) -> None:
    """Render and finalize one chunk; record its times."""
    begin = time.perf_counter()
    rendered = pipeline.render(state, coarse, text)
    shown = time.perf_counter()
    write = pipeline.finalize(state, rendered)
    into.chunk_ms.append((time.perf_counter() - begin) * 1000)
    into.latency_ms.append((shown - begin) * 1000)
    into.frames += len(coarse)
    for name, value in {**rendered.stages_ms, "kv_write": write}.items():
        into.stages_ms.setdefault(name, []).append(value)


def first_frame(pipeline: Pipeline, coarse: Pictures, seed: int) -> float:
    """Milliseconds from opening a stream to its first pictures."""
    begin = time.perf_counter()
    state = pipeline.open(seed)
    text = pipeline.text(pipeline.prompt(PROMPT))
    pipeline.render(state, coarse[: pipeline.frames_wanted(state)], text)
    return (time.perf_counter() - begin) * 1000


def measure(pipeline: Pipeline, *, chunks: int, seed: int, console: Console) -> Measured:
    """Fill the cache, then measure `chunks` chunks."""
    preset, measured = pipeline.preset, Measured()
    coarse = coarse_frames(preset.chunk_frames(False), preset.width, preset.height, seed)
    measured.ttff_cold_ms = first_frame(pipeline, coarse, seed)
    measured.ttff_warm_ms = first_frame(pipeline, coarse, seed)
    state, text = pipeline.open(seed), pipeline.text(pipeline.prompt(PROMPT))
    fill = -(-preset.stream.window // preset.stream.chunk) + 1
    for index in track(range(fill + chunks), "measuring", console=console):
        wanted = pipeline.frames_wanted(state)
        run_chunk(pipeline, state, coarse[:wanted], text, measured if index >= fill else Measured())
    return measured


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
    """The report of a run without transport."""
    preset, networks = pipeline.preset, pipeline.networks
    name = torch.cuda.get_device_name() if pipeline.device.type == "cuda" else "cpu"
    return Report(
        preset=preset.name,
        weights="random: " + ", ".join(networks.random_parts) if networks.random_parts else "given",
        device=name,
        width=preset.width,
        height=preset.height,
        frames_sent=measured.frames,
        frames_rendered=measured.frames,
        frames_dropped=0,
        fps_steady=1000 * measured.frames / sum(measured.chunk_ms),
        ttff_ms=measured.ttff_warm_ms,
        latency_ms=percentiles(measured.latency_ms),
        stages_ms={stage: percentiles(values) for stage, values in measured.stages_ms.items()},
        left_out=("transport and codecs", "waiting for the frames of a chunk"),
        details={
            "ttff_cold_ms": measured.ttff_cold_ms,
            "chunk_ms": percentiles(measured.chunk_ms).__dict__,
            "chunks": len(measured.chunk_ms),
            "dtype": str(networks.dit.dtype).removeprefix("torch."),
            "peak_memory_gib": peak_memory_gib(pipeline.device),
            "threads": torch.get_num_threads(),
            **details,
        },
    )


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser("c2r bench", description=__doc__)
    parser.add_argument("--chunks", type=int, default=20, help="measured chunks (20)")
    parser.add_argument("--transport", choices=["none", "grpc"], default="none")
    parser.add_argument("--json", type=Path, help="write the report there")
    add_network_options(parser)
    chosen, rest = parser.parse_known_args(arguments)
    if chosen.chunks < 1:
        raise ValueError(f"--chunks {chosen.chunks}: measure at least one")
    console = Console(stderr=True)
    pipeline = Pipeline(networks_from(chosen, rest, console))
    measured = measure(pipeline, chunks=chosen.chunks, seed=chosen.seed, console=console)
    report = report_of(pipeline, measured, {"attention": chosen.attention, "transport": "none"})
    Console().print(report.table())
    if chosen.json is not None:
        report.write(chosen.json)
        console.print(f"wrote {chosen.json}")
    return 0
