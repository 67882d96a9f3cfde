"""The engines of a folder held against PyTorch, where this machine can run them.

At the end of a build, and again for a folder that is there: on another machine, with another
driver.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from c2r.exported.libraries import ONNX, RTX
from c2r.exported.manifest import Manifest, read_manifest
from c2r.exported.open_engines import EngineOpener, capability_of, check_networks
from c2r.exported.stages import engine_stages
from c2r.models.build import Networks
from export.folder import EngineFolder
from export.precision.calibrate import rounded
from export.precision.on_clips import calibration_of
from export.verify import verify

Say = Callable[[str], None]


def why_not_run(manifest: Manifest, device: torch.device) -> str | None:
    """Why these engines cannot run on `device`; None where they can."""
    if manifest.target == ONNX:
        return None
    if device.type != "cuda":
        return "no NVIDIA GPU here: built and read back, not run"
    capability = capability_of(device)
    built = {entry.compute_capability for entry in manifest.engines}
    if manifest.target == RTX and capability not in built:
        return f"this GPU has compute capability {capability}, not built for"
    return None


def compare(networks: Networks, manifest: Manifest, folder: Path, say: Say) -> dict[str, Any]:
    """The comparison with PyTorch, or why it was not made; `ValueError` where they disagree.

    PyTorch rounds the layers that are built in FP8, so that what differs is the engine.
    """
    device = networks.device
    reason = why_not_run(manifest, device)
    if reason is not None:
        say(f"not compared with PyTorch: {reason}")
        return {"not_run": reason}
    say("comparing with PyTorch")
    engines = engine_stages(networks, EngineOpener(manifest, folder, device))
    if not manifest.quantized:
        return dict(verify(networks, engines, manifest.precision))
    with rounded(networks, calibration_of(manifest.calibration)):
        return dict(verify(networks, engines, manifest.quantized))


def verify_folder(networks: Networks, path: Path, say: Say) -> Manifest:
    """Compare a whole folder with PyTorch anew, and leave the result in its manifest.

    `ValueError` naming the field in which the folder does not fit the networks or the libraries
    here, when its engines cannot run on this machine, or when they disagree; the manifest is then
    left as it was.
    """
    manifest = read_manifest(path)
    check_networks(manifest, networks)
    reason = why_not_run(manifest, networks.device)
    if reason is not None:
        raise ValueError(f"{path} cannot be verified here: {reason}")
    verified = compare(networks, manifest, path, say)
    found = replace(manifest, verified=verified)
    folder = EngineFolder(path)
    with folder.building() as staging:
        folder.close(found, staging)
    return found
