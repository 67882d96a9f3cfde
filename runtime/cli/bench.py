"""`c2r bench`: how fast a preset runs here, everything counted.

Coarse frames are synthetic; speed does not depend on the weights, so random ones serve. The cache
is filled before the measured chunks begin. What the times do not contain is said in the report.
`--compare BACKEND` sets backends side by side, stage by stage; `--sweep` the choices for latency.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from c2r.command_line import ArgumentParser, option_names, refuse
from c2r.report import Report, percentiles, processor_name
from runtime.bench.backends import check_compared, compare_backends, table_of, write_rows
from runtime.bench.latency_sweep import HEAD, SETTINGS, SWEPT, Setting, cells, sweep
from runtime.bench.measure import Measured, chunks_to_fill, measure_local
from runtime.bench.over_grpc import measure_grpc
from runtime.bench.report import table, write_json
from runtime.bench.synthetic import coarse_chunk
from runtime.cli.network_options import (
    Choice,
    add_network_options,
    captured_pipeline,
    load_chosen,
    load_pipeline,
    read_choice,
)
from runtime.pipeline.pipeline import Pipeline

TRANSPORTS = {"none": measure_local, "grpc": measure_grpc}


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
        width=preset.output_size[0],
        height=preset.output_size[1],
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


def parser() -> ArgumentParser:
    """The command's options."""
    options = ArgumentParser("c2r bench", __doc__)
    options.add_argument("--chunks", type=int, default=20, help="measured chunks (20)")
    transport = options.add_argument("--transport", choices=list(TRANSPORTS))
    transport.help = "none: the pipeline alone; grpc: a server and a client on loopback (grpc)"
    compare = options.add_argument("--compare", action="append", default=[], metavar="BACKEND")
    compare.help = "measure this backend too, without transport; may be given more than once"
    options.add_argument("--sweep", action="store_true", help="chunk, window, steps side by side")
    options.add_argument("--rate", type=float, help="sweep: frames a second of the game (preset's)")
    options.add_argument("--json", type=Path, help="write the report there")
    add_network_options(options, random_weights=False)
    return options


def check_mode(chosen: argparse.Namespace, rest: Sequence[str]) -> None:
    """`ValueError` for options that the chosen kind of run would not use."""
    if chosen.chunks < 1:
        raise ValueError(f"--chunks {chosen.chunks}: measure at least one")
    if chosen.transport == "grpc" and (chosen.compare or chosen.sweep):
        mode = "--compare" if chosen.compare else "--sweep"
        raise ValueError(f"{mode} measures the pipeline alone; leave --transport grpc out")
    if not chosen.sweep:
        refuse(chosen, ["rate"], "only --sweep computes with the game's rate")
    elif chosen.compare:
        raise ValueError("--sweep measures one backend; leave --compare out")
    for name in option_names(rest):
        if chosen.sweep and name.removeprefix("--stream.").replace("-", "_") in SWEPT:
            raise ValueError(f"{name}: --sweep tries values of its own; leave it out")


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    chosen, rest = parser().parse_known_args(arguments)
    check_mode(chosen, rest)
    console, choice = Console(stderr=True), read_choice(chosen, rest, chosen.compare)
    if chosen.compare:
        return _compare(chosen, choice, console)
    if chosen.sweep:
        return _sweep(chosen, choice, console)
    pipeline, transport = load_pipeline(choice, console), chosen.transport or "grpc"
    report = _measure(chosen, choice.backend, pipeline, transport, console)
    Console().print(report.table())
    for missing in report.left_out:
        console.print(f"left out: {missing}")
    if chosen.json is not None:
        report.write(chosen.json)
        console.print(f"wrote {chosen.json}")
    return 0


def _measure(
    chosen: argparse.Namespace, backend: str, pipeline: Pipeline, transport: str, console: Console
) -> Report:
    with Progress(console=console) as progress:
        total = chunks_to_fill(pipeline) + chosen.chunks
        bar = progress.add_task(f"measuring {backend}", total=total)
        measured = TRANSPORTS[transport](
            pipeline,
            coarse_chunk(pipeline.preset, chosen.seed),
            chunks=chosen.chunks,
            seed=chosen.seed,
            on_chunk=lambda: progress.advance(bar),
        )
        progress.update(bar, completed=total)
    details = {"attention": chosen.attention, "backend": backend, "transport": transport}
    return report_of(pipeline, measured, {**details, "chunks": chosen.chunks})


def _compare(chosen: argparse.Namespace, choice: Choice, console: Console) -> int:
    """The backends side by side, all over the same networks."""
    names = [choice.backend, *choice.compared]
    check_compared(names)
    networks = load_chosen(choice, console)
    pipelines = {name: captured_pipeline(networks, name, choice.engines, console) for name in names}
    rows = compare_backends(
        pipelines,
        coarse_chunk(networks.preset, chosen.seed),
        lambda name, pipeline: _measure(chosen, name, pipeline, "none", console),
        chosen.seed,
    )
    Console().print(table_of(rows))
    for missing in rows[0].report.left_out:
        console.print(f"left out: {missing}")
    if chosen.json is not None:
        write_rows(chosen.json, rows)
        console.print(f"wrote {chosen.json}")
    return 0


def _sweep(chosen: argparse.Namespace, choice: Choice, console: Console) -> int:
    """The choices for latency, all over the same networks."""
    networks = load_chosen(choice, console)

    def make(setting: Setting) -> Pipeline:
        swept = replace(networks, preset=setting.of(networks.preset))
        return captured_pipeline(swept, choice.backend, choice.engines, console)

    rate = chosen.rate or networks.preset.fps
    with Progress(console=console) as progress:
        bar = progress.add_task("measuring", total=len(SETTINGS))
        rows = sweep(
            SETTINGS,
            make,
            lambda preset: coarse_chunk(preset, chosen.seed),
            chunks=chosen.chunks,
            rate=rate,
            seed=chosen.seed,
            on_row=lambda _: progress.advance(bar),
        )
    print(f"{networks.preset.name}, milliseconds; frames come at {rate:g} a second", end="\n\n")
    print(*table(HEAD, [cells(row) for row in rows]), sep="\n")
    if chosen.json is not None:
        write_json(chosen.json, {"sweep": [asdict(row) for row in rows]})
        console.print(f"wrote {chosen.json}")
    return 0
