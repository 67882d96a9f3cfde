"""The renderer that a finished phase leaves: one folder, in float32, that `--weights` takes.

What was not trained is written as it was read, not as it was rounded for training.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from c2r.config import save_config
from c2r.models.build import Networks
from c2r.weights.renderer import save_renderer
from trainer.networks.start import Start
from trainer.settings import TrainConfig

RUN_FILE = "training.yaml"
Fill = Callable[[nn.Module, Mapping[str, Tensor]], None]
"""Puts a DiT's trained weights in their places."""


def fill(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load trained weights by name; the module's others stay."""
    unexpected = module.load_state_dict(weights, strict=False).unexpected_keys
    assert not unexpected, f"trained weights {unexpected} have no place in the renderer"


def _of(part: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{part}."
    return {name.removeprefix(start): t for name, t in weights.items() if name.startswith(start)}


def trained_networks(
    config: TrainConfig, start: Start, weights: Mapping[str, Tensor], fill_dit: Fill = fill
) -> Networks:
    """The whole renderer with a denoiser's trained weights in their places.

    Without trained control weights it has no control at all, whatever it began with: a control
    network that learned to steer other weights would not steer these.
    """
    preset, dit = config.model, start.dit()
    fill_dit(dit, _of("dit", weights))
    steering, control = _of("control", weights), None
    if steering:
        control = start.control(dit)
        fill(control, steering)
    else:
        preset = replace(preset, control=replace(preset.control, kind="none"))
    return Networks(preset, dit, control, start.dino(), start.vae(), start.text())


def write_renderer(
    config: TrainConfig,
    start: Start,
    weights: Mapping[str, Tensor],
    folder: Path,
    notes: Mapping[str, Any] | None = None,
    fill_dit: Fill = fill,
) -> None:
    """Write the renderer with a denoiser's trained weights; see `write_networks`."""
    write_networks(config, trained_networks(config, start, weights, fill_dit), folder, notes)


def write_networks(
    config: TrainConfig, networks: Networks, folder: Path, notes: Mapping[str, Any] | None = None
) -> None:
    """Write the folder at once: what was there before stays until the new one is whole.

    `notes`: what else goes into it, as JSON by the file's name.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    save_renderer(networks, partial)
    save_config(config, partial / RUN_FILE)
    for name, note in (notes or {}).items():
        (partial / name).write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
