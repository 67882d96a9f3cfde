"""The kinds of control network. A new kind is one file with its network and one row here.

A row holds names only, so that reading a configuration imports no torch. The network itself is a
`ControlNetwork` (`c2r.models.control`), which says how it is built, how training initialises it,
what it costs and what settings it has; it is imported when it is first asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from c2r.models.configs import ControlConfig
    from c2r.models.control import ControlNetwork

NO_CONTROL = "none"
"""The `kind` of a renderer without control."""


@dataclass(frozen=True)
class ControlKind:
    """One row. `network`: `module:Class`; `settings`: the same for a kind that has settings of its
    own, a subclass of `ControlConfig`. The rest is about checkpoints of this kind.

    `title`: its name in messages. `layout`: the name of its tensor layout. `signature`: a regular
    expression that one of its tensors matches and no other network's does. `hub_files`: patterns of
    the files to download from a hub repository.
    """

    network: str
    title: str
    layout: str
    signature: str
    hub_files: tuple[str, ...] = ("*.safetensors", "*.safetensors.index.json")
    settings: str = "c2r.models.configs:ControlConfig"


CONTROL_KINDS: dict[str, ControlKind] = {
    # Layouts are tried in this order: a ControlNet has the adapter's tensor names too, so its row
    # comes first.
    "controlnet": ControlKind(
        network="c2r.models.controlnet:ControlNet",
        title="C2R ControlNet",
        layout="c2r-controlnet",
        signature=r"projections\.\d+\.",
    ),
    "adapter": ControlKind(
        network="c2r.models.adapter:ControlAdapter",
        title="C2R control adapter",
        layout="c2r-adapter",
        signature=r"dino_(patch_adapter|fusion_bridge)\.",
        hub_files=("*adapter*.safetensors",),
    ),
}


def check_kind(kind: str) -> None:
    """`ValueError` unless `kind` is in the registry, or none."""
    if kind != NO_CONTROL and kind not in CONTROL_KINDS:
        known = ", ".join(repr(name) for name in sorted(CONTROL_KINDS))
        raise ValueError(f"control kind {kind!r} is unknown; use {known} or {NO_CONTROL!r}")


def control_class(kind: str) -> type[ControlNetwork]:
    """The network class of a kind; `ValueError` for an unknown one and for none."""
    check_kind(kind)
    if kind == NO_CONTROL:
        raise ValueError("control kind 'none' has no network")
    network: type[ControlNetwork] = _named(CONTROL_KINDS[kind].network)
    return network


def settings_class(kind: str) -> type[ControlConfig]:
    """The settings of a kind; `ValueError` for an unknown one. Imports torch only if they do."""
    check_kind(kind)
    path = ControlKind.settings if kind == NO_CONTROL else CONTROL_KINDS[kind].settings
    settings: type[ControlConfig] = _named(path)
    return settings


def _named(path: str) -> Any:
    module, name = path.split(":")
    return getattr(import_module(module), name)
