"""The pipeline from CUDA graphs: one per step and cache fill level, replayed on several streams.

Gives what `runtime.pipeline.pipeline.Pipeline` gives. All memory is allocated and all graphs are
captured when it is made, in this order: warm up, size the caches from the memory that is left,
capture. Inside a chunk nothing is allocated on the device, and the host waits once, for the frames.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from c2r.exported.stages import Stages
from c2r.models.build import Networks
from c2r.models.control import strength_tensor
from c2r.models.forward_pass import TextKV
from c2r.streaming.fill_levels import Fill, fill_levels
from c2r.streaming.kv_cache import KVCache
from c2r.streaming.rollout import Chunk
from runtime.core import Frames
from runtime.graphs.buffers import StaticBuffers
from runtime.graphs.capture import Capture, CudaGraphs, PlainCalls
from runtime.graphs.noise_prefetch import NoisePrefetch, NoiseRequest, host_frames
from runtime.graphs.schedule import CHUNK, STEPS, CudaStreams, Sequential, StepRunner, Work
from runtime.graphs.steps import GraphSteps, order_of
from runtime.pipeline.finite import check_finite
from runtime.pipeline.pipeline import ChunkOutput, Pipeline, VideoState
from runtime.pipeline.stage_timer import Timing, milliseconds

log = logging.getLogger(__name__)

Say = Callable[[str, int, int], None]
"""Is told of each graph to capture: the step's name, how many are done, how many there are."""
SPARE_BYTES = 1 << 30
"""Left free beside the caches: for prompts, and for other users of the device."""


@dataclass(frozen=True)
class LaunchedChunk:
    """A chunk that was started; its frames `[F, H, W, 3]` are in `host` once `timings` are over.

    `finite`: one bool, there with the frames.
    """

    host: Tensor
    finite: Tensor
    chunk: Chunk
    timings: dict[str, Timing]
    kv_write: Timing


class GraphedPipeline(Pipeline):
    """`Pipeline` from captured steps. `runner` and `capture`: CUDA streams and graphs on CUDA.

    Elsewhere their counterparts, which call the same steps in order. `ValueError` when memory does
    not hold one stream.
    """

    def __init__(
        self,
        networks: Networks,
        stages: Stages | None = None,
        *,
        runner: StepRunner | None = None,
        capture: Capture | None = None,
        say: Say = lambda name, done, count: None,
    ) -> None:
        super().__init__(networks, stages)
        self.cuda = self.device.type == "cuda"
        self._runner, self._capture = self._chosen(runner, capture)
        stream = self.preset.stream
        self.fills = fill_levels(stream.window, stream.chunk, self.chunk_latents(True))
        self.buffers = StaticBuffers(KVCache(self.rollout.cache_spec(), self.device))
        self.steps = GraphSteps(self, self.buffers)
        self._noise = NoisePrefetch(self.rollout, pinned=self.cuda)
        self.buffers.write_text(self.text(self.prompt("")))
        self._warm_up()
        self.most_streams = self._size()
        self._replays = self._capture_all(say)

    def _chosen(
        self, runner: StepRunner | None, capture: Capture | None
    ) -> tuple[StepRunner, Capture]:
        if not self.cuda:
            return runner or Sequential(), capture or PlainCalls()
        streams = CudaStreams(self.device)
        return runner or streams, capture or CudaGraphs(streams)

    # Warm up, size, capture

    @torch.no_grad()
    def _warm_up(self) -> None:
        """A first chunk and one with a full window: makes all buffers, finds the peak of memory.

        Between them they have the smallest and the largest shapes; levels in between need no more.
        """
        if self.cuda:
            torch.cuda.reset_peak_memory_stats(self.device)
        for fill in dict.fromkeys((self.fills[0], self.fills[-1])):
            for step in self.steps.at(fill).values():
                step()

    def _size(self) -> int | None:
        """Streams whose state fits into the memory that is free now; None where it is unknown.

        Measured after the warm-up, whose temporary memory (peak - held) has to stay free for the
        graphs, and before the capture, which takes it. Estimated from shapes, it would be wrong by
        what kernels and libraries use.
        """
        if not self.cuda:
            return None
        torch.cuda.synchronize(self.device)
        torch.cuda.empty_cache()  # else memory that PyTorch only keeps would count as used
        peak = torch.cuda.max_memory_allocated(self.device)
        held = torch.cuda.memory_allocated(self.device)
        free = torch.cuda.mem_get_info(self.device)[0] - (peak - held) - SPARE_BYTES
        streams = int(free // self.buffers.state_bytes)
        gib = self.buffers.state_bytes / 2**30
        log.info("%.1f GiB are free: room for %d streams of %.2f GiB", free / 2**30, streams, gib)
        if streams < 1:
            window = self.preset.stream.window
            raise ValueError(
                f"a stream's state takes {gib:.2f} GiB, {free / 2**30:.2f} GiB are left on "
                f"{self.device}; lower --stream.window (now {window}) or free the device"
            )
        return streams

    def _capture_all(self, say: Say) -> dict[tuple[object, ...], Work]:
        """A replay for each step and fill level; of steps that no level changes, one."""
        wanted: dict[tuple[object, ...], tuple[str, Work]] = {}
        for fill in self.fills:
            for name, step in self.steps.at(fill).items():
                wanted.setdefault(_key(name, fill), (name, step))
        replays = {}
        for done, (key, (name, step)) in enumerate(wanted.items()):
            say(name, done, len(wanted))
            replays[key] = self._capture.capture(STEPS[name].stream, step)
        say("captured", len(wanted), len(wanted))
        self.buffers.cache.reset()
        return replays

    # A chunk

    @torch.no_grad()
    def render(
        self, state: VideoState, frames: Frames, text: TextKV, strength: float = 1.0
    ) -> ChunkOutput:
        """See `Pipeline.render`. Keys and values are being written when this returns."""
        return self.collect(self.launch(state, frames, text, strength))

    @torch.no_grad()
    def launch(
        self, state: VideoState, frames: Frames, text: TextKV, strength: float = 1.0
    ) -> LaunchedChunk:
        """Start a chunk without waiting for it. `ValueError` as `Pipeline.render`, and for frames
        of another size than the preset's.
        """
        self._check(state, frames)
        self._check_size(frames)
        strength_tensor(strength, "cpu")  # refuses what is no strength
        if not self.buffers.holds(state):
            # No step may run beside the copies: they read what steps write, and the reverse.
            self._runner.exclusive(self.buffers.swap_in(state))
        fill = self._next_fill(state)
        noise = self._noise.take(self._noise_request(state, fill))
        works, host, finite = self._works(state, fill, frames, noise, text, strength)
        timings = {name: self._runner.run(STEPS[name], work) for name, work in works.items()}
        clean = self.buffers[f"clean.{order_of(fill.first)}"]
        kv_write = timings.pop("kv_write")
        return LaunchedChunk(
            host, finite, Chunk(clean, state.stream.latents, text, None), timings, kv_write
        )

    def collect(self, launched: LaunchedChunk) -> ChunkOutput:
        """Wait for the frames of a chunk, not for its keys and values. See `Pipeline.render`."""
        timings = launched.timings
        stages_ms = milliseconds(timings)
        check_finite(launched.finite)
        stages_ms["denoise"] += stages_ms.pop("slide", 0.0)
        # The static buffer is the next chunk's; what leaves is a copy.
        chunk = replace(launched.chunk, clean=launched.chunk.clean.clone())
        return ChunkOutput(launched.host.numpy(), chunk, None, None, stages_ms, launched.kv_write)

    @torch.no_grad()
    def finalize(self, state: VideoState, rendered: ChunkOutput) -> Timing:
        """The stream moves on; its keys and values were started with the chunk.

        `ValueError` unless this stream's chunk was the last that was rendered.
        """
        if not self.buffers.holds(state) or rendered.chunk.first != state.stream.latents:
            raise ValueError(
                "finalize every chunk once, before another is rendered: this one is not the last"
            )
        latents = rendered.chunk.clean.shape[1]
        assert rendered.kv_write is not None, "launch starts the write"
        state.stream.cache.commit(latents)
        state.stream.latents += latents
        state.first = False
        self.buffers.mark_finalized()
        self._noise.prepare(self._noise_request(state, self._fill_of(state)))
        return rendered.kv_write

    def _check_size(self, frames: Frames) -> None:
        height, width = frames.shape[1:3]
        if not self.preset.guided and (width, height) != self.preset.output_size:
            raise ValueError(
                f"frames are {width}x{height}; graphs were captured for {self.preset.width}x"
                f"{self.preset.height}: give that size, or use --backend eager"
            )

    def _fill_of(self, state: VideoState) -> Fill:
        """The level at which the stream's next chunk finds its cache."""
        cache, latents = state.stream.cache, self.chunk_latents(state.first)
        return Fill(cache.length, cache.overflow(latents), latents)

    def _next_fill(self, state: VideoState) -> Fill:
        """`_fill_of`; the bookkeeping of the window's move is done, the memory follows."""
        fill = self._fill_of(state)
        state.stream.cache.length = fill.held
        return fill

    def _noise_request(self, state: VideoState, fill: Fill) -> NoiseRequest:
        rows, stream = self.steps.noise_rows(fill.first), state.stream
        return NoiseRequest(stream.seeds, stream.latents, fill.latents, rows)

    def _works(
        self,
        state: VideoState,
        fill: Fill,
        frames: Frames,
        noise: Tensor,
        text: TextKV,
        strength: float,
    ) -> tuple[dict[str, Work], Tensor, Tensor]:
        """The work of every step of a chunk, where its frames and `finite` will be on the host.

        What differs between chunks (pixels, noise, strength, prompt) is copied to the static
        buffers around the replays, on the same stream as the graph that reads it.
        """
        buffers, order = self.buffers, order_of(fill.first)
        next_is_due, other_text = buffers.take_due(state), buffers.text_changed(text)
        count, (width, height) = len(frames), self.preset.output_size
        coarse = host_frames(count, height, width, pinned=self.cuda)
        repeats = height // frames.shape[1]  # pixels of frames at the DiT's size are repeated
        np.copyto(coarse.numpy(), frames.repeat(repeats, axis=1).repeat(repeats, axis=2))
        host = host_frames(count, height, width, pinned=self.cuda)
        finite = torch.ones((), dtype=torch.bool, pin_memory=self.cuda)

        def replay(name: str) -> None:
            step = self._replays.get(_key(name, fill))
            if step is not None:  # None: a step that this chunk has not, such as `slide`
                step()

        def carry(name: str) -> None:
            if next_is_due:
                buffers.write_all(f"{name}.now", buffers.all(f"{name}.next"))
            replay(name)

        def upload() -> None:
            buffers.write(f"pixels.{order}", coarse)

        def denoise() -> None:
            buffers.write(f"noise.{order}", noise)
            buffers["strength"].fill_(strength)
            if other_text:
                buffers.write_text(text)
            replay("denoise")

        def download() -> None:
            host.copy_(buffers[f"frames.{order}"], non_blocking=True)
            finite.copy_(buffers[f"finite.{order}"], non_blocking=True)

        special: dict[str, Work] = {
            "upload": upload,
            "control": partial(carry, "control"),
            "denoise": denoise,
            "vae": partial(carry, "vae"),
            "download": download,
        }
        works = {step.name: special.get(step.name, partial(replay, step.name)) for step in CHUNK}
        return works, host, finite


def _key(name: str, fill: Fill) -> tuple[object, ...]:
    """Which graph a step replays. The DiT's passes depend on how full the cache is, `slide` on how
    full it was before, the others only on whether the chunk is a stream's first.
    """
    if name == "slide":
        return name, fill.length, fill.drop
    if name in ("denoise", "kv_write"):
        return name, fill.held, fill.first
    return name, fill.first
