"""Stages from an engine folder: its manifest is held against what is served, then engines open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from c2r.exported.libraries import ONNX
from c2r.exported.manifest import read_manifest
from c2r.exported.open_engines import EngineOpener, check_networks
from c2r.exported.stages import Stages, engine_stages
from c2r.models.build import Networks


def open_stages(networks: Networks, folder: Path, backend: str, stages: Sequence[str]) -> Stages:
    """All stages from engines; `stages` are those that will be used, the others stay unopened.

    `ValueError` naming the field in which the folder does not fit the networks or this machine.
    """
    manifest = read_manifest(folder)
    served_by = "onnxruntime" if manifest.target == ONNX else "tensorrt"
    if served_by != backend:
        raise ValueError(
            f"target: {folder} holds {manifest.target} engines, which --backend {served_by} "
            f"serves, not {backend}"
        )
    check_networks(manifest, networks)
    return engine_stages(networks, EngineOpener(manifest, folder, networks.device), stages)
