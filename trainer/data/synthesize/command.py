"""`c2r data synthesize`: paired clips of a seeded city, coarse and fine, with captions.

Each scene is directed from its seed, recorded coarse by the sample game, rendered fine by Blender,
and becomes one row of OUT/manifest.jsonl. Give the same command again to continue a run that was
stopped.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from c2r.command_line import ArgumentParser
from c2r.config import override, read_yaml
from street.director.programs import Programs, studio_python
from street.director.scenes import HOURS, WEATHERS, setting
from trainer.data.manifest import Clip, read_manifest, write_manifest
from trainer.data.synthesize.make_clip import finished
from trainer.data.synthesize.scene_list import (
    SceneSpec,
    SetConfig,
    check_config,
    keep_config,
    scene_list,
)
from trainer.data.synthesize.scene_run import SceneRun
from trainer.data.synthesize.set_report import contact_sheet, write_report


def parser() -> ArgumentParser:
    """The options of the command; those of the set override --config."""
    options = ArgumentParser(
        "c2r data synthesize",
        __doc__,
    )
    options.add_argument("--out", type=Path, help="folder of the set")
    options.add_argument("--config", type=Path, help="a YAML file with the options of the set")
    options.add_argument("--scenes", type=int, help="to train on (4)")
    options.add_argument("--held-out", type=int, help="more scenes, to measure on (0)")
    options.add_argument("--pairs", type=int, help="train scenes with a coarse clip (all)")
    options.add_argument("--frames", type=int, help="of each clip, 1 + 4n (49)")
    options.add_argument("--seed", type=int, help="of the whole set (0)")
    options.add_argument("--size", help="of the frames, WIDTHxHEIGHT (256x144)")
    options.add_argument("--samples", type=int, help="light paths per pixel of the fine clips (4)")
    options.add_argument("--jobs", type=int, help="scenes at the same time (one per core)")
    options.add_argument("--studio", type=Path, help="Blender's interpreter (C2R_STUDIO)")
    options.add_argument("--dry-run", action="store_true", help="list the scenes and stop")
    return options


def main(arguments: Sequence[str]) -> int:
    """Run the command: 0 when every scene is there, 1 when some failed."""
    chosen = parser().parse_args(arguments)
    config, console = _config(chosen), Console()
    if chosen.dry_run:
        console.print(_table(scene_list(config)))
        return 0
    if chosen.out is None:
        raise ValueError("--out is missing: name the folder of the set")
    cores = os.cpu_count() or 1
    jobs = min(cores, config.scenes + config.held_out) if chosen.jobs is None else chosen.jobs
    if jobs < 1:
        raise ValueError(f"--jobs {jobs}: work on at least one scene at a time")
    programs = Programs(studio_python(chosen.studio))
    with _stop_on_sigterm(), _exclusive(chosen.out):
        failed = synthesize(
            chosen.out, config, programs, jobs=jobs, threads=max(1, cores // jobs), console=console
        )
    return 1 if failed else 0


def synthesize(
    out: Path,
    config: SetConfig,
    programs: Programs,
    *,
    jobs: int = 1,
    threads: int = 1,
    console: Console | None = None,
) -> dict[str, str]:
    """Make the set in `out`, or what is missing of it. Gives each failed scene's reason.

    Raises ValueError when `out` holds another set, and DiskFull.
    """
    check_config(config)
    console = console or Console(quiet=True)
    specs = scene_list(config)
    keep_config(config, out / "run.yaml")
    manifest = out / "manifest.jsonl"
    done = {spec.id: clip for spec in specs if (clip := finished(out, spec)) is not None}
    write_manifest(manifest, _in_order(specs, done))
    with _progress(console) as progress:
        task = progress.add_task("scenes", total=len(specs), completed=len(done))
        run = SceneRun(out, config, programs, threads, lambda share: progress.advance(task, share))
        failed = run.all([spec for spec in specs if spec.id not in done], jobs, done)
        progress.update(task, completed=len(done))
    # In the order of the list, not of completion: equal sets have equal manifests.
    write_manifest(manifest, _in_order(specs, done))
    clips = read_manifest(manifest, check="files")
    write_report(out / "report.md", clips, failed, hours=HOURS, weathers=WEATHERS)
    if clips:
        contact_sheet(out, clips, out / "contact.png")
    for scene, reason in failed.items():
        console.print(f"[red]failed[/] {scene}: {escape(reason)}")
    console.print(escape(f"{len(clips)} of {len(specs)} clips -> {manifest}"))
    return failed


def _in_order(specs: Sequence[SceneSpec], done: dict[str, Clip]) -> list[Clip]:
    return [done[spec.id] for spec in specs if spec.id in done]


def _config(chosen: argparse.Namespace) -> SetConfig:
    """The set that a file and the options ask for. ValueError names what is wrong."""
    config = (
        SetConfig() if chosen.config is None else override(SetConfig(), read_yaml(chosen.config))
    )
    names = ("scenes", "held_out", "pairs", "frames", "seed", "samples")
    changes = {name: getattr(chosen, name) for name in names if getattr(chosen, name) is not None}
    if chosen.size is not None:
        width, cross, height = chosen.size.lower().partition("x")
        if not (cross and width.isdecimal() and height.isdecimal()):
            raise ValueError(f"--size {chosen.size}: give WIDTHxHEIGHT, for example 256x144")
        changes |= {"width": int(width), "height": int(height)}
    config = override(config, changes)
    check_config(config)
    return config


def _table(specs: Sequence[SceneSpec]) -> Table:
    """The scenes of `--dry-run`."""
    table = Table("scene", "seed", "hour", "weather", "camera", "coarse clip")
    for spec in specs:
        scene = setting(spec.index)
        air = scene.atmosphere
        level = scene.level if spec.paired else "-"
        table.add_row(spec.id, str(spec.seed), air.hour, air.weather, scene.camera, level)
    return table


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    # Scenes take minutes: the time left is estimated from the last half hour.
    return Progress(*columns, TimeRemainingColumn(), console=console, speed_estimate_period=1800.0)


@contextmanager
def _stop_on_sigterm() -> Iterator[None]:
    """SIGTERM ends the run as Ctrl-C does: running programs are ended too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _exclusive(out: Path) -> Iterator[None]:
    """ValueError when another run is active in `out`. The lock ends with the process."""
    import fcntl

    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"another run is active in {out}; wait for it, or end it") from error
        yield
