"""The options of `c2r eval`, checked; and one call of the command: `Run`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress

from c2r.command_line import ArgumentParser, refuse
from c2r.config import parse_overrides
from c2r.streaming.sampler_options import SCALES, add_sampler_options, guidance_of
from trainer.data.manifest import Clip
from trainer.evaluate.derive import BOUNDS
from trainer.evaluate.rendering import Rendering
from trainer.evaluate.score import ClipPrompt

MANIFEST = "manifest.jsonl"
OFFLINE_ONLY = ("steps", "solver", "guidance", *SCALES)
RENDERING = ("mode", *OFFLINE_ONLY, "strength", "no_control", "precision")


def read_options(arguments: Sequence[str]) -> argparse.Namespace:
    """The options. `.stream`: changes of the renderers' stream, from `--stream.*`.

    `ValueError` for options that would have no effect.
    """
    chosen, rest = parser().parse_known_args(arguments)
    chosen.stream = parse_overrides(rest).get("stream", {})
    if chosen.stream and (not chosen.weights or chosen.mode != "stream"):
        raise ValueError("--stream.* changes how --weights stream; give these and --mode stream")
    if not chosen.weights:
        refuse(chosen, RENDERING, "it says how --weights render; give a renderer's folder")
    if chosen.mode == "stream":
        refuse(chosen, OFFLINE_ONLY, "it belongs to --mode offline; streams are not guided")
    if chosen.guidance == "none":
        refuse(chosen, SCALES, "--guidance none has no scales")
    if chosen.no_control:
        refuse(chosen, ["strength"], "--no-control renders without any")
    if not chosen.drift:
        refuse(chosen, ["drift_coarse"], "it is compared with a --drift video; give one")
        refuse(chosen, ["drift_chunk"], "it is of the stream of a --drift video; give one")
    if chosen.drift_chunk is not None and chosen.drift_chunk < 1:
        raise ValueError(f"--drift-chunk {chosen.drift_chunk}: a chunk has at least one latent")
    return chosen


def parser() -> ArgumentParser:
    """The options that have a name; `--stream.*` are read by `read_options`."""
    options = ArgumentParser(
        "c2r eval",
        "Measure rendered clips against their coarse and fine counterparts.",
        changes=("stream",),
        epilog="With --mode stream the stream itself can be changed, as for c2r serve: "
        '--stream.timesteps "[1000, 500]".',
    )
    options.add_argument("--data", type=Path, help=f"data folder with {MANIFEST}")
    options.add_argument("--split", choices=["train", "held_out"], default="held_out")
    options.add_argument("--clips", type=int, help="at most this many clips, evenly spread")
    options.add_argument("--frames", type=int, help="at most this many frames of each clip")
    options.add_argument(
        "--outputs", nargs="+", default=[], metavar="NAME=FOLDER", help="folders of <clip id>.mp4"
    )
    options.add_argument("--out", type=Path, default=Path("out/eval"), help="report, page, renders")
    options.add_argument("--teacher", metavar="NAME", help="the row whose improvement counts as 1")
    options.add_argument(
        "--reference",
        default="fine",
        help="what KID and FID compare with: 'fine', or a folder of videos",
    )
    options.add_argument("--asked", type=Path, help="JSON: clip id -> its caption, hour, weather")
    _networks(options.add_argument_group("what measures"))
    _rendering(options.add_argument_group("rendering first"))
    _long(options.add_argument_group("long videos"))
    return options


def _networks(group: Any) -> None:
    group.add_argument("--features", help="DINO folder for structure and KID (the renderer's own)")
    group.add_argument("--kid-features", type=Path, help="TorchScript extractor for KID and FID")
    group.add_argument("--no-prompt", action="store_true", help="leave prompt response out")
    group.add_argument("--cache", type=Path, help="where classifiers are kept (DATA/.eval)")
    group.add_argument("--lpips", type=Path, help="TorchScript file, or alex: stlpips-pytorch's")
    group.add_argument("--fvd", type=Path, help="TorchScript file of a video network, e.g. I3D")
    group.add_argument("--clip", type=Path, help="CLIP folder")
    group.add_argument("--vlm", type=Path, help="folder of an image-text-to-text model")


def _rendering(group: Any) -> None:
    group.add_argument(
        "--weights", nargs="+", default=[], metavar="[NAME=]FOLDER", help="renderers to run"
    )
    group.add_argument(
        "--mode",
        choices=["offline", "stream"],
        default="offline",
        help="many-step sampler of a bidirectional model, or rollout of a causal one (offline)",
    )
    add_sampler_options(group, many=True)
    group.add_argument(
        "--strength", type=float, nargs="+", default=[1.0], help="of the control; a row for each"
    )
    group.add_argument("--no-control", action="store_true", help="render without any control")
    group.add_argument("--seed", type=int, default=0, help="of the noise (0)")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda (auto)")
    group.add_argument("--precision", choices=["float32", "bfloat16", "float16"], default="float32")


def _long(group: Any) -> None:
    group.add_argument("--drift", type=Path, nargs="+", default=[], metavar="VIDEO")
    group.add_argument("--drift-coarse", type=Path, help="the coarse video they were rendered from")
    group.add_argument(
        "--drift-fresh",
        type=Path,
        metavar="VIDEO",
        help="the video's end, rendered by a stream that started shortly before it",
    )
    group.add_argument(
        "--drift-chunk",
        type=int,
        metavar="LATENTS",
        help="latents of a chunk of the stream, to compare chunks' borders with their inside",
    )
    group.add_argument(
        "--switch",
        nargs="+",
        default=[],
        metavar="SECONDS:hour=NAME",
        help="prompt changes in them",
    )


def named_folders(given: Sequence[str], option: str) -> dict[str, Path]:
    """`NAME=FOLDER` pairs, or bare folders named after themselves.

    `ValueError` for a missing folder, or a name that is taken or not allowed.
    """
    folders: dict[str, Path] = {}
    for text in given:
        name, equals, rest = text.partition("=")
        folder = Path(rest if equals else text)
        name = name if equals else folder.name
        if not name or name in folders or name in BOUNDS or not name.isprintable() or "/" in name:
            raise ValueError(
                f"{option} {text}: give each folder a name of its own (NAME=FOLDER), without "
                f"slashes and none of {', '.join(BOUNDS)}"
            )
        if not folder.is_dir():
            raise ValueError(f"{option} {text}: there is no folder {folder}")
        folders[name] = folder
    return folders


def renderings(chosen: argparse.Namespace) -> dict[str, Rendering]:
    """What follows a renderer's name in its rows -> how it renders: one for each strength, text
    scale and rescale.
    """
    swept = {name: getattr(chosen, name) for name in ("strength", "text_scale", "rescale")}
    found: dict[str, Rendering] = {}
    for values in product(*swept.values()):
        strength, text_scale, rescale = values
        rendering = Rendering(
            mode=chosen.mode,
            steps=chosen.steps,
            solver=chosen.solver,
            guidance=guidance_of(chosen, text_scale=text_scale, rescale=rescale),
            strength=1.0 if chosen.no_control else strength,
            control=not chosen.no_control,
            seed=chosen.seed,
        )
        found[_suffix(chosen, swept, values)] = rendering
    return found


def _suffix(
    chosen: argparse.Namespace, swept: Mapping[str, Sequence[float]], values: Sequence[float]
) -> str:
    """The values that tell a row from the others: ` at 0.5, text scale 3`."""
    words = [" without control"] if chosen.no_control else []
    for (name, given), value in zip(swept.items(), values, strict=True):
        if len(given) > 1:
            words.append(f" at {value:g}" if name == "strength" else f", {_words(name)} {value:g}")
    return "".join(words)


def _words(name: str) -> str:
    return name.replace("_", " ")


def chosen_clips(
    clips: Sequence[Clip], split: str, most: int | None
) -> tuple[list[Clip], list[str]]:
    """The split's clips that have a coarse counterpart, and a note on those left out.

    `ValueError` when none are left.
    """
    own = [clip for clip in clips if clip.split == split]
    paired = [clip for clip in own if clip.control is not None]
    left_out = []
    if len(paired) < len(own):
        left_out.append(f"{len(own) - len(paired)} clips of {split} without a coarse counterpart")
    if not paired:
        raise ValueError(f"the split {split} has {len(own)} clips, none with a coarse counterpart")
    if most is not None:
        if most < 1:
            raise ValueError(f"--clips {most}: measure at least one")
        step = len(paired) / min(most, len(paired))
        paired = [paired[int(place * step)] for place in range(min(most, len(paired)))]
    return paired, left_out


def read_prompts(path: Path | None, clips: Sequence[Clip]) -> dict[str, ClipPrompt]:
    """Prompts that replace the clips' own, by clip.

    `ValueError` unless the file maps these clips to `caption`, `hour` and `weather`.
    """
    if path is None:
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = {
            str(clip): ClipPrompt(
                str(row["caption"]), {"hour": str(row["hour"]), "weather": str(row["weather"])}
            )
            for clip, row in content.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f'{path} must map clip ids to {{"caption", "hour", "weather"}} ({error!r})'
        ) from error
    unknown = sorted(rows.keys() - {clip.id for clip in clips})
    if unknown:
        raise ValueError(f"{path} names clips that are not measured: {', '.join(unknown[:5])}")
    return rows


class Run:
    """One call of the command: what was chosen, what was left out, and its progress bars."""

    def __init__(self, chosen: argparse.Namespace, console: Console, bars: Progress) -> None:
        self.chosen, self.console, self.bars = chosen, console, bars
        self.left_out: list[str] = []
        self.weights = named_folders(chosen.weights, "--weights")
        self.device = chosen_device(chosen.device)

    def bar(self, words: str) -> Callable[[int, int], None]:
        """A function that shows (done, of)."""
        task = self.bars.add_task(words, total=None)
        return lambda done, of: self.bars.update(task, completed=done, total=of)


def chosen_device(name: str) -> torch.device:
    """`auto` is CUDA where there is some. `ValueError` for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"--device {name} is no device; use auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"--device {name}: PyTorch sees no CUDA device here; use cpu")
    return device
