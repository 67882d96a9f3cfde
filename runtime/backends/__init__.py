"""What computes the stages of a pipeline, by the name of a backend, or stage by stage.

`eager` is PyTorch as it is, the reference of all others. `graphs` captures it as CUDA graphs;
`compiled` is torch.compile, captured too where there is CUDA and no stage has another backend.
`auto` is `graphs` on CUDA and `eager` elsewhere. `onnxruntime` and `tensorrt` run the exported
engines of a folder that `c2r export` wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from c2r.exported.libraries import ONNX
from c2r.exported.manifest import read_manifest
from c2r.exported.open_engines import EngineOpener, check_networks
from c2r.exported.stages import STAGE_NAMES, Stages, eager_stages, engine_stages
from c2r.models.build import Networks
from c2r.spelling import did_you_mean
from runtime.pipeline.pipeline import Pipeline

BACKENDS = ("eager", "graphs", "compiled", "onnxruntime", "tensorrt")
EXPORTED = ("onnxruntime", "tensorrt")
CAPTURED = ("graphs", "compiled")
"""Those that become CUDA graphs, where there is CUDA."""


def resolve_backend(text: str, device: torch.device) -> str:
    """The backend that `auto` means on a device; any other text as it is."""
    if text != "auto":
        return text
    return "graphs" if device.type == "cuda" else "eager"


def choose_backends(text: str) -> dict[str, str]:
    """`tensorrt`, or `vae=tensorrt,denoise=compiled` (the rest eager), as stage -> backend."""
    words = [word.strip() for word in text.split(",")]
    chosen = dict.fromkeys(STAGE_NAMES, "eager")
    for word in words:
        stage, equals, backend = word.rpartition("=")
        if backend not in BACKENDS:
            near = did_you_mean(backend, BACKENDS) or ";"
            raise ValueError(f"--backend {word}{near} backends are auto, {', '.join(BACKENDS)}")
        if equals and stage not in STAGE_NAMES:
            near = did_you_mean(stage, STAGE_NAMES) or ";"
            raise ValueError(f"--backend {word}{near} stages are {', '.join(STAGE_NAMES)}")
        if not equals and len(words) > 1:
            raise ValueError(f"--backend {text}: name one backend, or stage=backend pairs")
        if backend == "graphs" and equals:
            raise ValueError(f"--backend {word}: graphs hold a whole chunk; name it alone")
        chosen |= {stage: backend} if equals else dict.fromkeys(STAGE_NAMES, backend)
    return chosen


def check_backends(backends: Sequence[str], engines: Path | None) -> None:
    """`ValueError` for a backend that is unknown or lacks `engines`, and for engines unused."""
    exported = [text for text in backends if set(EXPORTED) & set(choose_backends(text).values())]
    if exported and engines is None:
        raise ValueError(f"--backend {exported[0]} needs --engines FOLDER; c2r export builds one")
    if engines is not None and not exported:
        raise ValueError(
            f"--engines {engines}: --backend {backends[0]} runs no exported engine; choose "
            f"--backend {' or '.join(EXPORTED)}"
        )


def stages_of(networks: Networks, backend: str = "eager", engines: Path | None = None) -> Stages:
    """The stages as `backend` says; `engines` is the folder of those that are exported.

    `ValueError` when the folder is absent, not whole, or of something else, naming the field.
    """
    chosen = choose_backends(backend)
    if engines is None:
        check_backends([backend], None)
    by_backend: dict[str, Stages] = dict.fromkeys(("eager", "graphs"), eager_stages(networks))
    if "compiled" in chosen.values():
        from runtime.backends.compiled import compiled_stages  # dynamo takes seconds to import

        by_backend["compiled"] = compiled_stages(networks)
    for name in EXPORTED:
        stages = [stage for stage, used in chosen.items() if used == name]
        if stages and engines is not None:
            by_backend[name] = exported_stages(networks, engines, name, stages)
    return Stages(**{stage: getattr(by_backend[name], stage) for stage, name in chosen.items()})


def exported_stages(
    networks: Networks, folder: Path, backend: str, stages: Sequence[str]
) -> Stages:
    """All stages from exported engines; those not among `stages` stay unopened.

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


def pipeline_of(
    networks: Networks,
    backend: str = "eager",
    engines: Path | None = None,
    *,
    say: Callable[[str, int, int], None] = lambda name, done, count: None,
) -> Pipeline:
    """The pipeline that `backend` names, captured where it says so; see `stages_of` for errors.

    `say(name, done, count)` is told of each graph. `ValueError` for `graphs` without CUDA.
    """
    backend = resolve_backend(backend, networks.device)
    stages = stages_of(networks, backend, engines)
    cuda = networks.device.type == "cuda"
    if backend == "graphs" and not cuda:
        raise ValueError("--backend graphs needs CUDA; use eager or compiled on this device")
    if backend in CAPTURED and cuda:
        from runtime.graphs.graphed_pipeline import GraphedPipeline

        return GraphedPipeline(networks, stages, say=say)
    return Pipeline(networks, stages)
