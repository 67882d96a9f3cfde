"""The renderer that a finished phase leaves: one folder, in float32, that `--weights` takes.

What was not trained is written as it was read, not as it was rounded for training.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from c2r.config import save_config
from c2r.models.build import Networks
from c2r.weights.renderer import save_renderer
from trainer.networks.start import Start
from trainer.settings import LoraConfig, TrainConfig

RUN_FILE = "training.yaml"
LORA_A, LORA_B = ".lora_A.default.weight", ".lora_B.default.weight"


def lora_merged(dit: nn.Module, updates: Mapping[str, Tensor], lora: LoraConfig) -> None:
    """Add `alpha / rank * B A` to the layers that had updates; names are the DiT's."""
    parameters = dict(dit.named_parameters())
    for name, a in updates.items():
        if name.endswith(LORA_A):
            layer = name.removesuffix(LORA_A)
            update = updates[layer + LORA_B].float() @ a.float()
            parameters[f"{layer}.weight"].data += lora.alpha / lora.rank * update


def _fill(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    unexpected = module.load_state_dict(weights, strict=False).unexpected_keys
    assert not unexpected, f"trained weights {unexpected} have no place in the renderer"


def _of(part: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{part}."
    return {name.removeprefix(start): t for name, t in weights.items() if name.startswith(start)}


def trained_networks(config: TrainConfig, start: Start, weights: Mapping[str, Tensor]) -> Networks:
    """The whole renderer with a denoiser's trained weights in their places.

    Without trained control weights it has no control at all, whatever it began with: a control
    network that learned to steer other weights would be a promise it cannot keep.
    """
    preset, dit = config.model, start.dit()
    own, steering = _of("dit", weights), _of("control", weights)
    if config.lora is not None:
        lora_merged(dit, own, config.lora)
    else:
        _fill(dit, own)
    control = None
    if steering:
        control = start.control(dit)
        _fill(control, steering)
    else:
        preset = replace(preset, control=replace(preset.control, kind="none"))
    return Networks(preset, dit, control, start.dino(), start.vae(), start.text())


def write_renderer(
    config: TrainConfig,
    start: Start,
    weights: Mapping[str, Tensor],
    folder: Path,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write the folder at once: what was there before stays until the new one is whole.

    `notes`: what else goes into it, as JSON by the file's name.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    save_renderer(trained_networks(config, start, weights), partial)
    save_config(config, partial / RUN_FILE)
    for name, note in (notes or {}).items():
        (partial / name).write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
