"""Command-line options that serve, render and bench share: networks, from where, run by what."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from c2r.config import override, parse_overrides
from c2r.models.attention import BACKENDS as KERNELS
from c2r.models.build import PART_NAMES, Networks, seeded_notice, tune_for_cpu
from c2r.models.configs import Preset
from c2r.models.precision import multiplies_bfloat16
from c2r.models.presets import PRESETS
from c2r.weights.renderer import WeightPaths, choose_networks, load_networks
from runtime.backends import BACKENDS, RECORDED, check_backend, pipeline_of
from runtime.bench.synthetic import coarse_chunk
from runtime.pipeline.pipeline import Pipeline
from runtime.pipeline.tuning import DTYPES, PRECISIONS, tune


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
    dtype = group.add_argument("--dtype", choices=list(DTYPES))
    dtype.help = "bfloat16 on CUDA; on CPUs that multiply in it, where it pays; else float32"
    attention = group.add_argument("--attention", choices=["auto", *KERNELS], default="auto")
    attention.help = "kernel; auto: the fastest here where graphs are recorded, else sdpa (auto)"
    precision = group.add_argument("--precision", choices=PRECISIONS, default="bf16")
    precision.help = "of the DiT's products; bf16: those of --dtype (bf16)"
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
    if name not in ("auto", "sdpa") and (device.type != "cuda" or dtype == torch.float32):
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
    attention = "sdpa" if chosen.attention == "auto" else chosen.attention
    networks = load_networks(
        preset, paths, seed=chosen.seed, device=device, dtype=dtype, attention=attention
    )
    plain = chosen.dtype is None and chosen.engines is None and chosen.precision == "bf16"
    if plain and device.type == "cpu" and multiplies_bfloat16(device):
        networks = tune_for_cpu(networks)
    notice = seeded_notice(networks, chosen.seed)
    if notice is not None:
        (console or Console(stderr=True)).print(notice, style="bold yellow")
    return networks


def pipeline_from(
    chosen: argparse.Namespace, rest: Sequence[str], console: Console | None = None
) -> Pipeline:
    """The pipeline that the options name: networks, and what computes their stages."""
    # A mistake there is told before anything is loaded.
    check_backend(chosen.backend, chosen.engines)
    networks = networks_from(chosen, rest, console)
    cuda = networks.device.type == "cuda"
    if chosen.precision == "fp8" or (cuda and chosen.backend in RECORDED):
        coarse = coarse_chunk(networks.preset, chosen.seed)
        tune(networks, chosen.precision, coarse, attention=chosen.attention)
    return recorded(networks, chosen.backend, chosen.engines, console or Console(stderr=True))


def recorded(networks: Networks, backend: str, engines: Path | None, console: Console) -> Pipeline:
    """`pipeline_of`, with a line of progress while graphs are recorded."""

    def say(name: str, done: int, count: int) -> None:
        ends = "\n" if done == count or not console.is_terminal else "\r"
        console.print(f"graphs of {backend}: {done} of {count}, {name:10}", end=ends)

    return pipeline_of(networks, backend, engines, say=say)
