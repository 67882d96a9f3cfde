"""Fills a module from a source: all names and shapes are checked first, then all or nothing.

Tensors are read one at a time, so that the peak is one copy of the model and one tensor (and the
old weights, if the module has any). Knows no particular network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from c2r.models.precision import is_finite, parameter_dtype
from c2r.weights.layouts import Naming, Network, layout_names, recognise, title
from c2r.weights.match import describe_dit, matching_preset, shapes_in, shapes_of
from c2r.weights.sources import Entry, Source

SHOWN = 10
IMAGE_OR_VACE = ("img_emb.", "k_img.", "condition_embedder.image_embedder.", "vace_", "add_k_proj.")


@dataclass(frozen=True)
class Misfit:
    """How a checkpoint differs from a module. Missing tensors have our names, others the file's."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.misshapen)

    def text(self) -> str:
        """One line per kind of difference, with up to ten names each."""
        kinds = (
            ("missing", self.missing),
            ("unexpected", self.unexpected),
            ("wrong shape", self.misshapen),
        )
        return "\n".join(f"  {kind} ({len(x)}): {shorten(x)}" for kind, x in kinds if x)


def shorten(lines: tuple[str, ...]) -> str:
    """The first ten, and how many more."""
    more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return "; ".join(lines[:SHOWN]) + more


def identify(source: Source, network: Network) -> Naming:
    """The names in `source`; `ValueError` if it is unknown, or of another network."""
    naming = recognise(source.entries)
    wanted = title(network)
    if naming is None:
        raise ValueError(
            f"{source.path} is of no layout known here; its first tensors: "
            f"{shorten(tuple(source.entries))}. Wanted: a {wanted}. Layouts read: {layout_names()}"
        )
    if naming.network != network:
        raise ValueError(
            f"{source.path} holds a {title(naming.network)} (layout {naming.layout}) where "
            f"a {wanted} is wanted; name the file of that network"
        )
    return naming


def load_into(
    module: nn.Module,
    source: Source,
    naming: Naming,
    *,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    check_finite: bool = True,
) -> None:
    """Give `module` (on meta or real) the tensors of `source`, as `dtype` on `device`.

    Parameters for which the module says `keeps_float32` stay float32; integers stay integers.
    The parameters are replaced, so make optimisers afterwards. `ValueError` if any name or shape
    differs, or a value is NaN or infinite; the module is then as it was.
    """
    if misfit := compare(module, source, naming):
        raise ValueError(
            f"{source.path} (layout {naming.layout}) does not fit {type(module).__name__}:\n"
            f"{misfit.text()}\n  {advice(source, naming, misfit)}"
        )
    tensors: dict[str, Tensor] = {}
    broken = []
    for ours, tensor in _read_all(module, source, naming, dtype, torch.device(device)):
        if check_finite and not is_finite(tensor):
            broken.append(f"{naming.names[ours]} ({str(tensor.dtype).removeprefix('torch.')})")
        tensors[ours] = tensor
    if broken:
        raise ValueError(
            f"{source.path} has NaN or infinite values in {len(broken)} of {len(tensors)} tensors: "
            f"{shorten(tuple(broken))}; nothing was loaded. Take an earlier checkpoint, or a wider "
            "type if these are overflows"
        )
    module.load_state_dict(tensors, strict=True, assign=True)
    module.to(device)  # buffers that are in no state dict
    on_meta = [name for name, buffer in module.named_buffers() if buffer.is_meta]
    assert not on_meta, f"buffers {on_meta} are in no checkpoint and were made on meta"


def compare(module: nn.Module, source: Source, naming: Naming) -> Misfit:
    """Names and shapes of the checkpoint against those of the module; nothing is read."""
    wanted, names = shapes_of(module), naming.names
    shapes = shapes_in(source, naming)
    extra = [name for ours, name in names.items() if ours not in wanted]
    return Misfit(
        missing=tuple(f"{name} {list(wanted[name])}" for name in wanted if name not in shapes),
        unexpected=tuple(_line(name, source.entries[name]) for name in [*extra, *naming.foreign]),
        misshapen=tuple(
            f"{names[ours]} is {list(shapes[ours])}, not {list(shape)}"
            for ours, shape in wanted.items()
            if ours in shapes and shapes[ours] != shape
        ),
    )


def advice(source: Source, naming: Naming, misfit: Misfit) -> str:
    """What to do about a checkpoint that does not fit."""
    shapes = shapes_in(source, naming)
    preset = matching_preset(naming.network, shapes)
    if preset is not None:
        return f"This file looks like preset {preset}; pass --preset {preset}."
    if any(part in name for name in source.entries for part in IMAGE_OR_VACE):
        return "This is an image-to-video or VACE model; use a text-to-video one."
    if not misfit.misshapen:
        return "What both have agrees: the file is a part or a variant; use the whole checkpoint."
    sizes = f" The file has {describe_dit(shapes)}." if naming.network == "dit" else ""
    return f"It is of other sizes than the preset; use weights made for the preset.{sizes}"


def _read_all(
    module: nn.Module, source: Source, naming: Naming, dtype: torch.dtype, device: torch.device
) -> Iterator[tuple[str, Tensor]]:
    """Our name and a copy of each tensor; its view of the file is released before the next."""
    for ours, name in naming.names.items():
        kind = source.entries[name].dtype
        if kind.is_floating_point:
            kind = parameter_dtype(module, ours, dtype)
        yield ours, source.read(name).to(device, kind, copy=True).contiguous()


def _line(name: str, entry: Entry) -> str:
    return f"{name} {list(entry.shape)}"
