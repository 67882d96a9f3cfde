"""From networks to an engine folder: ONNX, engines, verification, manifest."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from c2r.exported.libraries import LIBRARIES, ONNX, RTX, TENSORRT
from c2r.exported.manifest import EngineEntry, Manifest
from c2r.exported.names import DENOISE
from c2r.models.build import Networks
from export.builders.plan import read_back
from export.builders.targets import TORCH_TENSORRT, Target
from export.builders.tensorrt_builder import BuildOptions, build_engine
from export.builders.torch_tensorrt_builder import build_by_torch_tensorrt, suits
from export.folder import EngineFolder
from export.graphs import OPSET, Graph, build_graphs
from export.onnx_export import export_onnx, onnx_specs
from export.origin import Origin, commit, origin_of
from export.parity import compare, why_not_run
from export.precision.on_clips import ClipCalibration
from export.precision.quantize import quantize

Say = Callable[[str], None]


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


def build_engines(networks: Networks, request: BuildRequest, say: Say = print) -> Manifest:
    """Build, verify and close the folder; gives its manifest.

    What is up to date is not built again. `ValueError` when an engine cannot be built or does not
    agree with PyTorch; the folder is then without a manifest, and what was finished stays.
    """
    origin, folder = origin_of(networks, request.precision), EngineFolder(request.output)
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
    """Whether what an earlier build verified is what there is now, under the same libraries.

    What could not be compared then is compared as soon as it can be.
    """
    if before.engines != now.engines or before.versions != now.versions or not before.verified:
        return False
    return "not_run" not in before.verified or why_not_run(now, networks.device) is not None


@dataclass(frozen=True)
class _Work:
    """A build under way. `staging`: where files are made."""

    networks: Networks
    request: BuildRequest
    origin: Origin
    folder: EngineFolder
    staging: Path
    say: Say

    def engines(self) -> tuple[EngineEntry, ...]:
        """Every engine of the request: ONNX files, or what is built from them."""
        graphs = build_graphs(self.networks)
        made = {name: self._onnx(graph) for name, graph in graphs.items()}
        if self.request.target.name == ONNX:
            return tuple(made.values())
        return tuple(
            self._engine(graphs[name], onnx, capability)
            for capability in self.request.capabilities or (None,)
            for name, onnx in made.items()
        )

    def manifest(self, engines: tuple[EngineEntry, ...]) -> Manifest:
        """The folder's manifest, but for the comparison with PyTorch."""
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
        """The graph as ONNX in the folder."""
        scales = self.request.scales if graph.name == DENOISE else {}
        file, key = f"{graph.name}.onnx", self.origin.key(graph=graph.name, scales=scales)
        found = self.folder.up_to_date(file, key)
        if found is not None:
            return found
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
        """What an ONNX file says of itself."""
        preset = self.networks.preset
        return {
            "c2r.preset": preset.name,
            "c2r.graph": graph.name,
            "c2r.size": f"{preset.width}x{preset.height}",
            "c2r.precision": self.origin.precision,
            "c2r.weights": self.origin.weights,
            "c2r.commit": commit(),
        }

    def _engine(self, graph: Graph, onnx: EngineEntry, capability: int | None) -> EngineEntry:
        """One engine of one graph, read back where that needs no GPU."""
        request, target = self.request, self.request.target
        hardware = str(capability) if capability is not None else torch.cuda.get_device_name()
        suffix = "" if capability is None else f".sm{capability}"
        file = f"{graph.name}{suffix}.engine"
        built_by = {
            **target.library.versions(), "strip": str(request.strip), "hardware": hardware
        }  # fmt: skip
        key = self.origin.key(graph=graph.name, built_by=built_by, onnx=onnx.key)
        found = self.folder.up_to_date(file, key)
        if found is not None:
            return found
        self.folder.begin_change()
        self.say(f"{graph.name}: building for {hardware}")
        began, made = time.perf_counter(), self.staging / file
        made.write_bytes(self._plan(graph, onnx, capability))
        files, cost = self.folder.place([made]), _cost(began)
        by_position = self._by_torch(graph)
        entry = replace(
            onnx,
            key=key,
            files={**files, **onnx.files} if request.strip else files,
            compute_capability=capability,
            build={**cost, "stripped": request.strip, "by_position": by_position},
        )
        if target.name == RTX:
            read_back(self.folder.path / file, entry)
        self.say(f"{graph.name}: " + ", ".join(f"{name} {value}" for name, value in cost.items()))
        self.folder.finish(entry, self.staging)
        return entry

    def _by_torch(self, graph: Graph) -> bool:
        return self.request.target is TORCH_TENSORRT and suits(graph)

    def _plan(self, graph: Graph, onnx: EngineEntry, capability: int | None) -> bytes | memoryview:
        """The serialised engine."""
        target, folder = self.request.target, self.folder.path
        if self._by_torch(graph):
            return build_by_torch_tensorrt(target.library.load(), graph)
        timing = folder / "timing.cache" if target.name == TENSORRT else None
        options = BuildOptions(capability, self.request.strip, timing)
        library = LIBRARIES[target.name].load()
        return build_engine(library, folder / onnx.file, onnx.inputs, onnx.profiles, options)


def _cost(began: float) -> dict[str, Any]:
    """Seconds since `began`; on Linux also the most memory that the process has held so far."""
    cost = {"seconds": round(time.perf_counter() - began, 2)}
    if sys.platform == "linux":
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        cost["peak_memory_gib"] = round(peak, 2)
    return cost
