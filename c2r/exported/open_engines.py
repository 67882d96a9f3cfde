"""Opens the engines of a folder on a device; each file and the weights are checked first."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import nn

from c2r.exported.engine_session import EngineSession
from c2r.exported.libraries import LIBRARIES, ONNX
from c2r.exported.manifest import Manifest, check_files, check_fit
from c2r.exported.onnx_session import OnnxSession
from c2r.exported.trt_session import TensorRTSession
from c2r.models.build import Networks


def weights_sha256(networks: Networks) -> str:
    """SHA-256 of every weight that a graph may hold, in its own dtype: names, shapes, values.

    The text encoder is left out: no graph holds it.
    """
    digest = hashlib.sha256()
    parts = {"dit": networks.dit, "dino": networks.dino, "vae": networks.vae}
    modules: dict[str, nn.Module] = dict(parts)
    if networks.control is not None:
        modules["control"] = networks.control
    for part, module in sorted(modules.items()):
        for name, tensor in sorted(module.state_dict().items()):
            digest.update(f"{part}.{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
            flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(memoryview(flat.numpy()))
    return digest.hexdigest()


def check_networks(manifest: Manifest, networks: Networks) -> None:
    """`check_fit` for these networks and the installed libraries."""
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
    """Opens the session of a graph, by its name.

    `ValueError` when the folder has none for this device, or its file is not what was built.
    """

    def __init__(self, manifest: Manifest, folder: Path, device: torch.device) -> None:
        self.manifest = manifest
        self.folder = folder
        self.device = device

    def __call__(self, graph: str) -> EngineSession:
        entry = self.manifest.entry(graph, capability_of(self.device))
        check_files(self.folder, entry)
        engine, *others = (self.folder / name for name in entry.files)
        library = LIBRARIES[self.manifest.target].load()
        if self.manifest.target == ONNX:
            return OnnxSession(library, engine, entry, self.device)
        weights = next((file for file in others if file.suffix == ".onnx"), None)
        return TensorRTSession(library, engine, entry, self.device, weights)
