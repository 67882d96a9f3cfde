"""Inside a chunk: no wait for the device, no copy to or from the host, no new lasting memory.

What a GPU would show is told without one: on the meta device no value can be read, and what is
done there with tensors of the host is seen as it is dispatched.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from c2r.exported.stages import eager_stages
from c2r.models.configs import Preset, StreamConfig
from c2r.models.presets import get_preset
from runtime.backends.compiled import CompiledBlocks
from runtime.bench.synthetic import coarse_chunk, random_networks
from runtime.graphs.graphed_pipeline import GraphedPipeline
from runtime.pipeline.pipeline import Pipeline
from tests.debug_networks import debug_networks

WAITS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::masked_select")
"""Operations whose result, or its shape, the host has to know."""


class Traffic(TorchDispatchMode):
    """Notes operations that wait, and those that see the host's memory and the device's."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.crossings: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        chosen = name == "aten::index" and any(
            one.dtype == torch.bool for one in tree_leaves(args[1]) if isinstance(one, Tensor)
        )
        if name in WAITS or chosen:
            self.waits.append(name)
        result = func(*args, **(kwargs or {}))
        tensors = [one for one in tree_leaves((args, kwargs, result)) if isinstance(one, Tensor)]
        if len({one.device.type for one in tensors}) > 1:
            self.crossings.append(name)
        return result


@contextmanager
def watched() -> Iterator[Traffic]:
    with torch.no_grad(), Traffic() as traffic:
        yield traffic


def large(**stream: Any) -> Preset:
    """The real renderer, its passes fewer: what one does, the others do too."""
    preset = get_preset("wan-1.3b")
    return replace(preset, stream=replace(preset.stream, timesteps=(1000.0, 500.0), **stream))


@pytest.fixture(scope="module")
def large_chunks() -> GraphedPipeline:
    networks = random_networks(large(), 0, torch.device("meta"), torch.bfloat16)
    networks.text.to("meta")
    return GraphedPipeline(networks)


def test_no_captured_step_waits_or_crosses(large_chunks):
    """Every step of every fill level at 832x480, window 9."""
    seen = set()
    for fill in large_chunks.fills:
        for name, step in large_chunks.steps.at(fill).items():
            with watched() as traffic:
                step()
            assert traffic.waits == [], name
            assert traffic.crossings == [], name
            seen.add(name)
    assert seen == {"slide", "dino", "control", "denoise", "vae", "kv_write"}
    assert [fill.held for fill in large_chunks.fills] == [0, 3, 6, 6]


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (lambda x: x[x > 0], "waits"),
        (lambda x: float(x.sum()), "waits"),
        (lambda x: torch.nonzero(x), "waits"),
    ],
)
def test_the_detector_sees_waits(bad, kind):
    with watched() as traffic:
        bad(torch.randn(4))
    assert getattr(traffic, kind)


def test_the_detector_sees_copies():
    crossings: list[Callable[[Tensor], object]] = [
        lambda x: x + torch.tensor([1.0, 2.0]).to("meta"),
        lambda x: x.copy_(torch.ones(2)),
    ]
    for bad in crossings:
        with watched() as traffic:
            bad(torch.empty(2, device="meta"))
        assert traffic.crossings


def test_a_launched_chunk_waits_for_nothing():
    """The whole of `launch`, what is around the steps included."""
    graphed = GraphedPipeline(debug_networks())
    state, text = graphed.open(1), graphed.text(graphed.prompt("noon"))
    coarse = coarse_chunk(graphed.preset, 0)
    for index in range(5):
        with watched() as traffic:
            launched = graphed.launch(state, coarse[: graphed.frames_wanted(state)], text)
        assert traffic.waits == [], index
        graphed.finalize(state, graphed.collect(launched))


def living_tensors() -> int:
    gc.collect()
    return sum(isinstance(one, Tensor) for one in gc.get_objects())


def test_no_chunk_leaves_new_memory():
    """After the first chunk at a level, as many tensors live as before, all at their addresses."""
    graphed = GraphedPipeline(debug_networks())
    state, text = graphed.open(1), graphed.text(graphed.prompt("noon"))
    coarse = coarse_chunk(graphed.preset, 0)

    def chunk() -> None:
        frames = coarse[: graphed.frames_wanted(state)]
        graphed.finalize(state, graphed.render(state, frames, text))

    at_first = graphed.buffers.addresses
    for _ in graphed.fills:
        chunk()
    assert graphed.buffers.addresses == at_first, "the capture made every buffer"
    before = living_tensors()
    for _ in range(6):
        chunk()
    assert living_tensors() <= before
    assert graphed.buffers.addresses == at_first


def test_a_whole_large_chunk_traces_without_a_break(large_chunks):
    """Every stage as one graph, each block of the DiT as one of a few that all of them share."""
    torch._dynamo.reset()
    networks = large_chunks.networks
    stages = eager_stages(networks)
    assert stages.dino is not None
    assert stages.control is not None
    compiled: dict[str, Any] = {
        name: torch.compile(getattr(stages, name), fullgraph=True, dynamic=False, backend="eager")
        for name in ("dino", "control", "vae")
    }
    counter = torch._dynamo.testing.CompileCounter()
    one_step = replace(networks.preset.stream, timesteps=(1000.0,))
    networks = replace(networks, preset=replace(networks.preset, stream=one_step))
    traced = replace(stages, **compiled, denoise=CompiledBlocks(networks.dit, counter))
    GraphedPipeline(networks, traced)
    assert 1 <= counter.frame_count <= 6, "for 30 layers at 3 fill levels"


def test_pictures_do_not_share_memory_with_the_next_chunk():
    graphed = GraphedPipeline(debug_networks())
    plain = Pipeline(debug_networks())
    coarse = coarse_chunk(graphed.preset, 0)
    kept = []
    for pipeline in (graphed, plain):
        state, text = pipeline.open(1), pipeline.text(pipeline.prompt("noon"))
        chunks = []
        for _ in range(4):
            frames = coarse[: pipeline.frames_wanted(state)]
            rendered = pipeline.render(state, frames, text)
            pipeline.finalize(state, rendered)
            chunks.append(rendered.frames)
        kept.append(chunks)
    assert all(np.array_equal(one, other) for one, other in zip(*kept, strict=True))


def test_fill_levels_of_a_short_window():
    config = StreamConfig(chunk=1, window=3, sink=1, timesteps=(1000.0,))
    graphed = GraphedPipeline(debug_networks(stream=config))
    assert [(fill.held, fill.drop) for fill in graphed.fills] == [(0, 0), (1, 0), (2, 0), (2, 1)]
