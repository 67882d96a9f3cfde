"""`c2r render`: a coarse clip through the renderer without a network.

`--mode stream` renders chunk by chunk exactly as the server does; `--mode offline` is the paper's
many-step sampler over the whole clip.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from c2r.clips import read_clip
from c2r.command_line import ArgumentParser, option_names, refuse
from c2r.streaming.sampler import SamplerConfig
from c2r.streaming.sampler_options import SCALES, add_sampler_options, guidance_of
from c2r.wire.checks import check_real
from c2r.wire.events import MAX_STRENGTH
from runtime.cli.network_options import Choice, add_network_options, load_pipeline, read_choice
from runtime.cli.render_output import check_output, write_output
from runtime.core import Frames
from runtime.pipeline.offline import render_offline
from runtime.pipeline.pipeline import Pipeline, pad_frames

OFFLINE_ONLY = ("negative_prompt", "trained_length", "steps", "solver", "guidance", *SCALES)


def stream_clip(
    pipeline: Pipeline, frames: Frames, *, prompt: str, strength: float, seed: int
) -> Iterator[Frames]:
    """Frames of a clip `[F, H, W, 3]`, a chunk at a time; the last one is filled up and cut."""
    state, text = pipeline.open(seed), pipeline.text(pipeline.prompt(prompt))
    done = 0
    while done < len(frames):
        wanted = pipeline.frames_wanted(state)
        chunk = frames[done : done + wanted]
        rendered = pipeline.render(state, pad_frames(chunk, wanted), text, strength)
        yield rendered.frames[: len(chunk)]
        pipeline.finalize(state, rendered)
        done += len(chunk)


def parser() -> ArgumentParser:
    """The command's options."""
    options = ArgumentParser("c2r render", __doc__)
    options.add_argument("--input", type=Path, required=True, help="video file or folder of images")
    options.add_argument(
        "--output", type=Path, required=True, help=".mp4 file, or a folder for PNGs"
    )
    options.add_argument("--prompt", default="", help="what the world looks like")
    options.add_argument(
        "--negative-prompt", help="offline only: what it does not (the preset's: Wan's, or none)"
    )
    options.add_argument(
        "--strength", type=float, default=1.0, help=f"of the control, 0 to {MAX_STRENGTH:g} (1)"
    )
    options.add_argument("--mode", choices=["stream", "offline"], default="stream")
    add_sampler_options(options)
    options.add_argument(
        "--trained-length",
        action="store_true",
        help="offline: pad shorter clips to the preset's frames, as the release does",
    )
    options.add_argument("--frames", type=int, help="at most this many frames of the input")
    options.add_argument("--beside", action="store_true", help="coarse and rendered side by side")
    add_network_options(options)
    return options


def check_mode(chosen: argparse.Namespace, rest: Sequence[str], choice: Choice) -> None:
    """`ValueError` for options that the chosen mode would not use."""
    if choice.preset.control.kind == "none":
        refuse(chosen, ["strength"], "it scales the control network, and control.kind is none")
    if chosen.mode == "stream":
        refuse(chosen, OFFLINE_ONLY, "it belongs to --mode offline; streams are not guided")
        return
    if chosen.guidance == "none":
        unused = ["negative_prompt", *SCALES]
        refuse(chosen, unused, "--guidance none does not use it; choose apg or cfg")
    refuse(chosen, ["backend", "engines"], "--mode offline runs the networks as they are (eager)")
    for name in option_names(rest):
        if name.startswith("--stream.") and name != "--stream.shift":
            raise ValueError(f"{name}: --mode offline has no stream; only --stream.shift is used")


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    chosen, rest = parser().parse_known_args(arguments)
    if chosen.frames is not None and chosen.frames < 1:
        raise ValueError(f"--frames {chosen.frames}: render at least one")
    check_real(chosen.strength, "--strength", 0.0, MAX_STRENGTH)
    console = Console(stderr=True)
    choice = read_choice(chosen, rest)
    check_mode(chosen, rest, choice)
    check_output(chosen.input, chosen.output)
    if chosen.mode == "offline":
        choice = replace(choice, backend="eager")  # whole clips: no chunk to capture as a graph
    pipeline = load_pipeline(choice, console)
    preset = pipeline.preset
    width, height = preset.output_size
    clip = read_clip(chosen.input, width=width, height=height, fps=preset.fps)
    most = chosen.frames or (preset.frames if chosen.mode == "offline" else None)
    coarse = np.stack(list(islice(clip, most)))
    if chosen.frames is None and len(coarse) == most and next(clip, None) is not None:
        console.print(f"the clip is cut to {most} frames, the preset's length; --frames changes it")
    begin = time.perf_counter()
    with Progress(console=console) as progress:
        rendered = _render(chosen, pipeline, coarse, progress)
    seconds = time.perf_counter() - begin
    shown = np.concatenate([coarse, rendered], axis=2) if chosen.beside else rendered
    write_output(chosen.output, list(shown), preset.fps)
    console.print(f"{len(rendered)} frames in {seconds:.1f} s -> {chosen.output}")
    return 0


def _render(
    chosen: argparse.Namespace, pipeline: Pipeline, coarse: Frames, progress: Progress
) -> Frames:
    if chosen.mode == "stream":
        task = progress.add_task("rendering", total=len(coarse))
        parts = []
        settings = {"prompt": chosen.prompt, "strength": chosen.strength, "seed": chosen.seed}
        for part in stream_clip(pipeline, coarse, **settings):
            parts.append(part)
            progress.advance(task, len(part))
        return np.concatenate(parts)
    shift, guidance = pipeline.preset.stream.shift, guidance_of(chosen)
    config = SamplerConfig(chosen.steps, shift, guidance, chosen.solver)
    task = progress.add_task("sampling", total=chosen.steps)
    return render_offline(
        pipeline,
        coarse,
        prompt=chosen.prompt,
        negative_prompt=chosen.negative_prompt,
        strength=chosen.strength,
        seed=chosen.seed,
        config=config,
        trained_length=chosen.trained_length,
        on_step=lambda done, _: progress.update(task, completed=done),
    )
