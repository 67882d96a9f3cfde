"""The pipeline with its chunks recorded: a graph a piece and fill level, replayed on lanes.

Gives what `runtime.pipeline.pipeline.Pipeline` gives. All memory is taken and all graphs are
recorded when it is made: warm up, size the caches from the memory that is left, record. Inside a
chunk nothing is allocated on the device, and the host waits once: for the pictures.
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
from runtime.graphs.capture import CallAgain, CudaGraphs, Recorder
from runtime.graphs.noise_prefetch import NoiseAhead, NoiseOrder, host_frames
from runtime.graphs.schedule import CHUNK, STEPS, InOrder, Lanes, Streams, Work
from runtime.graphs.steps import GraphSteps, order_of
from runtime.pipeline.pipeline import ChunkOutput, Pipeline, VideoState
from runtime.pipeline.stage_timer import Timing, milliseconds

log = logging.getLogger(__name__)

Say = Callable[[str, int, int], None]
"""Is told of each piece that is recorded: its name, how many are done, how many there are."""
SPARE_BYTES = 1 << 30
"""Left free beside the caches: for prompts, and for what others take."""


@dataclass(frozen=True)
class Launched:
    """A chunk on its way: its frames `[F, H, W, 3]` on the host, there once `timings` are over."""

    host: Tensor
    chunk: Chunk
    timings: dict[str, Timing]
    kv_write: Timing


class GraphedPipeline(Pipeline):
    """`Pipeline` from recorded pieces. `lanes` and `recorder`: CUDA streams and graphs on CUDA.

    Elsewhere their stand-ins, which run the same pieces in order. `ValueError` when memory does not
    hold one stream.
    """

    def __init__(
        self,
        networks: Networks,
        stages: Stages | None = None,
        *,
        lanes: Lanes | None = None,
        recorder: Recorder | None = None,
        say: Say = lambda name, done, count: None,
    ) -> None:
        super().__init__(networks, stages)
        self.cuda = self.device.type == "cuda"
        self._lanes, self._recorder = self._chosen(lanes, recorder)
        stream = self.preset.stream
        self.fills = fill_levels(stream.window, stream.chunk, self.chunk_latents(True))
        self._seat = StaticBuffers(KVCache(self.rollout.cache_spec(), self.device))
        self._pieces = GraphSteps(self, self._seat)
        self._noise = NoiseAhead(self.rollout, pinned=self.cuda)
        self._seat.keep_text(self.text(self.prompt("")))
        self._warm_up()
        self.most_streams = self._size()
        self._replays = self._record(say)

    def _chosen(self, lanes: Lanes | None, recorder: Recorder | None) -> tuple[Lanes, Recorder]:
        if not self.cuda:
            return lanes or InOrder(), recorder or CallAgain()
        streams = Streams(self.device)
        return lanes or streams, recorder or CudaGraphs(streams)

    # Warm up, size, record

    @torch.no_grad()
    def _warm_up(self) -> None:
        """A first chunk and a full one, unrecorded: takes buffers and finds the peak of memory."""
        if self.cuda:
            torch.cuda.reset_peak_memory_stats(self.device)
        for fill in dict.fromkeys((self.fills[0], self.fills[-1])):
            for piece in self._pieces.all(fill).values():
                piece()

    def _size(self) -> int | None:
        """Streams whose state fits into the memory that is free now; None where it is unknown."""
        if not self.cuda:
            return None
        torch.cuda.synchronize(self.device)
        torch.cuda.empty_cache()
        peak = torch.cuda.max_memory_allocated(self.device)
        held = torch.cuda.memory_allocated(self.device)
        free = torch.cuda.mem_get_info(self.device)[0] - (peak - held) - SPARE_BYTES
        streams = int(free // self._seat.nbytes)
        gib = self._seat.nbytes / 2**30
        log.info("%.1f GiB are free: room for %d streams of %.2f GiB", free / 2**30, streams, gib)
        if streams < 1:
            window = self.preset.stream.window
            raise ValueError(
                f"a stream's state takes {gib:.2f} GiB, {free / 2**30:.2f} GiB are left on "
                f"{self.device}; lower --stream.window (now {window}) or free the device"
            )
        return streams

    def _record(self, say: Say) -> dict[tuple[object, ...], Work]:
        """A replay for each piece and fill level; what does not depend on the level, once."""
        wanted: dict[tuple[object, ...], tuple[str, Work]] = {}
        for fill in self.fills:
            for name, piece in self._pieces.all(fill).items():
                wanted.setdefault(_key(name, fill), (name, piece))
        replays = {}
        for done, (key, (name, piece)) in enumerate(wanted.items()):
            say(name, done, len(wanted))
            replays[key] = self._recorder.record(STEPS[name].lane, piece)
        say("recorded", len(wanted), len(wanted))
        self._seat.cache.reset()
        return replays

    # A chunk

    @torch.no_grad()
    def render(
        self, state: VideoState, frames: Frames, text: TextKV, strength: float = 1.0
    ) -> ChunkOutput:
        """See `Pipeline.render`. Keys and values are on their way when this returns."""
        return self.collect(self.launch(state, frames, text, strength))

    @torch.no_grad()
    def launch(
        self, state: VideoState, frames: Frames, text: TextKV, strength: float = 1.0
    ) -> Launched:
        """Start a chunk without waiting for it. `ValueError` as `Pipeline.render`, and for frames
        of another size than the preset's.
        """
        self._check(state, frames)
        self._check_size(frames)
        strength_tensor(strength, "cpu")  # refuses what is no strength
        if not self._seat.holds(state):
            self._lanes.alone(self._seat.turn_to(state))
        fill = self._next_fill(state)
        noise = self._noise.take(self._noise_order(state, fill))
        works, host = self._works(state, fill, frames, noise, text, strength)
        timings = {name: self._lanes.run(STEPS[name], work) for name, work in works.items()}
        clean = self._seat[f"clean.{order_of(fill.first)}"]
        kv_write = timings.pop("kv_write")
        return Launched(host, Chunk(clean, state.stream.latents, text, None), timings, kv_write)

    def collect(self, launched: Launched) -> ChunkOutput:
        """Wait for the pictures of a chunk; nothing else that was started is waited for."""
        timings = launched.timings
        stages_ms = milliseconds(timings)
        stages_ms["denoise"] += stages_ms.pop("room", 0.0)
        pictures = launched.host.numpy()
        # The seat's memory is the next chunk's; what leaves is a copy.
        chunk = replace(launched.chunk, clean=launched.chunk.clean.clone())
        return ChunkOutput(pictures, chunk, None, None, stages_ms, launched.kv_write)

    @torch.no_grad()
    def finalize(self, state: VideoState, rendered: ChunkOutput) -> Timing:
        """The stream moves on; its keys and values were started with the chunk.

        `ValueError` unless this stream's chunk was the last that was rendered.
        """
        if not self._seat.holds(state) or rendered.chunk.first != state.stream.latents:
            raise ValueError(
                "finalize every chunk once, before another is rendered: this one is not the last"
            )
        latents = rendered.chunk.clean.shape[1]
        assert rendered.kv_write is not None, "launch starts the write"
        state.stream.cache.commit(latents)
        state.stream.latents += latents
        state.first = False
        self._seat.finalized()
        following = self._noise_order(state, self._fill_of(state))
        self._noise.prepare(following)
        return rendered.kv_write

    def _check_size(self, frames: Frames) -> None:
        height, width = frames.shape[1:3]
        if (height, width) != (self.preset.height, self.preset.width):
            raise ValueError(
                f"frames are {width}x{height}; graphs were recorded for {self.preset.width}x"
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

    def _noise_order(self, state: VideoState, fill: Fill) -> NoiseOrder:
        rows, stream = self._pieces.noise_rows(fill.first), state.stream
        return NoiseOrder(stream.seeds, stream.latents, fill.latents, rows)

    def _works(
        self,
        state: VideoState,
        fill: Fill,
        frames: Frames,
        noise: Tensor,
        text: TextKV,
        strength: float,
    ) -> tuple[dict[str, Work], Tensor]:
        """The work of every step of a chunk, and where its pictures will be."""
        seat, order = self._seat, order_of(fill.first)
        moved, other_text = seat.take_moved(state), seat.turn_text(text)
        count, height, width = frames.shape[:3]
        coarse = host_frames(count, height, width, pinned=self.cuda)
        np.copyto(coarse.numpy(), frames)
        host = host_frames(count, self.preset.height, self.preset.width, pinned=self.cuda)

        def replay(name: str) -> None:
            found = self._replays.get(_key(name, fill))
            if found is not None:
                found()

        def carry(name: str) -> None:
            if moved:
                seat.keep_all(f"{name}.now", seat.all(f"{name}.next"))
            replay(name)

        def upload() -> None:
            seat.keep(f"pixels.{order}", coarse)

        def denoise() -> None:
            seat.keep(f"noise.{order}", noise)
            seat["strength"].fill_(strength)
            if other_text:
                seat.keep_text(text)
            replay("denoise")

        def download() -> None:
            host.copy_(seat[f"pictures.{order}"], non_blocking=True)

        special: dict[str, Work] = {
            "upload": upload,
            "control": partial(carry, "control"),
            "denoise": denoise,
            "vae": partial(carry, "vae"),
            "download": download,
        }
        works = {step.name: special.get(step.name, partial(replay, step.name)) for step in CHUNK}
        return works, host


def _key(name: str, fill: Fill) -> tuple[object, ...]:
    """The graph of a piece. Only the passes know how full the cache is, only `room` how it was."""
    if name == "room":
        return name, fill.length, fill.drop
    if name in ("denoise", "kv_write"):
        return name, fill.held, fill.first
    return name, fill.first
