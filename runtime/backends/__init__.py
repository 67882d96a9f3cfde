"""What computes the stages of a pipeline, chosen by name, each stage by itself if wanted.

`eager` is PyTorch as it is, the plain twin of all others. `graphs` records it as CUDA graphs;
`compiled` is torch.compile, recorded too where there is CUDA and no stage is another's.
`onnxruntime` and `tensorrt` are engines from a folder that `c2r export` made.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from c2r.exported.stages import STAGE_NAMES, Stages, eager_stages
from c2r.models.build import Networks
from runtime.pipeline.pipeline import Pipeline

BACKENDS = ("eager", "graphs", "compiled", "onnxruntime", "tensorrt")
ENGINES = ("onnxruntime", "tensorrt")
RECORDED = ("graphs", "compiled")
"""Those that become CUDA graphs, where there is CUDA."""


def choose_backends(text: str) -> dict[str, str]:
    """`tensorrt`, or `vae=tensorrt,denoise=compiled` (the rest eager), as a backend a stage."""
    words = [word.strip() for word in text.split(",")]
    chosen = dict.fromkeys(STAGE_NAMES, "eager")
    for word in words:
        stage, equals, backend = word.rpartition("=")
        if backend not in BACKENDS:
            raise ValueError(f"--backend {word}: backends are {', '.join(BACKENDS)}")
        if equals and stage not in STAGE_NAMES:
            raise ValueError(f"--backend {word}: stages are {', '.join(STAGE_NAMES)}")
        if not equals and len(words) > 1:
            raise ValueError(f"--backend {text}: name one backend, or stage=backend pairs")
        if backend == "graphs" and equals:
            raise ValueError(f"--backend {word}: graphs hold a whole chunk; name it alone")
        chosen |= {stage: backend} if equals else dict.fromkeys(STAGE_NAMES, backend)
    return chosen


def check_backend(text: str, engines: Path | None) -> dict[str, str]:
    """`choose_backends`, and `ValueError` where a backend wants a folder that is not named."""
    chosen = choose_backends(text)
    if engines is None and any(name in ENGINES for name in chosen.values()):
        raise ValueError(f"--backend {text} needs --engines FOLDER; c2r export builds one")
    return chosen


def stages_of(networks: Networks, backend: str = "eager", engines: Path | None = None) -> Stages:
    """The stages as `backend` says; `engines` is the folder of those that are engines.

    `ValueError` when the folder is absent, not whole, or of something else, naming the field.
    """
    chosen = check_backend(backend, engines)
    made: dict[str, Stages] = dict.fromkeys(("eager", "graphs"), eager_stages(networks))
    if "compiled" in chosen.values():
        from runtime.backends.compiled import compiled_stages

        made["compiled"] = compiled_stages(networks)
    for name in ENGINES:
        stages = [stage for stage, used in chosen.items() if used == name]
        if stages and engines is not None:
            from runtime.backends.exported import open_stages

            made[name] = open_stages(networks, engines, name, stages)
    return Stages(**{stage: getattr(made[name], stage) for stage, name in chosen.items()})


def pipeline_of(
    networks: Networks,
    backend: str = "eager",
    engines: Path | None = None,
    *,
    say: Callable[[str, int, int], None] = lambda name, done, count: None,
) -> Pipeline:
    """The pipeline that `backend` names, recorded where it says so; see `stages_of` for errors.

    `say(name, done, count)` is told of each graph. `ValueError` for `graphs` without CUDA.
    """
    stages = stages_of(networks, backend, engines)
    cuda = networks.device.type == "cuda"
    if backend == "graphs" and not cuda:
        raise ValueError("--backend graphs needs CUDA; use eager or compiled on this device")
    if backend in RECORDED and cuda:
        from runtime.graphs.graphed_pipeline import GraphedPipeline

        return GraphedPipeline(networks, stages, say=say)
    return Pipeline(networks, stages)
