"""`c2r eval`: rendered clips compared with their coarse and fine counterparts; long videos.

    c2r eval --data DIR --features DINO --outputs NAME=FOLDER ...
    c2r eval --data DIR --weights RENDERER ...
    c2r eval --drift VIDEO ... [--features DINO --drift-coarse VIDEO]

Writes `report.json`, `tables.md`, `page.html` and `strips.png` into `--out`, and `long-N.png` of
each long video.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress

from c2r.clips import write_image
from c2r.config import override
from c2r.models.dino import DinoEncoder
from c2r.weights.renderer import load_networks, read_renderer
from trainer.data.manifest import Clip, read_manifest
from trainer.evaluate.breakdown import breakdown
from trainer.evaluate.derive import derive
from trainer.evaluate.findings import (
    long_results,
    note_gaps,
    settings_of,
    strength_response,
)
from trainer.evaluate.long_videos import LongVideo, measure_long
from trainer.evaluate.metrics.features import weights_hash
from trainer.evaluate.metrics.prompt import PromptClassifier
from trainer.evaluate.networks import (
    extractors_of,
    metric_networks,
    prompt_classifier,
    reference_vectors,
    structure_dino,
)
from trainer.evaluate.options import (
    MANIFEST,
    Run,
    chosen_clips,
    named_folders,
    read_options,
    read_prompts,
    renderings,
)
from trainer.evaluate.page import write_page
from trainer.evaluate.rendering import render_clips
from trainer.evaluate.results import Evaluation
from trainer.evaluate.score import ClipPrompt, score
from trainer.evaluate.strips import Strip, long_strips, make_strips, sheet


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    chosen = read_options(arguments)
    _check(chosen)
    console = Console(stderr=True)
    with Progress(console=console) as bars:
        run = Run(chosen, console, bars)
        clips = _clips(run)
        classifier = prompt_classifier(run)
        dino = structure_dino(run, clips)
        long = _long_videos(run, dino, classifier)
        if clips:
            evaluation, strips = _evaluate(run, clips, dino, classifier, long)
        else:
            evaluation, strips = _only_long(run, dino, classifier, long), []
    _publish(chosen.out, evaluation, strips, long)
    return 0


def _check(chosen: argparse.Namespace) -> None:
    if chosen.data is None and not chosen.drift:
        raise ValueError("nothing to measure; give --data DIR, or --drift VIDEO")
    if chosen.data is None and (chosen.outputs or chosen.weights):
        raise ValueError("--outputs and --weights are measured on clips; give --data DIR")
    if chosen.frames is not None and chosen.frames < 1:
        raise ValueError(f"--frames {chosen.frames}: compare at least one")
    if chosen.drift_fresh and not chosen.drift:
        raise ValueError("--drift-fresh is compared with a --drift video; give one")
    if chosen.switch and not chosen.drift:
        raise ValueError("--switch says when the prompt changes in a --drift video; give one")


def _clips(run: Run) -> list[Clip]:
    chosen = run.chosen
    if chosen.data is None:
        return []
    manifest = read_manifest(chosen.data / MANIFEST)
    clips, left_out = chosen_clips(manifest, chosen.split, chosen.clips)
    run.left_out += left_out
    sizes = {(clip.width, clip.height) for clip in clips}
    if len(sizes) > 1:
        each = ", ".join(f"{width}x{height}" for width, height in sorted(sizes))
        raise ValueError(f"the clips have different sizes ({each}); measure one size at a time")
    return clips


def _long_videos(
    run: Run, dino: DinoEncoder | None, classifier: PromptClassifier | None
) -> dict[str, LongVideo]:
    videos = run.chosen.drift
    if not videos:
        return {}
    bar = run.bar("long videos")
    measured: dict[str, LongVideo] = {}
    for done, path in enumerate(videos):
        name = path.stem if path.stem not in measured else str(path)
        measured[name] = measure_long(
            path, run.chosen.drift_coarse, dino=dino, classifier=classifier
        )
        bar(done + 1, len(videos))
    return measured


def _evaluate(
    run: Run,
    clips: list[Clip],
    dino: DinoEncoder | None,
    classifier: PromptClassifier | None,
    long: Mapping[str, LongVideo],
) -> tuple[Evaluation, list[Strip]]:
    chosen = run.chosen
    assert dino is not None, "clips come with a DINO"
    prompts = read_prompts(chosen.asked, clips)
    rendered, strengths = _render(run, clips, prompts)
    existing = named_folders(chosen.outputs, "--outputs")
    if twice := existing.keys() & rendered.keys():
        raise ValueError(f"two systems are called {', '.join(sorted(twice))}; rename one")
    outputs = existing | rendered
    networks = metric_networks(run, dino, classifier)
    rows = score(
        chosen.data,
        clips,
        outputs,
        networks,
        frames=chosen.frames,
        prompts=prompts,
        reference=reference_vectors(run, networks.extractor, clips[0]),
        on_clip=run.bar("measuring"),
    )
    note_gaps(run, rows)
    evaluation = Evaluation(
        rows=rows,
        derived=derive(rows, chosen.teacher),
        breakdown=breakdown(rows, clips),
        settings=settings_of(run, clips),
        extractors=extractors_of(networks),
        left_out=tuple(run.left_out),
        long=long_results(run, long),
        strengths=strength_response(rows, strengths),
    )
    return evaluation, make_strips(chosen, clips, outputs, prompts)


def _only_long(
    run: Run,
    dino: DinoEncoder | None,
    classifier: PromptClassifier | None,
    long: Mapping[str, LongVideo],
) -> Evaluation:
    hashes = {"structure": dino, "prompt": classifier}
    return Evaluation(
        rows={},
        derived={},
        settings=settings_of(run, []),
        extractors={name: weights_hash(net) for name, net in hashes.items() if net is not None},
        left_out=tuple(run.left_out),
        long=long_results(run, long),
    )


def _render(
    run: Run, clips: list[Clip], prompts: Mapping[str, ClipPrompt]
) -> tuple[dict[str, Path], dict[str, dict[float, str]]]:
    """Folders of outputs by row; with several strengths, also rows by renderer and strength."""
    chosen = run.chosen
    outputs: dict[str, Path] = {}
    strengths: dict[str, dict[float, str]] = {}
    for name, folder in run.weights.items():
        preset, paths = read_renderer(folder)
        preset = override(preset, {"stream": chosen.stream})
        dtype = getattr(torch, chosen.precision)
        networks = load_networks(preset, paths, device=run.device, dtype=dtype)
        parts = (networks.dit, networks.control, networks.vae, networks.dino)
        digest = "-".join(weights_hash(part)[:8] for part in parts if part is not None)
        for suffix, rendering in renderings(chosen).items():
            row = name + suffix
            outputs[row] = chosen.out / "renders" / row.replace(" ", "-")
            bar = run.bar(f"rendering {row}")
            options: dict[str, Any] = {"frames": chosen.frames, "prompts": prompts, "on_clip": bar}
            render_clips(networks, digest, chosen.data, clips, outputs[row], rendering, **options)
            alone = len(chosen.text_scale) == len(chosen.rescale) == 1
            if len(chosen.strength) > 1 and alone and not chosen.no_control:
                strengths.setdefault(name, {})[rendering.strength] = row
    return outputs, strengths


def _publish(
    out: Path, evaluation: Evaluation, strips: list[Strip], long: Mapping[str, LongVideo]
) -> None:
    console = Console()
    for table in evaluation.tables():
        console.print(table)
    for name, response in evaluation.strengths.items():
        console.print(f"{name}: structure by strength {response}")
    for name, video in long.items():
        changes = ", ".join(f"{key} {100 * v:.1f} %" for key, v in video.drift.change.items())
        console.print(f"{name}: drift {100 * video.drift.largest:.1f} % ({changes})")
    for reason in evaluation.left_out:
        console.print(f"left out: {reason}")
    evaluation.write(out / "report.json")
    (out / "tables.md").write_text(evaluation.markdown(), encoding="utf-8")
    write_page(out / "page.html", evaluation, strips, long)
    if strips:
        write_image(out / "strips.png", sheet(strips))
    for number, video in enumerate(long.values()):
        write_image(out / f"long-{number}.png", sheet(long_strips(video)))
    console.print(f"report.json, tables.md, page.html{', strips.png' if strips else ''} -> {out}")
