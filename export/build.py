"""From networks to a folder of exported engines: ONNX, plans, verification, manifest."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from c2r.exported.libraries import LIBRARIES, ONNX, TENSORRT
from c2r.exported.manifest import EngineEntry, Manifest
from c2r.exported.names import DENOISE
from c2r.models.build import Networks
from export.builders.targets import TORCH_TENSORRT, Target
from export.builders.tensorrt_builder import (
    BuildOptions,
    build_by_torch_tensorrt,
    build_plan,
    suits_torch_tensorrt,
)
from export.folder import ExportFolder, Origin, commit, origin_of
from export.graphs import OPSET, Graph, build_graphs
from export.onnx_export import export_onnx, onnx_specs
from export.precision.clip_calibration import ClipCalibration
from export.precision.quantize import quantize
from export.verify import Say, compare, why_not_run


@dataclass(frozen=True)
class BuildRequest:
    """What to build, and where to. `capabilities`: empty where they do not matter.

    `calibration`: what FP8 costs, for the manifest. `quantize`: build the denoise graph with the
    calibrated layers in FP8.
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
        """Input scales of the layers that are built in FP8; none where that is not asked for."""
        if not self.quantize:
            return {}
        assert self.calibration is not None
        return self.calibration.scales


def build_exported(networks: Networks, request: BuildRequest, say: Say = print) -> Manifest:
    """Build, verify and close the folder; gives its manifest.

    What is up to date is not built again. `ValueError` when an exported engine cannot be built or
    does not agree with PyTorch; the folder is then without a manifest, and finished files stay.
    """
    origin, folder = origin_of(networks, request.precision), ExportFolder(request.output)
    with folder.building() as staging:
        work = _Work(networks, request, origin, folder, staging, say)
        manifest = work.manifest(work.engines())
        before = folder.manifest()
        if before is not None and _still_holds(before, manifest, networks):
            say(f"{folder.path} is up to date")
            manifest = replace(manifest, verified=before.verified, commit=before.commit)
            if request.calibration is None:
                manifest = replace(manifest, calibration=before.calibration)
        else:
            verified = compare(networks, manifest, folder.path, say)
            manifest = replace(manifest, verified=verified)
        if manifest != before:
            folder.close(manifest, staging)
    return manifest


def _still_holds(before: Manifest, now: Manifest, networks: Networks) -> bool:
    """Whether an earlier comparison with PyTorch still holds: same files, same libraries.

    A folder that could not be run when it was built is compared as soon as it can be.
    """
    if before.engines != now.engines or before.versions != now.versions or not before.verified:
        return False
    return "not_run" not in before.verified or why_not_run(now, networks.device) is not None


@dataclass(frozen=True)
class _Work:
    """A build under way. `staging`: where files are written before they are whole."""

    networks: Networks
    request: BuildRequest
    origin: Origin
    folder: ExportFolder
    staging: Path
    say: Say

    def engines(self) -> tuple[EngineEntry, ...]:
        """Every graph of the renderer: as ONNX, or as the plans that are built from it."""
        graphs = build_graphs(self.networks)
        onnx = {name: self._onnx(graph) for name, graph in graphs.items()}
        if self.request.target.name == ONNX:
            return tuple(onnx.values())
        return tuple(
            self._engine(graphs[name], entry, capability)
            for capability in self.request.capabilities or (None,)
            for name, entry in onnx.items()
        )

    def manifest(self, engines: tuple[EngineEntry, ...]) -> Manifest:
        """The folder's manifest, without the comparison with PyTorch."""
        request, origin, target = self.request, self.origin, self.request.target
        libraries = target.library.versions() | LIBRARIES[target.name].versions()
        return Manifest(
            preset=self.networks.preset.name,
            settings=origin.settings,
            target=target.name,
            precision=request.precision,
            weights=origin.weights,
            versions={**origin.versions, **libraries},
            commit=commit(),
            engines=engines,
            calibration={} if request.calibration is None else request.calibration.as_json(),
            quantized="fp8" if request.quantize else "",
        )

    def _onnx(self, graph: Graph) -> EngineEntry:
        """Put the graph into the folder as ONNX, unless it is there and up to date."""
        scales = self.request.scales if graph.name == DENOISE else {}
        file, key = f"{graph.name}.onnx", self.origin.key(graph=graph.name, scales=scales)
        entry = self.folder.up_to_date(file, key)
        if entry is not None:
            return entry
        self.folder.begin_change()
        self.say(f"{graph.name}: exporting to ONNX")
        began = time.perf_counter()
        rewrite = partial(quantize, scales=scales) if scales else None
        paths = export_onnx(graph, self.staging / file, self._labels(graph), rewrite)
        inputs, outputs = onnx_specs(paths[0])
        files = self.folder.place(paths)
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
        self.folder.finish(entry, self.staging)
        return entry

    def _labels(self, graph: Graph) -> dict[str, str]:
        """The properties that the ONNX file carries."""
        preset = self.networks.preset
        return {
            "c2r.preset": preset.name,
            "c2r.graph": graph.name,
            "c2r.size": "{}x{}".format(*preset.output_size),
            "c2r.precision": self.origin.precision,
            "c2r.weights": self.origin.weights,
            "c2r.commit": commit(),
        }

    def _engine(self, graph: Graph, onnx: EngineEntry, capability: int | None) -> EngineEntry:
        """Put the plan of a graph into the folder, unless it is there and up to date."""
        request, target = self.request, self.request.target
        hardware = str(capability) if capability is not None else torch.cuda.get_device_name()
        suffix = "" if capability is None else f".sm{capability}"
        file = f"{graph.name}{suffix}.engine"
        built_by = {
            **target.library.versions(), "strip": str(request.strip), "hardware": hardware
        }  # fmt: skip
        key = self.origin.key(graph=graph.name, built_by=built_by, onnx=onnx.key)
        entry = self.folder.up_to_date(file, key)
        if entry is not None:
            return entry
        self.folder.begin_change()
        self.say(f"{graph.name}: building for {hardware}")
        began, path = time.perf_counter(), self.staging / file
        path.write_bytes(self._plan(graph, onnx, capability))
        files, cost = self.folder.place([path]), _cost(began)
        by_torch = self._by_torch(graph)
        entry = replace(
            onnx,
            key=key,
            # A stripped plan takes its weights from the ONNX file at every load.
            files={**files, **onnx.files} if request.strip else files,
            compute_capability=capability,
            build={**cost, "stripped": request.strip, "by_position": by_torch},
        )
        self.say(f"{graph.name}: " + ", ".join(f"{name} {value}" for name, value in cost.items()))
        self.folder.finish(entry, self.staging)
        return entry

    def _by_torch(self, graph: Graph) -> bool:
        return self.request.target is TORCH_TENSORRT and suits_torch_tensorrt(graph)

    def _plan(self, graph: Graph, onnx: EngineEntry, capability: int | None) -> bytes | memoryview:
        target, folder = self.request.target, self.folder.path
        if self._by_torch(graph):
            return build_by_torch_tensorrt(target.library.load(), graph)
        timing = folder / "timing.cache" if target.name == TENSORRT else None
        options = BuildOptions(capability, self.request.strip, timing)
        return build_plan(LIBRARIES[target.name].load(), folder / onnx.file, onnx, options)


def _cost(began: float) -> dict[str, Any]:
    """Seconds since `began`; on Linux also the most memory that the process has held so far."""
    cost = {"seconds": round(time.perf_counter() - began, 2)}
    if sys.platform == "linux":
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        cost["peak_memory_gib"] = round(peak, 2)
    return cost
