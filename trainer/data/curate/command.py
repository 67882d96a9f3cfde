"""`c2r data curate`: real footage into clips to train on.

Writes DIR/clips, manifest.jsonl, rejected.jsonl (every part left out, with its reason and values),
curate.yaml (the settings) and report.html. Run it again after an interruption, or with more videos:
files that are done are skipped; with other settings, they are done again. The manifest holds the
clips of the VIDEOS named last.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from c2r.command_line import ArgumentParser
from c2r.config import load_config, override, save_config
from trainer.data.curate.processes import in_processes
from trainer.data.curate.report import write_report
from trainer.data.curate.scale_out import on_ray
from trainer.data.curate.settings import CurateSettings
from trainer.data.curate.sources import LISTED, Source, find_sources, written_captions
from trainer.data.curate.state import Record, RunOptions, Task, finished, task_of
from trainer.data.manifest import write_manifest


def parser() -> ArgumentParser:
    """The options of the command."""
    options = ArgumentParser(
        "c2r data curate",
        __doc__,
        changes=[field.name for field in fields(CurateSettings)],
        epilog="Every setting can be changed: --filters.min_motion=0.002, --held-out=0.1, ...; "
        "curate.yaml lists them all.",
    )
    options.add_argument("videos", type=Path, nargs="+", help="video files, or folders of them")
    options.add_argument("--out", type=Path, required=True, metavar="DIR", help="the data set")
    options.add_argument("--licence", required=True, help="of the footage, kept with every clip")
    options.add_argument("--frames", type=int, help="of a clip, 4n + 1 (81)")
    options.add_argument("--size", help="of a clip, WIDTHxHEIGHT (832x480)")
    options.add_argument("--caption", help="for every video that has none of its own")
    options.add_argument("--captioner", type=Path, metavar="FOLDER", help="a local model (Qwen-VL)")
    options.add_argument("--config", type=Path, help="YAML of settings")
    options.add_argument("--jobs", type=int, help="processes (all cores; 1 with --captioner)")
    options.add_argument("--ray", metavar="ADDRESS", help='of a Ray cluster, or "local"')
    return options


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    chosen, rest = parser().parse_known_args(arguments)
    options = _run_options(chosen, rest)
    jobs = _jobs(chosen)
    sources = find_sources(chosen.videos, leave_out=options.out)
    tasks = _tasks(sources, options, chosen.caption)
    console = Console(stderr=True)
    save_config(options.settings, options.out / "curate.yaml")
    left = [task for task in tasks if finished(task, options) is None]
    if left and chosen.ray is not None:
        _follow(on_ray(left, options, chosen.ray, jobs), len(left), console)
    elif left:
        _follow(in_processes(left, options, jobs), len(left), console)
    records = [_record(task, options) for task in tasks]
    _write(records, options)
    _print_summary(records, len(left), options, console)
    return 0


def _run_options(chosen: argparse.Namespace, rest: Sequence[str]) -> RunOptions:
    settings = load_config(CurateSettings(), chosen.config, rest)
    given: dict[str, int] = {} if chosen.frames is None else {"frames": chosen.frames}
    if chosen.size is not None:
        size = re.fullmatch(r"(\d+)x(\d+)", chosen.size)
        if size is None:
            raise ValueError(f"--size {chosen.size}: give WIDTHxHEIGHT, such as 832x480")
        given |= {"width": int(size[1]), "height": int(size[2])}
    if not chosen.licence.strip():
        raise ValueError("--licence is empty; say under which terms the footage may be used")
    if chosen.captioner is not None and not (chosen.captioner / "config.json").is_file():
        raise ValueError(
            f"--captioner {chosen.captioner}: no model is there; give the folder of a Qwen-VL-like "
            "model, which holds a config.json"
        )
    captioner = None if chosen.captioner is None else chosen.captioner.resolve()
    return RunOptions(chosen.out.resolve(), override(settings, given), chosen.licence, captioner)


def _jobs(chosen: argparse.Namespace) -> int:
    if chosen.jobs is None:
        return 1 if chosen.captioner is not None else os.cpu_count() or 1
    if chosen.jobs < 1:
        raise ValueError(f"--jobs {chosen.jobs}: at least one process is needed")
    return int(chosen.jobs)


def _tasks(sources: Sequence[Source], options: RunOptions, default: str | None) -> list[Task]:
    """One task per file. Its own caption comes first, then the captioner, then the default."""
    written = written_captions(sources)
    fallback = default if options.captioner is None else None
    bare = [source for source in sources if source.name not in written]
    if bare and options.captioner is None and not (default and default.strip()):
        first = bare[0].path.with_suffix(".txt")
        raise ValueError(
            f"{len(bare)} of {len(sources)} videos have no caption (the first: {bare[0].name}); "
            f"write {first.name} beside it or {LISTED} in the folder, or give --captioner FOLDER "
            "(a Qwen-VL model) or --caption TEXT for all of them"
        )
    return [task_of(source, written.get(source.name, fallback), options) for source in sources]


def _follow(names: Iterator[str], total: int, console: Console) -> None:
    """Consume the names under a progress bar."""
    columns = (
        TextColumn("curating"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=total)
        for name in names:
            progress.update(bar, advance=1, description=name)


def _record(task: Task, options: RunOptions) -> Record:
    record = finished(task, options)
    if record is None:
        raise ValueError(f"{task.source.path} changed while it was read; run the command again")
    return record


def _write(records: Sequence[Record], options: RunOptions) -> None:
    """Manifest, rejections and report, in the order of the files' names."""
    clips = [clip for record in records for clip in record.clips]
    write_manifest(options.out / "manifest.jsonl", sorted(clips, key=lambda clip: clip.id))
    lines = [
        json.dumps(asdict(row), ensure_ascii=False) for record in records for row in record.rejected
    ]
    path = options.out / "rejected.jsonl"
    part = path.with_name(f".{path.name}.part")
    part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    part.replace(path)
    write_report(options.out / "report.html", records, options.settings, options.licence)


def _print_summary(
    records: Sequence[Record], worked: int, options: RunOptions, console: Console
) -> None:
    clips = sum(len(record.clips) for record in records)
    counts = Counter(row.reason for record in records for row in record.rejected)
    said = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    console.print(
        f"{clips} clips; left out: {said or 'nothing'}\n"
        f"{worked} files curated, {len(records) - worked} were done before "
        f"-> {options.out / 'report.html'}",
        markup=False,
        highlight=False,
    )
