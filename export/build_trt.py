"""`c2r export`: a renderer's networks as engines in a folder that the server takes.

    python export/build_trt.py --preset tiny --target onnx
    c2r export --preset wan-1.3b --target rtx --compute-capability 89 --compute-capability 120

Graphs are traced, written as ONNX, built, and compared with PyTorch where they can be run. The
folder is whole when its manifest.json is there; building again skips what is up to date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from c2r.__main__ import run
from c2r.config import override, parse_overrides
from c2r.models.build import seeded_notice
from c2r.models.presets import PRESETS, Preset
from c2r.weights.renderer import WeightPaths, choose_networks, load_networks
from export.build import BuildRequest, build_engines
from export.engines.targets import TARGETS, TENSORRT, check_capabilities, get_target

PRECISIONS = ("float32", "float16", "bfloat16")


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    made = argparse.ArgumentParser("c2r export", description=__doc__, allow_abbrev=False)
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    made.add_argument("--preset", help=f"shape of the renderer: {', '.join(PRESETS)} (tiny)")
    made.add_argument("--target", required=True, help=f"one of: {', '.join(TARGETS)}")
    made.add_argument("--compute-capability", type=int, action="append", default=[], metavar="N")
    made.add_argument("--via", help="torch-tensorrt: a third way to --target tensorrt")
    made.add_argument("--weights", type=Path, help="folder of a trained renderer (random weights)")
    made.add_argument("--output", type=Path, help="folder for the engines (engines/PRESET-TARGET)")
    made.add_argument("--precision", choices=PRECISIONS, help="float32 for onnx, else bfloat16")
    made.add_argument(
        "--strip", action="store_true", help="engines without weights, refitted later"
    )
    made.add_argument("--seed", type=int, default=0, help="of absent weights (0)")
    made.add_argument("--width", type=int, help="frame width in pixels, a multiple of 16")
    made.add_argument("--height", type=int, help="frame height in pixels, a multiple of 16")
    made.epilog = "Any part of the preset can be changed: --stream.window 12."
    return made


def _preset(chosen: argparse.Namespace, rest: Sequence[str]) -> tuple[Preset, WeightPaths]:
    preset, paths = choose_networks(chosen.preset, chosen.weights, WeightPaths())
    given = {key: getattr(chosen, key) for key in ("width", "height")}
    size = {key: value for key, value in given.items() if value is not None}
    return override(preset, {**size, **parse_overrides(rest)}), paths


def main(arguments: Sequence[str]) -> int:
    """Run the command. Everything that can be refused is refused before the first network."""
    chosen, rest = parser().parse_known_args(arguments)
    target = get_target(chosen.target, chosen.via)
    precision = chosen.precision or target.precision
    capabilities = check_capabilities(target, chosen.compute_capability)
    preset, paths = _preset(chosen, rest)
    target.load()
    if chosen.target == TENSORRT and not torch.cuda.is_available():
        raise ValueError(
            "--target tensorrt builds on the GPU that will run the engines, and PyTorch sees none "
            "here; use --target rtx, which needs none"
        )
    if chosen.strip and (chosen.target == "onnx" or not torch.cuda.is_available()):
        raise ValueError(
            "--strip is for TensorRT engines and, with this version, for a machine with an NVIDIA "
            "GPU: the library compiles the kernels of an engine without weights there; leave it out"
        )
    output = chosen.output or Path("engines") / f"{preset.name}-{chosen.target}"
    console = Console(stderr=True)
    device = "cuda" if torch.cuda.is_available() and chosen.target != "onnx" else "cpu"
    networks = load_networks(
        preset, paths, seed=chosen.seed, device=device, dtype=getattr(torch, precision)
    )
    notice = seeded_notice(networks, chosen.seed)
    if notice is not None:
        console.print(notice, style="bold yellow")
    request = BuildRequest(
        target=target,
        output=output,
        precision=precision,
        capabilities=capabilities,
        strip=chosen.strip,
    )
    manifest = build_engines(networks, request, say=console.print)
    for name, value in manifest.verified.items():
        console.print(f"verified {name}: {value}")
    console.print(f"{len(manifest.engines)} engines in {output}")
    return 0


if __name__ == "__main__":
    sys.exit(run(["export", *sys.argv[1:]]))
