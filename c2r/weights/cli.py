"""`c2r weights`: inspect weights files, convert a DiT's layout, make a renderer smaller."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch

from c2r.command_line import ArgumentParser
from c2r.models.presets import get_preset
from c2r.weights.folders import open_source
from c2r.weights.info import inspect_path
from c2r.weights.load import identify, shorten
from c2r.weights.match import matching_preset, shapes_in
from c2r.weights.save import save_weights


def main(argv: list[str]) -> int:
    """Run `c2r weights ARGV`; 0 on success, 2 with one line on stderr for a user's mistake."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.action == "inspect":
            for path in arguments.path:
                print("\n\n".join(info.text() for info in inspect_path(path)))
        elif arguments.action == "convert":
            for file in convert(arguments.path, arguments.output, arguments.layout):
                print(file)
        else:
            size = pack(
                Path(arguments.folder), Path(arguments.output), arguments.precision, arguments.vae
            )
            print(f"{arguments.output}: {size / 1e6:.1f} MB")
    except (ValueError, OSError) as error:
        print(f"c2r weights: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def convert(path: str, output: str, layout: str) -> list[Path]:
    """Save the DiT at `path` under the names of `layout`; values and types are unchanged."""
    source = open_source(path, "dit")
    naming = identify(source, "dit")
    if naming.foreign:
        raise ValueError(
            f"{source.path} has {len(naming.foreign)} tensors that a text-to-video DiT lacks "
            f"({shorten(naming.foreign)}); they would be lost, so nothing was converted"
        )
    state = {ours: source.read(name) for ours, name in naming.names.items()}  # views of the file
    preset = matching_preset("dit", shapes_in(source, naming))
    if layout == "diffusers" and preset is None:
        print("no preset has these sizes, so no config.json is written", file=sys.stderr)
    return save_weights(
        state,
        output,
        layout="diffusers" if layout == "diffusers" else None,
        prefix="pipe.dit." if layout == "c2r-backbone" else "",
        metadata=source.metadata,
        config=get_preset(preset).dit if preset else None,
    )


def pack(folder: Path, output: Path, dtype: str, vae: str | None = None) -> int:
    """Write the renderer in `folder` to `output` in another dtype; returns its size in bytes.

    `vae`: a file with another decoder for the same latents, in place of the folder's. Other files
    of the folder (provenance, a model card) are copied. `ValueError` if `output` exists, or for
    an incomplete renderer.
    """
    from c2r.weights.renderer import WeightPaths, choose_networks, load_networks, save_renderer

    if output.exists():
        raise ValueError(f"{output} exists already; remove it, or name another folder")
    chosen = choose_networks(None, folder, WeightPaths(vae=vae))
    networks = load_networks(*chosen, dtype=getattr(torch, dtype))
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    save_renderer(networks, partial)
    for file in folder.iterdir():
        if file.is_file() and not (partial / file.name).exists():
            shutil.copy2(file, partial)
    partial.rename(output)
    return sum(file.stat().st_size for file in output.rglob("*") if file.is_file())


def _parser() -> ArgumentParser:
    parser = ArgumentParser("c2r weights", __doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    inspect = actions.add_parser(
        "inspect",
        help="print what weights are",
        description="Print the network, layout and size of weights, and the preset that they fit. "
        "Reads headers only.",
    )
    inspect.add_argument("path", nargs="+", help="a weights file, an .index.json or a folder")
    convert = actions.add_parser(
        "convert",
        help="rewrite a DiT in another layout",
        description="Rewrite the DiT in PATH as safetensors in another layout. From a Self-Forcing "
        "file the averaged weights are taken.",
    )
    convert.add_argument("path", help="a weights file, a folder or a hub id (org/name)")
    convert.add_argument("output", help="a .safetensors file, or a folder for shards and an index")
    convert.add_argument(
        "--layout",
        choices=["wan", "diffusers", "c2r-backbone"],
        default="wan",
        help="names to write (default: %(default)s, the official ones)",
    )
    pack = actions.add_parser(
        "pack",
        help="write a renderer's folder in another dtype",
        description="Copy a renderer's folder with all its networks in another type, to ship it. "
        "Commands load them in the type they ask for.",
    )
    pack.add_argument("folder", help="a renderer's folder, as training leaves it")
    pack.add_argument("output", help="the folder to write; it must not exist")
    pack.add_argument(
        "--precision",
        choices=["float16", "bfloat16", "float32"],
        default="float16",
        help="type of the weights (default: %(default)s)",
    )
    pack.add_argument("--vae", help="another VAE's file: its decoder, trained further")
    return parser
