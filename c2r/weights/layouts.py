"""Recognise the layout of a checkpoint from the names in it, and translate them to ours.

File names play no part. Ours are: the official names for the DiT, the published ones for the
control adapter and the tiny VAE, diffusers' for the Wan VAE.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from c2r.models.control_registry import CONTROL_KINDS
from c2r.weights.dit_names import to_official

Network = str
"""A key of `TITLES`, or a kind of control network (`c2r.models.control_registry`)."""
TITLES: dict[Network, str] = {
    "dit": "Wan DiT",
    "tiny-vae": "tiny VAE",
    "wan-vae": "Wan VAE",
    "text-encoder": "UMT5 text encoder",
    "dino": "DINO feature extractor",
}

# Training checkpoints: the averaged weights are the ones to use, and come first here.
ROOTS = ("generator_ema.", "generator.", "state_dict.")
PREFIXES = ("pipe.dit.", "model.diffusion_model.", "diffusion_model.", "model.", "module.")
INFIXES = ("_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod.")

Translate = Callable[[Iterable[str]], Mapping[str, str]]
"""Names as in the file, without prefixes -> ours; names unknown to the layout are left out."""


@dataclass(frozen=True)
class Layout:
    """One way of naming a network's tensors, recognised by one name that matches `signature`."""

    name: str
    network: Network
    signature: re.Pattern[str]
    translate: Translate


@dataclass(frozen=True)
class Naming:
    """The tensor names of one checkpoint, by use.

    `names`: ours -> as in the file. `foreign`: unknown to the layout. `skipped`: ignored on
    purpose, such as the weights beside their running average.
    """

    layout: str
    network: Network
    names: Mapping[str, str]
    foreign: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def recognise(names: Iterable[str]) -> Naming | None:
    """The layout of a checkpoint with these tensor names; None if it is unknown.

    `ValueError` if two tensors end up under one name.
    """
    names = list(names)
    root = next((root for root in ROOTS if any(n.startswith(root) for n in names)), "")
    bare = {name: bare_name(name[len(root) :]) for name in names if name.startswith(root)}
    layout = next((x for x in all_layouts() if any(map(x.signature.match, bare.values()))), None)
    if layout is None:
        return None
    ours = layout.translate(bare.values())
    taken: dict[str, str] = {}
    for name, short in bare.items():
        if short in ours and taken.setdefault(ours[short], name) != name:
            raise ValueError(
                f"tensors {taken[ours[short]]} and {name} are both {ours[short]}; the checkpoint "
                "holds two networks: save one of them apart"
            )
    return Naming(
        layout=_full_name(layout, root, bare),
        network=layout.network,
        names=taken,
        foreign=tuple(name for name, short in bare.items() if short not in ours),
        skipped=tuple(name for name in names if name not in bare),
    )


def title(network: Network) -> str:
    """A network's name in messages."""
    return TITLES[network] if network in TITLES else CONTROL_KINDS[network].title


def all_layouts() -> tuple[Layout, ...]:
    """Every layout, in the order in which they are tried.

    Control comes first: a ControlNet's clones have the DiT's tensor names.
    """
    control = (
        _layout(row.layout, kind, row.signature, _unchanged) for kind, row in CONTROL_KINDS.items()
    )
    return (*control, *LAYOUTS)


def bare_name(name: str) -> str:
    """The name without the prefixes and infixes of training tools."""
    for infix in INFIXES:
        name = name.replace(infix, "")
    while prefix := next((p for p in PREFIXES if name.startswith(p)), ""):
        name = name[len(prefix) :]
    return name


def layout_names() -> str:
    """All layouts, for messages."""
    return ", ".join([*(layout.name for layout in all_layouts()), "self-forcing", "c2r-backbone"])


def _full_name(layout: Layout, root: str, bare: Mapping[str, str]) -> str:
    """The official names with a prefix are layouts with other names."""
    if layout.name != "wan":
        return layout.name
    if root in ROOTS[:2]:
        return "self-forcing"
    return "c2r-backbone" if any(n.startswith("pipe.dit.") for n in bare) else "wan"


def _unchanged(names: Iterable[str]) -> dict[str, str]:
    return {name: name for name in names}


def _from_diffusers(names: Iterable[str]) -> dict[str, str]:
    return {name: ours for name in names if (ours := to_official(name)) is not None}


def _from_wan_vae(names: Iterable[str]) -> dict[str, str]:
    """Diffusers' own converter; it never reads the values, so names stand in for tensors."""
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers  # 2 s

    return {name: ours for ours, name in convert_wan_vae_to_diffusers(_unchanged(names)).items()}


def _layout(name: str, network: Network, signature: str, translate: Translate) -> Layout:
    return Layout(name, network, re.compile(signature), translate)


# In this order: DINOv2 may have registers, as DINOv3 has.
LAYOUTS = (
    _layout(
        "diffusers",
        "dit",
        r"blocks\.\d+\.(attn[12]\.|scale_shift_table)|condition_embedder\.",
        _from_diffusers,
    ),
    _layout("wan-vae", "wan-vae", r"(encoder\.down|decoder\.up)samples\.", _from_wan_vae),
    _layout("diffusers-vae", "wan-vae", r"(encoder\.down|decoder\.up)_blocks\.", _unchanged),
    _layout("taehv", "tiny-vae", r"((encoder|decoder)(\.\d+|_linear)|guide)\.", _unchanged),
    _layout("umt5", "text-encoder", r"shared\.weight|encoder\.block\.\d+\.", _unchanged),
    _layout("dinov2", "dino", r"embeddings\.position_embeddings", _unchanged),
    _layout("dinov3", "dino", r"embeddings\.register_tokens|layer\.\d+\.att", _unchanged),
    _layout("wan", "dit", r"blocks\.\d+\.(self|cross)_attn\.|head\.modulation", _unchanged),
)
