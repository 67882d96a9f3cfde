"""Correct first: what is fast against its plain twin, on the machine at hand.

Random weights make pictures of noise, so clean latents are compared too: they tell more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from runtime.bench.pipeline_alone import PROMPT, chunks_to_fill
from runtime.core import Frames
from runtime.graphs.graphed_pipeline import GraphedPipeline
from runtime.pipeline.pipeline import Pipeline

EQUAL_DB, EQUAL_COSINE = 50.0, 0.999999
"""Frames and clean latents of the same kernels are at least this near: a part in a thousand."""
FP8_COSINE, KERNELS_COSINE = 0.95, 0.99
"""Clean latents of a whole rollout against the plain one's: in FP8, and with other kernels."""


@dataclass(frozen=True)
class Rolled:
    """The beginning of a stream: frames `[F, H, W, 3]`, clean latents `[1, T, C, h, w]`."""

    frames: Frames
    latents: Tensor


@dataclass(frozen=True)
class Check:
    """One comparison. `psnr_db`: infinite where the pictures are the same."""

    name: str
    passed: bool
    psnr_db: float = math.inf
    cosine: float = 1.0
    note: str = ""


@torch.no_grad()
def rolled(pipeline: Pipeline, coarse: Frames, seed: int, chunks: int) -> Rolled:
    """The first chunks of a stream, each of the same frames."""
    state, text = pipeline.open(seed), pipeline.text(pipeline.prompt(PROMPT))
    pictures, latents = [], []
    for _ in range(chunks):
        rendered = pipeline.render(state, coarse[: pipeline.frames_wanted(state)], text)
        latents.append(rendered.chunk.clean.cpu())
        pictures.append(rendered.frames)
        pipeline.finalize(state, rendered)
    return Rolled(np.concatenate(pictures), torch.cat(latents, dim=1))


def compared(
    name: str, found: Rolled, expected: Rolled, passes: Callable[[float, float], bool]
) -> Check:
    """Two rollouts; `passes(PSNR in dB, cosine of the latents)` says whether they agree."""
    error = float(((expected.frames.astype(np.float32) - found.frames) ** 2).mean())
    psnr_db = math.inf if error == 0 else 10 * math.log10(255**2 / error)
    pair = found.latents.flatten().double(), expected.latents.flatten().double()
    cosine = float(torch.nn.functional.cosine_similarity(*pair, dim=0))
    sound = bool(np.isfinite(cosine)) and expected.frames.std() > 1
    note = "" if sound else "flat or not finite: proves nothing"
    return Check(name, sound and passes(psnr_db, cosine), psnr_db, cosine, note)


def enough_chunks(pipeline: Pipeline) -> int:
    """Chunks until the window has moved twice."""
    return chunks_to_fill(pipeline) + 2


def graph_equals_eager(
    graphed: GraphedPipeline, plain: Pipeline, coarse: Frames, seed: int
) -> Check:
    """Recorded chunks on lanes against one stage after the other."""
    chunks = enough_chunks(plain)
    found = rolled(graphed, coarse, seed, chunks)
    expected = rolled(plain, coarse, seed, chunks)
    return compared("graphs = eager", found, expected, same_numbers)


def same_numbers(psnr_db: float, cosine: float) -> bool:
    """The same kernels in another order: no more than rounding may differ."""
    return psnr_db >= EQUAL_DB and cosine >= EQUAL_COSINE


def streams_are_apart(graphed: GraphedPipeline, coarse: Frames, seeds: Sequence[int]) -> Check:
    """Several streams in turns, chunk by chunk, each against itself alone."""
    chunks = enough_chunks(graphed)
    alone = [rolled(graphed, coarse, seed, chunks) for seed in seeds]
    text = graphed.text(graphed.prompt(PROMPT))
    states = [graphed.open(seed) for seed in seeds]
    made: list[list[Frames]] = [[] for _ in seeds]
    for _ in range(chunks):
        for state, pictures in zip(states, made, strict=True):
            rendered = graphed.render(state, coarse[: graphed.frames_wanted(state)], text)
            graphed.finalize(state, rendered)
            pictures.append(rendered.frames)
    same = all(
        np.array_equal(np.concatenate(found), expected.frames)
        for found, expected in zip(made, alone, strict=True)
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
