"""What fast pipelines render, compared with their reference implementations on this machine.

Random weights give frames of noise, so clean latents are compared, too: they tell more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from runtime.bench.measure import PROMPT, chunks_to_fill
from runtime.core import Frames
from runtime.graphs.graphed_pipeline import GraphedPipeline
from runtime.pipeline.pipeline import Pipeline

EQUAL_DB, EQUAL_COSINE = 50.0, 0.999999
"""Frames and clean latents of the same kernels are at least this near: a part in a thousand."""
FP8_COSINE, KERNELS_COSINE = 0.95, 0.99
"""Clean latents of a whole rollout compared with the eager one's: in FP8, with other kernels."""
PARITY_CHUNKS = 4
"""Chunks of a stream on which `c2r bench --compare` compares backends."""


@dataclass(frozen=True)
class StreamOutput:
    """The beginning of a stream: frames `[F, H, W, 3]`, clean latents `[1, T, C, h, w]`."""

    frames: Frames
    latents: Tensor


@dataclass(frozen=True)
class Check:
    """One comparison. `psnr_db`: infinite where the frames are the same."""

    name: str
    passed: bool
    psnr_db: float = math.inf
    cosine: float = 1.0
    note: str = ""


@torch.no_grad()
def stream_output(pipeline: Pipeline, coarse: Frames, seed: int, chunks: int) -> StreamOutput:
    """The first chunks of a stream, each of the same frames."""
    state, text = pipeline.open(seed), pipeline.text(pipeline.prompt(PROMPT))
    frames, latents = [], []
    for _ in range(chunks):
        rendered = pipeline.render(state, coarse[: pipeline.frames_wanted(state)], text)
        latents.append(rendered.chunk.clean.cpu())
        frames.append(rendered.frames)
        pipeline.finalize(state, rendered)
    return StreamOutput(np.concatenate(frames), torch.cat(latents, dim=1))


def psnr_db(expected: Frames, other: Frames) -> float:
    """Peak signal-to-noise ratio of 8-bit frames; infinite when they are equal."""
    error = float(((expected.astype(np.float64) - other) ** 2).mean())
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def compared(
    name: str, other: StreamOutput, expected: StreamOutput, passes: Callable[[float, float], bool]
) -> Check:
    """Two rollouts; `passes(PSNR in dB, cosine of the latents)` says whether they agree."""
    psnr = psnr_db(expected.frames, other.frames)
    pair = other.latents.flatten().double(), expected.latents.flatten().double()
    cosine = float(torch.nn.functional.cosine_similarity(*pair, dim=0))
    sound = bool(np.isfinite(cosine)) and expected.frames.std() > 1
    note = "" if sound else "flat or not finite: proves nothing"
    return Check(name, sound and passes(psnr, cosine), psnr, cosine, note)


def enough_chunks(pipeline: Pipeline) -> int:
    """Chunks until the window has moved twice."""
    return chunks_to_fill(pipeline) + 2


def graph_equals_eager(
    graphed: GraphedPipeline, plain: Pipeline, coarse: Frames, seed: int
) -> Check:
    """Captured chunks on several streams compared with one stage after the other."""
    chunks = enough_chunks(plain)
    found = stream_output(graphed, coarse, seed, chunks)
    expected = stream_output(plain, coarse, seed, chunks)
    return compared("graphs = eager", found, expected, same_numbers)


def same_numbers(psnr: float, cosine: float) -> bool:
    """The same kernels in another order: no more than rounding may differ."""
    return psnr >= EQUAL_DB and cosine >= EQUAL_COSINE


def streams_are_apart(graphed: GraphedPipeline, coarse: Frames, seeds: Sequence[int]) -> Check:
    """Several streams in turns, chunk by chunk, each compared with itself alone."""
    chunks = enough_chunks(graphed)
    alone = [stream_output(graphed, coarse, seed, chunks) for seed in seeds]
    text = graphed.text(graphed.prompt(PROMPT))
    states = [graphed.open(seed) for seed in seeds]
    in_turns: list[list[Frames]] = [[] for _ in seeds]
    for _ in range(chunks):
        for state, frames in zip(states, in_turns, strict=True):
            rendered = graphed.render(state, coarse[: graphed.frames_wanted(state)], text)
            graphed.finalize(state, rendered)
            frames.append(rendered.frames)
    same = all(
        np.array_equal(np.concatenate(frames), expected.frames)
        for frames, expected in zip(in_turns, alone, strict=True)
    )
    return Check(f"{len(seeds)} streams in turns = each alone", same)


def nothing_waits(graphed: GraphedPipeline, coarse: Frames, seed: int) -> list[Check]:
    """Inside a chunk nothing is synchronised and nothing allocated; only CUDA can tell."""
    if not graphed.cuda:
        return []
    state, text = graphed.open(seed), graphed.text(graphed.prompt(PROMPT))
    for _ in range(chunks_to_fill(graphed) + 1):
        frames = coarse[: graphed.frames_wanted(state)]
        graphed.finalize(state, graphed.render(state, frames, text))
    torch.cuda.synchronize()
    before = _allocations()
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    waited = ""
    try:
        launched = graphed.launch(state, coarse, text)
    except RuntimeError as error:
        waited = str(error).partition("\n")[0]
    finally:
        torch.cuda.set_sync_debug_mode(mode)
    took = _allocations() - before
    if not waited:
        graphed.finalize(state, graphed.collect(launched))
    return [
        Check("nothing synchronised in a chunk", not waited, note=waited),
        Check("nothing allocated in a chunk", took == 0, note=f"{took} allocations"),
    ]


def _allocations() -> int:
    return int(torch.cuda.memory_stats()["allocation.all.allocated"])
