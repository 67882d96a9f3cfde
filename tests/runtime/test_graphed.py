"""Captured chunks compared with the plain pipeline, bit for bit; a replay is a call here."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from c2r.models.configs import ControlConfig, StreamConfig
from runtime.core import Frames
from runtime.graphs.graphed_pipeline import GraphedPipeline, LaunchedChunk
from runtime.graphs.schedule import CHUNK, STEPS, Step, Work
from runtime.pipeline.pipeline import Pipeline, VideoState
from runtime.pipeline.stage_timer import HostTiming, Timing
from tests.debug_networks import DEBUG, debug_networks, guided_networks

STREAMS = {
    "sliding": StreamConfig(chunk=2, window=6, sink=2, timesteps=(1000.0, 500.0)),
    "uneven": StreamConfig(chunk=2, window=7, sink=1, timesteps=(1000.0,)),
    "by latent": StreamConfig(chunk=1, window=3, sink=1, timesteps=(1000.0, 500.0)),
    "noisy context": StreamConfig(
        chunk=2,
        window=6,
        sink=2,
        timesteps=(1000.0,),
        first_timesteps=(1000.0, 500.0),
        context_noise=100.0,
    ),
}
CONTROLS = {
    "adapter": DEBUG.control,
    "none": ControlConfig(kind="none"),
    "clones once": ControlConfig(kind="controlnet", hidden=32, inject="first:1", every_pass=False),
}


def frames_of(pipeline: Pipeline, state: VideoState, seed: int) -> Frames:
    draw = np.random.default_rng(seed)
    width, height = pipeline.preset.output_size
    return draw.integers(0, 256, (pipeline.frames_wanted(state), height, width, 3), np.uint8)


def stream(pipeline: Pipeline, chunks: int, seed: int = 3, **settings: Any) -> list[Frames]:
    state, text = pipeline.open(seed), pipeline.text(pipeline.prompt("noon"))
    outputs = []
    for index in range(chunks):
        frames = frames_of(pipeline, state, index)
        rendered = pipeline.render(state, frames, text, **settings)
        pipeline.finalize(state, rendered)
        outputs.append(rendered.frames)
    return outputs


def assert_same(found: list[Frames], expected: list[Frames]) -> None:
    for index, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert np.array_equal(one, other), f"chunk {index} differs"


@pytest.mark.parametrize("name", STREAMS)
def test_replays_equal_the_plain_pipeline(name):
    networks = debug_networks(stream=STREAMS[name])
    expected = stream(Pipeline(networks), 7)
    assert_same(stream(GraphedPipeline(networks), 7), expected)
    assert expected[-1].std() > 1, "flat pictures would show no difference"


@pytest.mark.parametrize("kind", CONTROLS)
def test_every_control(kind):
    networks = debug_networks(control=CONTROLS[kind])
    plain, graphed = Pipeline(networks), GraphedPipeline(networks)
    for strength in (1.0, 0.0, 0.4):
        assert_same(stream(graphed, 4, strength=strength), stream(plain, 4, strength=strength))


@pytest.mark.parametrize(("scale", "form"), [(1, "added"), (2, "added"), (2, "unet")])
def test_a_guided_decoder(scale, form):
    networks = guided_networks(scale=scale, form=form)
    plain, graphed = Pipeline(networks), GraphedPipeline(networks)
    for strength in (1.0, 0.0, 0.4):
        expected = stream(plain, 4, strength=strength)
        assert_same(stream(graphed, 4, strength=strength), expected)
    assert expected[0].shape == (5, 48 * scale, 64 * scale, 3)


def test_guided_streams_take_frames_of_the_dit_s_size():
    networks = guided_networks()
    state_frames = np.random.default_rng(3).integers(0, 256, (5, 48, 64, 3), np.uint8)
    found = []
    for pipeline in (Pipeline(networks), GraphedPipeline(networks)):
        state, text = pipeline.open(3), pipeline.text(pipeline.prompt("noon"))
        found.append(pipeline.render(state, state_frames, text).frames)
        with pytest.raises(ValueError, match=r"output size \(128x96\) or at the DiT's \(64x48\)"):
            pipeline.render(state, np.zeros((5, 48, 128, 3), np.uint8), text)
    assert_same(found[1:], found[:1])


@pytest.mark.parametrize("make", [debug_networks, guided_networks])
def test_streams_take_turns_in_the_buffers(make):
    """Three streams in random order, each as if it were alone."""
    networks = make()
    plain, graphed = Pipeline(networks), GraphedPipeline(networks)
    expected = {seed: stream(plain, 6, seed) for seed in (1, 2, 3)}
    text = graphed.text(graphed.prompt("noon"))
    states = {seed: graphed.open(seed) for seed in expected}
    outputs: dict[int, list[Frames]] = {seed: [] for seed in expected}
    draw = random.Random(5)
    while waiting := [seed for seed in outputs if len(outputs[seed]) < 6]:
        seed = draw.choice(waiting)
        state = states[seed]
        rendered = graphed.render(state, frames_of(graphed, state, len(outputs[seed])), text)
        graphed.finalize(state, rendered)
        outputs[seed].append(rendered.frames)
    for seed, pictures in expected.items():
        assert_same(outputs[seed], pictures)


def script(pipeline: Pipeline) -> list[Frames]:
    """Chunks with everything that happens to a stream: new prompt, strength, seed, a cut."""
    state, outputs = pipeline.open(1), []
    prompts = {"noon": pipeline.text(pipeline.prompt("noon"))}
    for index in range(9):
        if index == 2:
            prompts["night"] = pipeline.text(pipeline.prompt("night"))
        if index == 4:
            pipeline.reseed(state, 8)
        if index == 6:
            state.reset()
        text = prompts["night" if 2 <= index < 5 else "noon"]
        rendered = pipeline.render(state, frames_of(pipeline, state, index), text, 0.1 * index)
        pipeline.finalize(state, rendered)
        outputs.append(rendered.frames)
    return outputs


def test_prompts_strengths_seeds_and_cuts():
    networks = debug_networks()
    assert_same(script(GraphedPipeline(networks)), script(Pipeline(networks)))


def test_a_chunk_may_be_rendered_again_until_it_is_finalized():
    networks = debug_networks()
    pipelines = GraphedPipeline(networks), Pipeline(networks)
    found: list[Frames] = []
    expected: list[Frames] = []
    for pipeline, outputs in zip(pipelines, (found, expected), strict=True):
        state, text = pipeline.open(1), pipeline.text(pipeline.prompt("noon"))
        for index in range(5):
            frames = frames_of(pipeline, state, index)
            outputs.append(pipeline.render(state, frames[::-1].copy(), text).frames)
            rendered = pipeline.render(state, frames, text)
            outputs.append(rendered.frames)
            pipeline.finalize(state, rendered)
    assert_same(found, expected)


def test_mistakes_are_told():
    graphed = GraphedPipeline(debug_networks())
    one, other = graphed.open(1), graphed.open(2)
    text = graphed.text(graphed.prompt("noon"))
    frames = frames_of(graphed, one, 0)
    with pytest.raises(ValueError, match="graphs were captured for 64x48"):
        graphed.render(one, np.zeros((len(frames), 64, 64, 3), np.uint8), text)
    with pytest.raises(ValueError, match="strength"):
        graphed.render(one, frames, text, -1.0)
    rendered = graphed.render(one, frames, text)
    graphed.render(other, frames, text)
    with pytest.raises(ValueError, match="this one is not the last"):
        graphed.finalize(one, rendered)


def test_progress_is_told_of_every_graph():
    said: list[tuple[str, int, int]] = []
    GraphedPipeline(debug_networks(), say=lambda *words: said.append(words))
    names = [name for name, _, _ in said]
    # Window 8, chunks of 2: the cache holds 0, 2, 4 and 6 latents, and slides once it is full.
    assert names.count("denoise") == names.count("kv_write") == 4
    assert names.count("dino") == names.count("control") == names.count("vae") == 2
    assert names.count("slide") == 1
    assert [done for _, done, _ in said] == list(range(len(said)))
    assert said[-1] == ("captured", 15, 15)


# The stream schedule


class Deferred:
    """Holds the steps of many chunks back, then runs them in any order that the lists allow."""

    def __init__(self) -> None:
        self.work: list[Work] = []
        self.waits: list[set[int]] = []
        self._latest: dict[str, int] = {}

    def run(self, step: Step, work: Work) -> Timing:
        names = (*step.after, *step.after_previous)
        self._add(work, {self._latest[name] for name in names if name in self._latest})
        self._latest[step.name] = len(self.work) - 1
        return HostTiming(0.0)

    def exclusive(self, work: Work) -> None:
        self._add(work, set(range(len(self.work))))
        self._latest = dict.fromkeys(STEPS, len(self.work) - 1)

    def _add(self, work: Work, waits: set[int]) -> None:
        self.work.append(work)
        self.waits.append(waits)

    def carry_out(self, draw: random.Random) -> list[int]:
        """Run everything in a random order; gives that order."""
        over: set[int] = set()
        order = []
        while len(over) < len(self.work):
            ready = [
                index
                for index, waits in enumerate(self.waits)
                if index not in over and waits <= over
            ]
            index = draw.choice(ready)
            with torch.no_grad():
                self.work[index]()
            over.add(index)
            order.append(index)
        self.work, self.waits, self._latest = [], [], {}
        return order


def launched(pipeline: GraphedPipeline, chunks: int) -> list[LaunchedChunk]:
    """Two streams taking turns, no chunk of which is waited for."""
    states = [pipeline.open(3), pipeline.open(4)]
    text = pipeline.text(pipeline.prompt("noon"))
    launches = []
    for index in range(chunks):
        state = states[index % 5 == 4]
        frames = frames_of(pipeline, state, index)
        launch = pipeline.launch(state, frames, text)
        pipeline.finalize(state, pipeline.collect(launch))
        launches.append(launch)
    return launches


@pytest.mark.parametrize("seed", range(6))
def test_any_order_that_keeps_the_lists_gives_the_same(seed):
    stream_config = STREAMS["noisy context"] if seed % 2 else STREAMS["sliding"]
    make = guided_networks if seed > 3 else debug_networks
    networks = make(stream=stream_config)
    expected = [launch.host.clone() for launch in launched(GraphedPipeline(networks), 9)]
    runner = Deferred()
    launches = launched(GraphedPipeline(networks, runner=runner), 9)
    order = runner.carry_out(random.Random(seed))
    assert order != sorted(order), "this order proves nothing"
    assert_same([launch.host.numpy() for launch in launches], [one.numpy() for one in expected])
    assert all(bool(launch.finite) for launch in launches)


def test_no_list_says_more_than_it_must():
    """DINO and control of the next chunk run beside the decoder and the K/V write of this one."""
    behind = {step.name: needed(step.name) for step in CHUNK}
    for early in ("upload", "dino", "control"):
        assert "kv_write" not in behind[early]
        assert "vae" not in behind[early]
    assert "vae" not in {*STEPS["kv_write"].after, *STEPS["kv_write"].after_previous}
    assert {step.stream for step in CHUNK} == {"in", "main", "out"}


def needed(name: str) -> set[str]:
    """Steps of the chunk before that a step waits for, directly or not."""
    step = STEPS[name]
    found = set(step.after_previous)
    for before in step.after:
        found |= needed(before)
    return found | {other for one in found for other in ancestors(one)}


def ancestors(name: str) -> set[str]:
    """Steps of its own chunk that a step waits for."""
    found = set(STEPS[name].after)
    return found | {other for one in STEPS[name].after for other in ancestors(one)}


@pytest.mark.parametrize(
    ("names", "waits", "guided"),
    [
        (("control", "upload"), ("denoise",), False),  # `upload`: for what `control` waits for
        (("upload",), ("denoise",), True),
        (("denoise",), ("vae",), False),
        (("upload",), ("dino", "denoise"), False),  # which comes after that `dino`
    ],
)
def test_the_harness_sees_a_missing_wait(names, waits, guided, monkeypatch):
    """Without one line of a list some order gives other frames: the test above can fail."""
    networks = guided_networks() if guided else debug_networks()
    expected = [launch.host.clone() for launch in launched(GraphedPipeline(networks), 9)]
    for name in names:
        step = STEPS[name]
        kept = tuple(other for other in step.after_previous if other not in waits)
        monkeypatch.setitem(STEPS, name, replace(step, after_previous=kept))
    for seed in range(40):
        runner = Deferred()
        launches = launched(GraphedPipeline(networks, runner=runner), 9)
        runner.carry_out(random.Random(seed))
        found = [launch.host for launch in launches]
        if not all(torch.equal(one, other) for one, other in zip(found, expected, strict=True)):
            return
    raise AssertionError(f"{names} need not wait for {waits}")
