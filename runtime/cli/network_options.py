"""Options that serve, render and bench share: which networks, from where, run by what."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from rich.console import Console

from c2r.command_line import ArgumentParser, refuse
from c2r.config import override, parse_overrides
from c2r.kernels.int8 import multiplies_integers
from c2r.models.attention import BACKENDS as KERNELS
from c2r.models.build import PART_NAMES, Networks, seeded_notice, to_integers, tune_for_cpu
from c2r.models.configs import Preset
from c2r.models.precision import multiplies_bfloat16
from c2r.models.presets import PRESETS
from c2r.weights.renderer import WeightPaths, check_shipped, choose_networks, load_networks
from runtime.backends import (
    BACKENDS,
    CAPTURED,
    EXPORTED,
    check_backends,
    choose_backends,
    pipeline_of,
    resolve_backend,
)
from runtime.bench.synthetic import coarse_chunk
from runtime.pipeline.pipeline import Pipeline
from runtime.pipeline.tuning import DTYPES, PRECISIONS, default_dtype, tune

INTEGERS = "int8"

PRESET_KEYS = tuple(field.name for field in fields(Preset) if field.name != "name")
"""What `--key.sub VALUE` may change of a preset."""


def add_network_options(parser: ArgumentParser, *, random_weights: bool = True) -> None:
    """Add the options that `read_choice` reads; `random_weights`: whether it must be said."""
    group = parser.add_argument_group("networks")
    group.add_argument("--preset", choices=list(PRESETS), help="shape of the renderer (tiny)")
    group.add_argument("--weights", type=Path, help="folder of a whole trained renderer")
    for part in PART_NAMES:
        group.add_argument(f"--{part}", help=f"file, folder or hub id of the {part} weights")
    if random_weights:
        without = group.add_argument("--random-weights", action="store_true")
        without.help = "make absent weights from --seed: real speed, frames of noise"
    group.add_argument("--seed", type=int, default=0, help="of noise and of absent weights (0)")
    group.add_argument("--width", type=int, help="frame width in pixels, a multiple of 16")
    group.add_argument("--height", type=int, help="frame height in pixels, a multiple of 16")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 ... (auto)")
    precision = group.add_argument("--precision", choices=(*PRECISIONS, INTEGERS))
    precision.help = (
        "fp8: of the DiT's products; int8: on CPUs, of all but the VAE's (what the device "
        "multiplies faster than float32: bfloat16, then int8)"
    )
    attention = group.add_argument("--attention", choices=["auto", *KERNELS], default="auto")
    attention.help = "kernel; auto: the fastest here where graphs are captured, else sdpa (auto)"
    backend = group.add_argument("--backend", default="auto")
    backend.help = (
        f"{', '.join(BACKENDS)}; or by stage: vae=tensorrt,denoise=compiled (auto: graphs on "
        "CUDA, else eager)"
    )
    group.add_argument("--engines", type=Path, help="folder that c2r export made")
    parser.changes = PRESET_KEYS
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


@dataclass(frozen=True)
class Choice:
    """What the options name, checked before anything is loaded.

    `precision` None: whatever the device multiplies in best. `compared`: more backends that the
    same networks will run on.
    """

    preset: Preset
    paths: WeightPaths
    seed: int
    device: torch.device
    precision: str | None
    attention: str
    backend: str
    engines: Path | None
    compared: tuple[str, ...] = ()

    @property
    def dtype(self) -> torch.dtype:
        """Of all networks; with FP8 or int8, of what is not rounded to it."""
        return DTYPES.get(self.precision or "", default_dtype(self.device))


def read_choice(
    chosen: argparse.Namespace, rest: Sequence[str], compared: Sequence[str] = ()
) -> Choice:
    """What the options name, `rest` being `--key.sub VALUE` changes of the preset.

    `compared`: more backends that the same networks will run on. `ValueError` with the fix for what
    is not there, does not fit together or would have no effect.
    """
    device = choose_device(chosen.device)
    backend, *others = (resolve_backend(name, device) for name in (chosen.backend, *compared))
    _check_backends(chosen, [backend, *others], device)
    preset, paths = _networks_named(chosen, rest)
    choice = Choice(
        preset=preset,
        paths=paths,
        seed=chosen.seed,
        device=device,
        precision=chosen.precision,
        attention=chosen.attention,
        backend=backend,
        engines=chosen.engines,
        compared=tuple(others),
    )
    _check_attention(chosen.attention, device, choice.dtype)
    if choice.precision == INTEGERS and (device.type != "cpu" or {backend, *others} != {"eager"}):
        raise ValueError(
            "--precision int8 is for --device cpu and --backend eager; on CUDA fp8 is its like"
        )
    return choice


def _check_backends(
    chosen: argparse.Namespace, backends: Sequence[str], device: torch.device
) -> None:
    check_backends(backends, chosen.engines)
    if "graphs" in backends and device.type != "cuda":
        raise ValueError("--backend graphs needs CUDA; use eager or compiled on this device")
    if all(choose_backends(name)["denoise"] in EXPORTED for name in backends):
        reason = "the exported denoise engine has its own; leave it out"
        refuse(chosen, ["attention"], reason)
        if chosen.precision == "fp8":
            refuse(chosen, ["precision"], f"{reason} (c2r export --quantize builds FP8)")


def _networks_named(chosen: argparse.Namespace, rest: Sequence[str]) -> tuple[Preset, WeightPaths]:
    parts = WeightPaths(**{part: getattr(chosen, part) for part in PART_NAMES})
    # A command without the option measures speed: any weights do.
    may_be_random = getattr(chosen, "random_weights", chosen.weights is None)
    preset, paths = choose_networks(
        chosen.preset, chosen.weights, parts, random_weights=may_be_random
    )
    if not paths.absent:
        refuse(chosen, ["random_weights"], "every network has weights")
    given = {key: getattr(chosen, key) for key in ("width", "height")}
    size = {key: value for key, value in given.items() if value is not None}
    preset = override(preset, {**size, **parse_overrides(rest)})
    check_shipped(preset, paths)
    return preset, paths


def _check_attention(name: str, device: torch.device, dtype: torch.dtype) -> None:
    """Refuse kernels that run on CUDA in half precision only, before anything is loaded."""
    if name not in ("auto", "sdpa") and (device.type != "cuda" or dtype == torch.float32):
        raise ValueError(
            f"--attention {name} needs CUDA and --precision bfloat16 or float16; "
            "use --attention sdpa"
        )


def load_chosen(choice: Choice, console: Console) -> Networks:
    """The networks, with the kernels and in the precision that were chosen.

    Tells the person at the console, loudly, which weights are random.
    """
    networks = load_networks(
        choice.preset,
        choice.paths,
        seed=choice.seed,
        device=choice.device,
        dtype=choice.dtype,
        attention="sdpa" if choice.attention == "auto" else choice.attention,
    )
    free = choice.precision is None and choice.engines is None
    if free and choice.device.type == "cpu":
        if multiplies_bfloat16(choice.device):
            networks = tune_for_cpu(networks)
        elif choice.backend == "eager" and not choice.compared and multiplies_integers():
            networks = to_integers(networks)
    if choice.precision == INTEGERS:
        to_integers(networks)
    notice = seeded_notice(networks, choice.seed)
    if notice is not None:
        console.print(notice, style="bold yellow")
    backends = {choice.backend, *choice.compared}
    captured = choice.device.type == "cuda" and not backends.isdisjoint(CAPTURED)
    if choice.precision == "fp8" or captured:
        coarse = coarse_chunk(choice.preset, choice.seed)
        tune(networks, choice.precision or "", coarse, attention=choice.attention)
    return networks


def load_pipeline(choice: Choice, console: Console) -> Pipeline:
    """The networks and what computes their stages."""
    return captured_pipeline(load_chosen(choice, console), choice.backend, choice.engines, console)


def captured_pipeline(
    networks: Networks, backend: str, engines: Path | None, console: Console
) -> Pipeline:
    """`pipeline_of`, with a line of progress while graphs are captured."""

    def say(name: str, done: int, count: int) -> None:
        ends = "\n" if done == count or not console.is_terminal else "\r"
        console.print(f"graphs of {backend}: {done} of {count}, {name:10}", end=ends)

    return pipeline_of(networks, backend, engines, say=say)
