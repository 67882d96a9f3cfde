"""From networks to an engine folder: ONNX, engines, verification, manifest."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import c2r
from c2r.engines.fingerprint import weights_sha256
from c2r.engines.names import DENOISE
from c2r.models.build import Networks
from c2r.weights.engines import EngineEntry, Manifest, baked_settings, file_sha256, json_sha256
from export.engines.plan import read_back
from export.engines.targets import ONNX, RTX, TARGETS, TENSORRT, TORCH_TENSORRT, Target
from export.engines.tensorrt_builder import BuildOptions, build_engine
from export.engines.torch_tensorrt_builder import build_by_torch_tensorrt, suits
from export.folder import EngineFolder
from export.graphs import OPSET, Graph, build_graphs
from export.onnx_export import export_onnx, onnx_specs
from export.parity import compare
from export.precision.on_clips import ClipCalibration
from export.precision.quantize import quantize

Say = Callable[[str], None]
ROOT = Path(c2r.__file__).parent.parent
SOURCES = (
    "c2r/models",
    "c2r/engines/names.py",
    "export/graphs.py",
    "export/onnx_export.py",
    "export/precision/formats.py",
    "export/precision/quantize.py",
)


@dataclass(frozen=True)
class BuildRequest:
    """What to build, and where to. `capabilities`: empty where they do not matter.

    `calibration`: what was found of fewer bits; it goes into the manifest. `quantize`: build the
    denoise engine with the calibrated layers in FP8.
    """

    target: Target
    output: Path
    precision: str
    capabilities: tuple[int, ...] = ()
    strip: bool = False
    calibration: ClipCalibration | None = None
    quantize: bool = False

    @property
    def scales(self) -> dict[str, float]:
        """Of the layers that are built in FP8; none where that is not asked for."""
        if not self.quantize:
            return {}
        assert self.calibration is not None
        return self.calibration.scales


@dataclass(frozen=True)
class _Origin:
    """Everything that all engines of a build follow from."""

    settings: Mapping[str, Any]
    precision: str
    weights: str
    versions: Mapping[str, str]
    code: str = field(default_factory=lambda: _code_sha256())

    def key(self, **more: Any) -> str:
        return json_sha256({**vars(self), "opset": OPSET, **more})


def build_engines(networks: Networks, request: BuildRequest, say: Say = print) -> Manifest:
    """Build, verify and close the folder; gives its manifest.

    What is up to date is not built again. `ValueError` when an engine cannot be built or does not
    agree with PyTorch; the folder is then without a manifest, and what was finished stays.
    """
    versions = {name: version(name) for name in ("torch", "onnx", "onnxscript")}
    origin = _Origin(
        baked_settings(networks.preset),
        request.precision,
        weights_sha256(networks),
        versions,
    )
    folder, graphs = EngineFolder(request.output), build_graphs(networks)
    calibration = {} if request.calibration is None else request.calibration.as_json()
    with folder.building() as staging:
        made = {
            name: _onnx(networks, graph, request, folder, staging, origin, say)
            for name, graph in graphs.items()
        }
        entries = list(made.values())
        if request.target.name != ONNX:
            entries = [
                _engine(graphs[name], onnx, capability, request, folder, staging, origin, say)
                for capability in request.capabilities or (None,)
                for name, onnx in made.items()
            ]
        manifest = Manifest(
            preset=networks.preset.name,
            settings=origin.settings,
            target=request.target.name,
            precision=request.precision,
            weights=origin.weights,
            versions=versions | request.target.versions() | TARGETS[request.target.name].versions(),
            commit=commit(),
            engines=tuple(entries),
            calibration=calibration,
            quantized="fp8" if request.quantize else "",
        )
        before = folder.manifest()
        if before is not None and before.engines == manifest.engines and before.verified:
            say(f"{folder.path} is up to date")
            if request.calibration is not None:
                before = replace(before, calibration=calibration)
                folder.close(before, staging)
            return before
        verified = compare(networks, manifest, folder.path, say)
        manifest = replace(manifest, verified=verified)
        folder.close(manifest, staging)
    return manifest


def _onnx(
    networks: Networks,
    graph: Graph,
    request: BuildRequest,
    folder: EngineFolder,
    staging: Path,
    origin: _Origin,
    say: Say,
) -> EngineEntry:
    """The graph as ONNX in the folder."""
    scales = request.scales if graph.name == DENOISE else {}
    file, key = f"{graph.name}.onnx", origin.key(graph=graph.name, scales=scales)
    found = folder.up_to_date(file, key)
    if found is not None:
        return found
    folder.begin_change()
    say(f"{graph.name}: exporting to ONNX")
    preset, began = networks.preset, time.perf_counter()
    metadata = {
        "c2r.preset": preset.name,
        "c2r.graph": graph.name,
        "c2r.size": f"{preset.width}x{preset.height}",
        "c2r.precision": origin.precision,
        "c2r.weights": origin.weights,
        "c2r.commit": commit(),
    }
    rewrite = partial(quantize, scales=scales) if scales else None
    paths = export_onnx(graph, staging / file, metadata, rewrite)
    inputs, outputs = onnx_specs(paths[0])
    files = folder.place(paths)
    entry = EngineEntry(
        graph=graph.name,
        key=key,
        files=files,
        inputs=inputs,
        outputs=outputs,
        profiles=graph.profiles,
        aliases=graph.aliases,
        onnx_sha256=files[file],
        build={"opset": OPSET, **_cost(began)},
    )
    folder.finish(entry, staging)
    return entry


def _engine(
    graph: Graph,
    onnx: EngineEntry,
    capability: int | None,
    request: BuildRequest,
    folder: EngineFolder,
    staging: Path,
    origin: _Origin,
    say: Say,
) -> EngineEntry:
    """One engine of one graph, read back where that needs no GPU."""
    target = request.target
    hardware = str(capability) if capability is not None else torch.cuda.get_device_name()
    built_by = {**target.versions(), "strip": str(request.strip), "hardware": hardware}
    suffix = "" if capability is None else f".sm{capability}"
    file = f"{graph.name}{suffix}.engine"
    key = origin.key(graph=graph.name, built_by=built_by, onnx=onnx.key)
    found = folder.up_to_date(file, key)
    if found is not None:
        return found
    folder.begin_change()
    say(f"{graph.name}: building for {hardware}")
    began, path = time.perf_counter(), staging / file
    by_torch = target is TORCH_TENSORRT and suits(graph)
    if by_torch:
        path.write_bytes(build_by_torch_tensorrt(target.load(), graph))
    else:
        trt = TARGETS[target.name].load()
        timing = folder.path / "timing.cache" if target.name == TENSORRT else None
        options = BuildOptions(capability, request.strip, timing)
        source = folder.path / onnx.file
        path.write_bytes(build_engine(trt, source, onnx.inputs, onnx.profiles, options))
    files = folder.place([path])
    if request.strip:
        files |= onnx.files
    cost = _cost(began)
    entry = EngineEntry(
        graph=graph.name,
        key=key,
        files=files,
        inputs=onnx.inputs,
        outputs=onnx.outputs,
        profiles=graph.profiles,
        aliases=graph.aliases,
        compute_capability=capability,
        onnx_sha256=onnx.onnx_sha256,
        build={**cost, "stripped": request.strip, "by_position": by_torch},
    )
    if target.name == RTX:
        read_back(folder.path / file, entry)
    say(f"{graph.name}: " + ", ".join(f"{name} {value}" for name, value in cost.items()))
    folder.finish(entry, staging)
    return entry


def commit() -> str:
    """The commit of this checkout, or `unknown`."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def _code_sha256() -> str:
    """Of the source that decides what a graph computes."""
    places = [ROOT / source for source in SOURCES]
    files = [
        file for place in places for file in ([place], sorted(place.rglob("*.py")))[place.is_dir()]
    ]
    return json_sha256({str(file.relative_to(ROOT)): file_sha256(file) for file in files})


def _cost(began: float) -> dict[str, float]:
    """Seconds since `began`; on Linux also the most memory that the process has held so far."""
    cost = {"seconds": round(time.perf_counter() - began, 2)}
    if sys.platform == "linux":
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        cost["peak_memory_gib"] = round(peak, 2)
    return cost
