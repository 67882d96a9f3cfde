"""Command-line options that serve, render and bench share: networks, from where, run by what."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from c2r.config import override, parse_overrides
from c2r.models.attention import BACKENDS as KERNELS
from c2r.models.build import PART_NAMES, Networks, seeded_notice
from c2r.models.presets import PRESETS, Preset
from c2r.weights.renderer import WeightPaths, choose_networks, load_networks
from runtime.backends import BACKENDS, check_backend, stages_of
from runtime.pipeline import Pipeline

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `networks_from` reads."""
    group = parser.add_argument_group("networks")
    group.add_argument("--preset", choices=list(PRESETS), help="shape of the renderer (tiny)")
    group.add_argument("--weights", type=Path, help="folder of a whole trained renderer")
    for part in PART_NAMES:
        group.add_argument(f"--{part}", help=f"file, folder or hub id of the {part} weights")
    group.add_argument("--seed", type=int, default=0, help="of noise and of absent weights (0)")
    group.add_argument("--width", type=int, help="frame width in pixels, a multiple of 16")
    group.add_argument("--height", type=int, help="frame height in pixels, a multiple of 16")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 ... (auto)")
    group.add_argument("--dtype", choices=list(DTYPES), help="bfloat16 on CUDA, else float32")
    group.add_argument("--attention", choices=list(KERNELS), default="sdpa", help="kernel (sdpa)")
    backend = group.add_argument("--backend", default="eager")
    backend.help = f"{', '.join(BACKENDS)}; or by stage: vae=tensorrt,denoise=compiled (eager)"
    group.add_argument("--engines", type=Path, help="folder that c2r export made")
    parser.epilog = "Any part of the preset can be changed: --stream.window 12, --stream.chunk 1."


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA when there is one. `ValueError` for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"--device {name} is no device; use auto, cpu or cuda") from error
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise ValueError(f"--device {name}: the renderer runs on cpu and cuda only")
    count = torch.cuda.device_count()
    if (device.index or 0) >= count:
        raise ValueError(f"--device {name}: PyTorch sees {count} CUDA devices here; try cpu")
    torch.cuda.set_device(device)  # events and names go by the current device
    return device


def check_attention(name: str, device: torch.device, dtype: torch.dtype) -> None:
    """Refuse kernels that run on CUDA in half precision only, before anything is loaded."""
    if name != "sdpa" and (device.type != "cuda" or dtype == torch.float32):
        raise ValueError(
            f"--attention {name} needs CUDA and --dtype bfloat16 or float16; use --attention sdpa"
        )


def chosen_preset(chosen: argparse.Namespace, rest: Sequence[str]) -> tuple[Preset, WeightPaths]:
    """What the options name, before anything is loaded; `rest` changes the preset."""
    parts = WeightPaths(**{part: getattr(chosen, part) for part in PART_NAMES})
    preset, paths = choose_networks(chosen.preset, chosen.weights, parts)
    given = {key: getattr(chosen, key) for key in ("width", "height")}
    size = {key: value for key, value in given.items() if value is not None}
    return override(preset, {**size, **parse_overrides(rest)}), paths


def networks_from(
    chosen: argparse.Namespace, rest: Sequence[str], console: Console | None = None
) -> Networks:
    """Load what the options name, `rest` being `--key.sub value` changes of the preset.

    Tells the person at the console, loudly, which weights are random.
    """
    preset, paths = chosen_preset(chosen, rest)
    device = choose_device(chosen.device)
    dtype = DTYPES[chosen.dtype or ("bfloat16" if device.type == "cuda" else "float32")]
    check_attention(chosen.attention, device, dtype)
    networks = load_networks(
        preset, paths, seed=chosen.seed, device=device, dtype=dtype, attention=chosen.attention
    )
    notice = seeded_notice(networks, chosen.seed)
    if notice is not None:
        (console or Console(stderr=True)).print(notice, style="bold yellow")
    return networks


def pipeline_from(
    chosen: argparse.Namespace, rest: Sequence[str], console: Console | None = None
) -> Pipeline:
    """The pipeline that the options name: networks, and what computes their stages."""
    check_backend(
        chosen.backend, chosen.engines
    )  # a mistake there is told before anything is loaded
    networks = networks_from(chosen, rest, console)
    return Pipeline(networks, stages_of(networks, chosen.backend, chosen.engines))
