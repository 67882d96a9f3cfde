"""Saves weights as safetensors, in our names or diffusers', in one file or shards with an index.

Files are written under a hidden name and renamed when complete, the index last: a crash leaves no
half-written file under a final name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from c2r.models.configs import DiTConfig
from c2r.models.dit import DiT
from c2r.weights.dit_names import to_diffusers
from c2r.weights.layouts import recognise

DIT_STEM, STEM = "diffusion_pytorch_model", "model"
Metadata = Mapping[str, str]


def save_weights(
    weights: nn.Module | Mapping[str, Tensor],
    destination: str | Path,
    *,
    layout: str | None = None,
    prefix: str = "",
    metadata: Metadata | None = None,
    max_shard_size: str | int = "5GB",
    config: DiTConfig | None = None,
) -> list[Path]:
    """Write a module's weights (or a state dict in our names); returns the files written.

    `destination`: a `.safetensors` file, or a folder, which gets shards and an index when the
    weights exceed `max_shard_size`. `layout`: None keeps our names (for a DiT the official ones);
    `diffusers` renames a DiT's; with `config` (a `DiT` has its own) a folder also gets the
    `config.json` that `WanTransformer3DModel.from_pretrained` reads. `prefix` is put before every
    name (`pipe.dit.`).
    `ValueError` for a layout that the weights cannot have; `FileExistsError` if the folder holds
    weights that one rename cannot replace.
    """
    state = dict(weights.state_dict() if isinstance(weights, nn.Module) else weights)
    named = {f"{prefix}{name}": tensor for name, tensor in rename(state, layout).items()}
    header = {"format": "pt", **(metadata or {})}
    destination = Path(destination)
    if destination.suffix == ".safetensors":
        destination.parent.mkdir(parents=True, exist_ok=True)
        return [_write_tensors(destination, named, header)]
    destination.mkdir(parents=True, exist_ok=True)
    naming = recognise(named)
    stem = DIT_STEM if naming is not None and naming.network == "dit" else STEM
    files = _save_folder(named, destination, stem, header, max_shard_size)
    config = weights.config if isinstance(weights, DiT) else config
    if layout == "diffusers" and config is not None:
        text = json.dumps(diffusers_config(config), indent=2)
        files.append(_write_text(destination / "config.json", text))
    return files


def rename(state: Mapping[str, Tensor], layout: str | None) -> dict[str, Tensor]:
    """A state dict in our names, in the names of `layout` (see `save_weights`)."""
    naming = recognise(state)
    if layout == "diffusers" and naming is not None and naming.layout == "wan":
        renamed = {to_diffusers(name): tensor for name, tensor in state.items()}
        if None not in renamed:
            return {str(name): tensor for name, tensor in renamed.items()}
    elif layout is None or (naming is not None and naming.layout == layout):
        return dict(state)
    own = naming.layout if naming is not None else "unknown"
    raise ValueError(
        f"these weights are of layout {own} and cannot be saved as {layout!r}; leave layout out to "
        "save them under their own names ('diffusers' is for whole Wan DiTs)"
    )


def diffusers_config(config: DiTConfig) -> dict[str, Any]:
    """The `config.json` from which diffusers builds the same DiT."""
    sizes = asdict(config)
    return {
        "_class_name": "WanTransformer3DModel",
        "patch_size": [1, config.patch, config.patch],
        "num_attention_heads": config.heads,
        "attention_head_dim": config.head_dim,
        "in_channels": config.channels,
        "out_channels": config.channels,
        "num_layers": config.layers,
        "cross_attn_norm": True,
        "qk_norm": "rms_norm_across_heads",
        **{key: sizes[key] for key in ("text_dim", "freq_dim", "ffn_dim", "eps")},
    }


def _save_folder(
    named: Mapping[str, Tensor],
    folder: Path,
    stem: str,
    header: Metadata,
    max_shard_size: str | int,
) -> list[Path]:
    # Stand-ins, because the split goes by storages, and a view may have a whole file behind it.
    sizes = {name: torch.empty_like(tensor, device="meta") for name, tensor in named.items()}
    split = split_torch_state_dict_into_shards(
        sizes, filename_pattern=stem + "{suffix}.safetensors", max_shard_size=max_shard_size
    )
    single, index = folder / f"{stem}.safetensors", folder / f"{stem}.safetensors.index.json"
    in_the_way = single if split.is_sharded else index
    if in_the_way.exists() or (split.is_sharded and index.exists()):
        raise FileExistsError(
            f"{folder} already holds other weights ({stem}*); "
            "save into a new folder, or remove them"
        )
    files = [
        _write_tensors(folder / file, {name: named[name] for name in names}, header)
        for file, names in split.filename_to_tensors.items()
    ]
    if split.is_sharded:
        content = {
            "metadata": {**header, **split.metadata},
            "weight_map": split.tensor_to_filename,
        }
        files.append(_write_text(index, json.dumps(content, indent=2)))
    return files


def _write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Metadata) -> Path:
    whole = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    partial = _partial(path)
    try:
        save_file(whole, partial, metadata=dict(header))
        return _finish(partial, path)
    except SafetensorError as error:  # a full disk is reported like this
        raise OSError(f"{path} could not be written ({error}); is there room for it?") from error
    finally:
        partial.unlink(missing_ok=True)


def _write_text(path: Path, text: str) -> Path:
    partial = _partial(path)
    try:
        partial.write_text(text, encoding="utf-8")
        return _finish(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def _finish(partial: Path, path: Path) -> Path:
    """Flush to the disk, then rename: otherwise a loss of power can leave an empty file."""
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(path)
    return path
