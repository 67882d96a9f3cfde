"""Where a chunk's time goes, stage by stage, compared with what its operations must take.

The floor of a stage is its operations over what a large matrix product reaches here, measured just
before. Convolutions of the VAE and the moves of memory have bounds of other kinds; their share of
this floor says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from c2r.models.configs import Preset
from c2r.models.describe import cost
from runtime.bench.measure import measure_local
from runtime.core import Frames
from runtime.graphs.graphed_pipeline import GraphedPipeline
from runtime.graphs.schedule import CudaStreams, Step, Work
from runtime.pipeline.stage_timer import Timing


@dataclass(frozen=True)
class Ceilings:
    """What this device reaches: bf16 (or float32) and FP8 products a second, bytes copied."""

    product_tflops: float
    fp8_tflops: float | None
    copy_tb_s: float


@dataclass(frozen=True)
class StageRow:
    """One stage of a chunk, alone. `share`: of the floor, 1 being as fast as products go."""

    stage: str
    ms: float
    tflop: float
    tflops: float
    floor_ms: float
    share: float


class SynchronizedStreams(CudaStreams):
    """Streams with the device idle before each step: times of steps that share it with no other."""

    def run(self, step: Step, work: Work) -> Timing:
        torch.cuda.synchronize()
        return super().run(step, work)


def seconds_a_run(run: Callable[[], object], device: torch.device, runs: int = 10) -> float:
    """Median time of one run, warmed up."""
    times = []
    for index in range(runs + 3):
        begin = time.perf_counter()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            begin = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if index >= 3:
            times.append(time.perf_counter() - begin)
    return float(np.median(times))


@torch.no_grad()
def ceilings(device: torch.device, dtype: torch.dtype) -> Ceilings:
    """Measured on random data; small sizes off CUDA."""
    side, copied = (8192, 1 << 31) if device.type == "cuda" else (512, 1 << 24)
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    product = 2 * side**3 / seconds_a_run(lambda: a @ b, device) / 1e12
    source = torch.randint(0, 255, (copied,), dtype=torch.uint8, device=device)
    to = torch.empty_like(source)
    copy = 2 * copied / seconds_a_run(lambda: to.copy_(source), device) / 1e12
    return Ceilings(product, _fp8_tflops(a, b, device), copy)


def _fp8_tflops(a: torch.Tensor, b: torch.Tensor, device: torch.device) -> float | None:
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 9):
        return None
    one = torch.ones((), device=device)
    left, right = a.to(torch.float8_e4m3fn), b.to(torch.float8_e4m3fn).t()

    def run() -> object:
        return torch._scaled_mm(
            left, right, scale_a=one, scale_b=one, out_dtype=torch.bfloat16, use_fast_accum=True
        )

    return float(2 * a.shape[0] ** 3 / seconds_a_run(run, device) / 1e12)


def operations(preset: Preset) -> dict[str, float]:
    """Operations of one later chunk, by the names of stages."""
    counted = cost(preset).operations
    named = {"DINO": "dino", "VAE decode": "vae", "K/V write": "kv_write"}
    found = {named.get(name, name): value for name, value in counted.items()}
    found["denoise"] = sum(
        found.pop(name) for name in list(found) if name.startswith("denoise x")
    ) + found.pop("control clones", 0.0)
    return found


def profile(
    pipeline: GraphedPipeline, coarse: Frames, seed: int, chunks: int, product_tflops: float
) -> list[StageRow]:
    """One row per stage, medians; for a pipeline on `SynchronizedStreams`, or without CUDA."""
    measured = measure_local(pipeline, coarse, chunks=chunks, seed=seed, on_chunk=lambda: None)
    counted = operations(pipeline.preset)
    rows = []
    for stage, times in measured.stages_ms.items():
        ms, tflop = float(np.median(times)), counted.get(stage, 0.0) / 1e12
        floor_ms = 1000 * tflop / product_tflops
        rows.append(StageRow(stage, ms, tflop, 1000 * tflop / ms, floor_ms, floor_ms / ms))
    return rows
