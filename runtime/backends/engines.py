"""Stages from an engine folder: its manifest is held against what is served, then engines open."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from c2r.engines.fingerprint import weights_sha256
from c2r.engines.onnx_session import OnnxSession
from c2r.engines.session import Session
from c2r.engines.stages import Stages, engine_stages
from c2r.engines.trt_session import TensorRTSession
from c2r.models.build import Networks
from c2r.weights.engines import Manifest, check_files, check_fit, read_manifest

LIBRARIES = {
    "onnx": ("onnxruntime", "onnxruntime", "onnxruntime"),
    "rtx": ("tensorrt", "tensorrt_rtx", "tensorrt-rtx"),
    "tensorrt": ("tensorrt", "tensorrt", "tensorrt"),
}
"""Target -> the backend that serves it, the library's import name, its distribution."""


def open_stages(networks: Networks, folder: Path, backend: str, stages: Sequence[str]) -> Stages:
    """All stages from engines; `stages` are those that will be used, the others stay unopened.

    `ValueError` naming the field in which the folder does not fit the networks or this machine.
    """
    manifest = read_manifest(folder)
    served_by, package, distribution = LIBRARIES[manifest.target]
    if served_by != backend:
        raise ValueError(
            f"target: {folder} holds {manifest.target} engines, which --backend {served_by} "
            f"serves, not {backend}"
        )
    library = _load(package, distribution)
    check_fit(
        manifest,
        preset=networks.preset,
        precision=str(networks.dit.dtype).removeprefix("torch."),
        weights=weights_sha256(networks),
        versions={distribution: _version(distribution, library)},
    )
    return engine_stages(networks, _Opener(manifest, folder, library, networks), stages)


class _Opener:
    """Opens the engine of a graph, its files checked."""

    def __init__(self, manifest: Manifest, folder: Path, library: Any, networks: Networks) -> None:
        self.manifest = manifest
        self.folder = folder
        self.library = library
        self.device = networks.dit.patch_embedding.weight.device

    def __call__(self, graph: str) -> Session:
        entry = self.manifest.entry(graph, self._capability())
        check_files(self.folder, entry)
        path = self.folder / entry.file
        if self.manifest.target == "onnx":
            return OnnxSession(path, entry, self.device)
        stripped = [name for name in entry.files if name.endswith(".onnx")]
        onnx_file = self.folder / stripped[0] if stripped else None
        return TensorRTSession(self.library, path, entry, self.device, onnx_file)

    def _capability(self) -> int | None:
        if self.device.type != "cuda":
            return None
        major, minor = torch.cuda.get_device_capability(self.device)
        return 10 * major + minor


def _load(package: str, distribution: str) -> Any:
    try:
        return import_module(package)
    except (ImportError, OSError) as error:
        raise ValueError(
            f"{distribution} cannot be loaded ({error}); install the version that built the engines"
        ) from error


def _version(distribution: str, library: Any) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return str(library.__version__)
