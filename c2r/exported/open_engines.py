"""Engines of a folder, opened on the device that is at hand; each file is checked first."""

from __future__ import annotations

from pathlib import Path

import torch

from c2r.exported.engine_session import EngineSession
from c2r.exported.fingerprint import weights_sha256
from c2r.exported.libraries import LIBRARIES, ONNX
from c2r.exported.manifest import Manifest, check_files, check_fit
from c2r.exported.onnx_session import OnnxSession
from c2r.exported.trt_session import TensorRTSession
from c2r.models.build import Networks


def check_networks(manifest: Manifest, networks: Networks) -> None:
    """`check_fit` for these networks and the libraries that are here."""
    check_fit(
        manifest,
        preset=networks.preset,
        precision=str(networks.dit.dtype).removeprefix("torch."),
        weights=weights_sha256(networks),
        versions=LIBRARIES[manifest.target].versions(),
    )


def capability_of(device: torch.device) -> int | None:
    """Compute capability of a GPU, 89 for 8.9; None of the CPU."""
    if device.type != "cuda":
        return None
    major, minor = torch.cuda.get_device_capability(device)
    return 10 * major + minor


class EngineOpener:
    """Gives the session of a graph, by its name.

    `ValueError` when the folder has none for this device, or its file is not what was built.
    """

    def __init__(self, manifest: Manifest, folder: Path, device: torch.device) -> None:
        self.manifest = manifest
        self.folder = folder
        self.device = device

    def __call__(self, graph: str) -> EngineSession:
        """The engine of `graph`, ready to run."""
        entry = self.manifest.entry(graph, capability_of(self.device))
        check_files(self.folder, entry)
        engine, *others = (self.folder / name for name in entry.files)
        library = LIBRARIES[self.manifest.target].load()
        if self.manifest.target == ONNX:
            return OnnxSession(library, engine, entry, self.device)
        weights = next((file for file in others if file.suffix == ".onnx"), None)
        return TensorRTSession(library, engine, entry, self.device, weights)
