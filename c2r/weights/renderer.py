"""A whole renderer as one folder, or as one path per network.

The folder holds `preset.yaml` (all shapes), `dit.safetensors`, `control.safetensors`,
`vae.safetensors`, `dino/` and `text/` (Hugging Face folders), and optionally other files (a model
card, metrics). `--weights` takes such a folder.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch

from c2r.config import override, read_yaml, save_config
from c2r.models.build import (
    PART_NAMES,
    Networks,
    PromptEncoder,
    build_control,
    build_dit,
    build_vae,
    prepare_inference,
    seeded_control,
    seeded_text,
)
from c2r.models.configs import Preset, TinyVAEConfig
from c2r.models.control_registry import CONTROL_KINDS, NO_CONTROL
from c2r.models.dino import DinoEncoder, build_dino, load_dino
from c2r.models.presets import get_preset
from c2r.models.seeded import seeded
from c2r.models.text import TextEncoder, load_text
from c2r.models.tiny_vae import TinyVAE
from c2r.models.vae import WanVAE
from c2r.weights.networks import load_control, load_dit, load_tiny_vae, load_wan_vae
from c2r.weights.save import save_weights

PRESET_FILE = "preset.yaml"
SHIPPED = {"tiny": Path(__file__).resolve().parents[2] / "assets" / "tiny"}
"""Trained renderers that are part of the checkout, by preset."""


@dataclass(frozen=True)
class WeightPaths:
    """A file, folder or hub id for each network; None: random weights from a seed."""

    dit: str | None = None
    control: str | None = None
    vae: str | None = None
    dino: str | None = None
    text: str | None = None

    @property
    def absent(self) -> tuple[str, ...]:
        """The networks without weights."""
        return tuple(part.name for part in fields(self) if getattr(self, part.name) is None)


def read_renderer(folder: Path) -> tuple[Preset, WeightPaths]:
    """Preset and paths of a renderer's folder; `ValueError` when a part is missing."""
    file = folder / PRESET_FILE
    if not file.is_file():
        raise ValueError(
            f"{folder} is not a renderer's folder: it has no {PRESET_FILE}; give the folder that "
            "training wrote, or name the networks one by one (--dit, --control, ...)"
        )
    changes = read_yaml(file)
    try:
        preset = override(get_preset(str(changes.get("name"))), changes)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    wanted = {"dit": "dit.safetensors", "vae": "vae.safetensors", "dino": "dino", "text": "text"}
    if preset.control.kind != NO_CONTROL:
        wanted["control"] = "control.safetensors"
    missing = [name for name in wanted.values() if not (folder / name).exists()]
    if missing:
        raise ValueError(f"the renderer in {folder} is incomplete: it lacks {', '.join(missing)}")
    return preset, WeightPaths(**{part: str(folder / name) for part, name in wanted.items()})


def load_networks(
    preset: Preset,
    paths: WeightPaths,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    attention: str = "sdpa",
) -> Networks:
    """Each network from its path, or from `seed` where there is none; ready to render.

    `Networks.random_parts` names the latter. `ValueError` or `FileNotFoundError` as the loaders.
    """
    if paths.control is not None and preset.control.kind == NO_CONTROL:
        raise ValueError(
            f"control weights {paths.control} were given, but control.kind is none; leave them out "
            f"or choose --control.kind {' or '.join(CONTROL_KINDS)}"
        )
    if paths.dit is not None:
        dit = load_dit(paths.dit, preset.dit, dtype=dtype, device=device, attention=attention)
    else:
        with seeded(seed):
            dit = build_dit(preset, attention)
    control = seeded_control(preset, seed) if paths.control is None else build_control(preset)
    if control is not None and paths.control is not None:
        load_control(paths.control, control, dtype=dtype, device=device)
    dino, vae = _dino(preset, paths.dino, seed), _vae(preset, paths.vae, seed)
    random_parts = [part for part in paths.absent if part != "control" or control is not None]
    return Networks(
        preset=preset,
        dit=prepare_inference(dit, dtype, device),
        control=None if control is None else prepare_inference(control, dtype, device),
        dino=prepare_inference(dino, dtype, device),
        vae=prepare_inference(vae, dtype, device),
        text=_text(preset, paths.text, seed, dtype).to(device),
        random_parts=tuple(random_parts),
    )


def seeded_networks(
    preset: Preset,
    seed: int,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    attention: str = "sdpa",
) -> Networks:
    """All networks with random weights from `seed`, the same on every machine. Not for training."""
    paths = WeightPaths()
    return load_networks(preset, paths, seed=seed, device=device, dtype=dtype, attention=attention)


def _dino(preset: Preset, path: str | None, seed: int) -> DinoEncoder:
    if path is None:
        return build_dino(preset.dino, preset.grid, seed=seed)
    dino = load_dino(path, preset.grid)
    if dino.dim != preset.dino.hidden:
        raise ValueError(
            f"the DINO in {path} is {dino.dim} wide, preset {preset.name} wants "
            f"{preset.dino.hidden}; use the size that the control was trained with"
        )
    return dino


def _vae(preset: Preset, path: str | None, seed: int) -> TinyVAE | WanVAE:
    if path is None:
        with seeded(seed):
            return build_vae(preset)
    if isinstance(preset.vae, TinyVAEConfig):
        return load_tiny_vae(path, preset.vae, dtype=torch.float32)
    return load_wan_vae(path, preset.vae, dtype=torch.float32)


def _text(preset: Preset, path: str | None, seed: int, dtype: torch.dtype) -> PromptEncoder:
    return (
        seeded_text(preset.text, seed)
        if path is None
        else load_text(path, preset.text, dtype=dtype)
    )


def save_renderer(networks: Networks, folder: Path) -> None:
    """Write all networks as one folder that `read_renderer` reads.

    `preset.yaml` is written last, so a folder with one is complete. `ValueError` for a stand-in
    text encoder, which has no weights.
    """
    if not isinstance(networks.text, TextEncoder):
        raise ValueError("the text encoder has no weights; load one before saving")
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(networks.dit, folder / "dit.safetensors")
    if networks.control is not None:
        save_weights(networks.control, folder / "control.safetensors")
    vae = networks.vae
    save_weights(vae.model if isinstance(vae, WanVAE) else vae, folder / "vae.safetensors")
    networks.dino.model.save_pretrained(folder / "dino")
    networks.text.model.save_pretrained(folder / "text")
    if networks.preset.text.tokenizer != "bytes":
        networks.text.tokenizer.save_pretrained(folder / "text")
    save_config(networks.preset, folder / PRESET_FILE)


def choose_networks(
    preset_name: str | None,
    folder: Path | None,
    parts: WeightPaths,
    *,
    random_weights: bool = False,
) -> tuple[Preset, WeightPaths]:
    """Preset and paths from what a command was given: a folder, single parts, or only a name.

    Single parts replace those of the folder, which is the shipped one where none is given.
    `random_weights`: whether parts may be without weights. `ValueError` when preset and folder
    disagree, or a network has no weights and may not be random.
    """
    if folder is not None and random_weights:
        raise ValueError(f"--weights {folder} has all weights; leave --random-weights out")
    name = preset_name or "tiny"
    if folder is None and not random_weights:
        folder = SHIPPED.get(name)
    if folder is None:
        preset = get_preset(name)
        needed = [
            part for part in parts.absent if part != "control" or preset.control.kind != "none"
        ]
        if needed and not random_weights:
            raise ValueError(
                f"no weights for {', '.join(needed)} of {name}: give --weights FOLDER, or "
                "--random-weights to measure speed (the frames are then noise)"
            )
        return preset, parts
    preset, paths = read_renderer(folder)
    if preset_name is not None and preset_name != preset.name:
        raise ValueError(
            f"{folder} holds a {preset.name} renderer, --preset says {preset_name}; "
            "leave --preset out"
        )
    given = {part: getattr(parts, part) for part in PART_NAMES if getattr(parts, part) is not None}
    return preset, replace(paths, **given)


def check_shipped(preset: Preset, paths: WeightPaths) -> None:
    """`ValueError` where shipped weights were chosen for a preset whose networks were changed."""
    folder = SHIPPED.get(preset.name)
    if folder is None or paths.dit != str(folder / "dit.safetensors"):
        return
    shipped, _ = read_renderer(folder)
    for part in ("dit", "control", "vae", "dino", "text"):
        own, given = getattr(shipped, part), getattr(preset, part)
        for field in fields(own):
            if field.name in ("first_scale", "last_scale", "every_pass"):  # not of any weight
                continue
            if getattr(own, field.name) != getattr(given, field.name, None):
                raise ValueError(
                    f"--{part}.{field.name}: the weights in {folder} are not of this shape; give "
                    "others (--weights FOLDER) or --random-weights"
                )
