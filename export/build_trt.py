"""`c2r export`: a renderer's networks as exported engines, in a folder that the server takes.

    python export/build_trt.py --preset tiny --target onnx
    c2r export --preset wan-1.3b --target rtx --compute-capability 89 --compute-capability 120
    c2r export --target onnx --calibrate assets/street/manifest.jsonl --clips 2
    c2r export --verify engines/tiny-onnx

Graphs are traced, written as ONNX, built, and compared with PyTorch where they can run. The folder
is whole when its manifest.json is there; building again skips what is up to date. `--calibrate`
reports what FP8 costs, layer by layer; with `--quantize` the denoise graph is built in FP8.
`--verify` builds nothing: it compares an existing folder with PyTorch on this machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from c2r.__main__ import run
from c2r.command_line import ArgumentParser, refuse
from c2r.config import override, parse_overrides
from c2r.exported.libraries import ONNX, TENSORRT
from c2r.exported.manifest import Manifest, read_manifest
from c2r.exported.open_engines import capability_of
from c2r.models.build import Networks, seeded_notice
from c2r.models.configs import Preset
from c2r.models.presets import PRESETS
from c2r.weights.renderer import WeightPaths, check_shipped, choose_networks, load_networks
from export.build import BuildRequest, build_exported
from export.builders.targets import (
    TARGETS,
    Target,
    check_capabilities,
    check_fp8,
    get_target,
)
from export.graphs import check_exportable
from export.precision.clip_calibration import (
    CalibrationRequest,
    ClipCalibration,
    calibrate_on_clips,
    coarse_clips,
)
from export.verify import verify_folder

PRECISIONS = ("float32", "float16", "bfloat16")
CALIBRATING = ("clips", "exclude", "quantize")
BUILDING = (
    *("target", "compute_capability", "via", "output", "precision", "strip", "calibrate"),
    *CALIBRATING,
)
"""Options that only some runs use; the others refuse them."""


def parser() -> ArgumentParser:
    """The command's options."""
    options = ArgumentParser("c2r export", __doc__)
    options.add_argument("--preset", choices=list(PRESETS), help="shape of the renderer (tiny)")
    options.add_argument("--target", choices=list(TARGETS), help="what runs the exported engines")
    options.add_argument("--compute-capability", type=int, action="append", default=[], metavar="N")
    options.add_argument("--via", help="torch-tensorrt: a third way to --target tensorrt")
    options.add_argument("--weights", type=Path, help="folder of a trained renderer")
    without = options.add_argument("--random-weights", action="store_true")
    without.help = "make weights from --seed: real speed, frames of noise"
    options.add_argument("--output", type=Path, help="folder to write (engines/PRESET-TARGET)")
    options.add_argument("--precision", choices=PRECISIONS, help="float32 for onnx, else bfloat16")
    strip = options.add_argument("--strip", action="store_true")
    strip.help = "plans without weights, refitted when they are loaded"
    verify = options.add_argument("--verify", type=Path, metavar="FOLDER")
    verify.help = "compare the exported engines there with PyTorch again; nothing is built"
    fp8 = options.add_argument_group("FP8 for the DiT's linear layers")
    fp8.add_argument("--calibrate", type=Path, metavar="MANIFEST", help="stream clips of it")
    fp8.add_argument("--clips", type=int, default=2, help="how many of its training clips (2)")
    exclude = fp8.add_argument("--exclude", action="append", default=[], metavar="PATTERN")
    exclude.help = "layers to leave as they are, like blocks.0.*; may be given more than once"
    quantize = fp8.add_argument("--quantize", action="store_true")
    quantize.help = "build the denoise graph with the calibrated layers in FP8"
    options.add_argument("--seed", type=int, default=0, help="of absent weights (0)")
    options.add_argument("--width", type=int, help="frame width in pixels, a multiple of 16")
    options.add_argument("--height", type=int, help="frame height in pixels, a multiple of 16")
    options.changes = [field.name for field in fields(Preset) if field.name != "name"]
    options.epilog = "Any part of the preset can be changed: --stream.window 12."
    return options


def _preset(
    chosen: argparse.Namespace, rest: Sequence[str], built: Manifest | None = None
) -> tuple[Preset, WeightPaths]:
    """What the options name; for a folder that was built already, what its manifest says."""
    name = chosen.preset
    if built is not None and chosen.weights is None:
        name = name or built.preset
    preset, paths = choose_networks(
        name, chosen.weights, WeightPaths(), random_weights=chosen.random_weights
    )
    if built is not None and chosen.weights is None and chosen.preset is None:
        preset = override(preset, {**built.settings})
    given = {key: getattr(chosen, key) for key in ("width", "height")}
    size = {key: value for key, value in given.items() if value is not None}
    preset = override(preset, {**size, **parse_overrides(rest)})
    check_shipped(preset, paths)
    if not paths.absent:
        refuse(chosen, ["seed"], "every network has weights")
    return preset, paths


def main(arguments: Sequence[str]) -> int:
    """Run the command. Everything that can be refused is refused before the first network."""
    chosen, rest = parser().parse_known_args(arguments)
    console = Console(stderr=True)
    if chosen.verify is not None:
        return _verify(chosen, rest, console)
    if chosen.target is None:
        known = " | ".join(TARGETS)
        raise ValueError(f"say what to build: --target {known}; or --verify FOLDER")
    return _build(chosen, rest, console)


def _build(chosen: argparse.Namespace, rest: Sequence[str], console: Console) -> int:
    target = get_target(chosen.target, chosen.via)
    precision = chosen.precision or target.precision
    capabilities = check_capabilities(target, chosen.compute_capability)
    preset, paths = _preset(chosen, rest)
    check_exportable(preset)
    target.library.load()
    _check_machine(chosen)
    calibration = _calibration(chosen)
    if chosen.quantize:
        check_fp8(_hardware(target, capabilities))
    output = chosen.output or Path("engines") / f"{preset.name}-{chosen.target}"
    networks = _networks(chosen, preset, paths, target, precision, console)
    request = BuildRequest(
        target=target,
        output=output,
        precision=precision,
        capabilities=capabilities,
        strip=chosen.strip,
        calibration=_calibrated(networks, calibration, console),
        quantize=chosen.quantize,
    )
    manifest = build_exported(networks, request, say=console.print)
    console.print(_agreement_table(manifest.verified))
    console.print(f"{len(manifest.engines)} exported engines in {output}")
    return 0


def _verify(chosen: argparse.Namespace, rest: Sequence[str], console: Console) -> int:
    """Compare a folder with PyTorch, of the preset in its manifest unless one is named."""
    refuse(chosen, BUILDING, "--verify builds nothing; leave it out")
    manifest = read_manifest(chosen.verify)
    preset, paths = _preset(chosen, rest, manifest)
    target = get_target(manifest.target)
    target.library.load()
    networks = _networks(chosen, preset, paths, target, manifest.precision, console)
    verified = verify_folder(networks, chosen.verify, console.print).verified
    console.print(_agreement_table(verified))
    return 0


def _check_machine(chosen: argparse.Namespace) -> None:
    """`ValueError` for what this machine cannot build."""
    if chosen.target == TENSORRT and not torch.cuda.is_available():
        raise ValueError(
            "--target tensorrt builds on the GPU that will run the exported engines, and PyTorch "
            "sees none here; use --target rtx, which needs none"
        )
    if chosen.strip and (chosen.target == ONNX or not torch.cuda.is_available()):
        raise ValueError(
            "--strip is for TensorRT and needs an NVIDIA GPU: the library compiles the kernels of "
            "a plan without weights there; leave it out"
        )


def _networks(
    chosen: argparse.Namespace,
    preset: Preset,
    paths: WeightPaths,
    target: Target,
    precision: str,
    console: Console,
) -> Networks:
    """The networks, on the device that will run their exported engines."""
    device = "cuda" if torch.cuda.is_available() and target.name != ONNX else "cpu"
    dtype = getattr(torch, precision)
    networks = load_networks(preset, paths, seed=chosen.seed, device=device, dtype=dtype)
    notice = seeded_notice(networks, chosen.seed)
    if notice is not None:
        console.print(notice, style="bold yellow")
    return networks


def _hardware(target: Target, asked: Sequence[int]) -> Sequence[int]:
    """Compute capabilities to build for: this GPU's unless they are named."""
    here = capability_of(torch.device("cuda")) if target.name == TENSORRT else None
    return asked if here is None else (here,)


def _calibration(chosen: argparse.Namespace) -> CalibrationRequest | None:
    """What to calibrate on; None without `--calibrate`."""
    if chosen.calibrate is None:
        refuse(chosen, CALIBRATING, "it needs --calibrate MANIFEST; give that too")
        return None
    clips = coarse_clips(chosen.calibrate, chosen.clips)
    return CalibrationRequest(chosen.calibrate, clips, tuple(chosen.exclude))


def _calibrated(
    networks: Networks, request: CalibrationRequest | None, console: Console
) -> ClipCalibration | None:
    if request is None:
        return None
    calibration = calibrate_on_clips(networks, request, console.print)
    console.print(calibration.table())
    for clip, stream in calibration.streams.items():
        console.print(f"{clip}: latents {stream.relative_error:.2%} off with all layers rounded")
    return calibration


def _agreement_table(verified: Mapping[str, Any]) -> Table:
    """One row per stage, or the reason why nothing was compared."""
    title = "exported engines compared with PyTorch"
    table = Table("stage", "1 - cosine", "relative error", title=title)
    for name, value in verified.items():
        if isinstance(value, Mapping):
            table.add_row(name, f"{1 - value['cosine']:.1e}", f"{value['relative_error']:.1e}")
        else:
            table.add_row(name, str(value))
    return table


if __name__ == "__main__":
    sys.exit(run(["export", *sys.argv[1:]]))
