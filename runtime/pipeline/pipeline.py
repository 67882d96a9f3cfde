"""One chunk of coarse frames in, one chunk of rendered frames out; and a session's video.

The order of a chunk: DINO, control tokens, denoise, VAE decode; then, when the frames have left,
`finalize` writes the clean chunk's keys and values. `Pipeline` is the networks and the way they are
run, `Video` what one session has of them. Knows tensors and one stream's state; no message, no
session and no thread: its caller runs everything here on the one thread that owns the device.

Shapes: F frames of the chunk, H W pixel rows and columns, S text tokens.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from c2r.exported.stages import Stages, eager_stages
from c2r.models.build import Networks
from c2r.models.coarse_frames import check_coarse_size, dino_frames, guide_frames
from c2r.models.configs import latent_count
from c2r.models.control import ControlInput, ControlState, strength_tensor
from c2r.models.forward_pass import TextKV
from c2r.models.pixels import eight_bit
from c2r.models.vae import VAEState
from c2r.streaming.rollout import Chunk, Rollout, StreamState
from runtime.core import ChunkRequest, Frames, RenderedChunk, RenderParameters
from runtime.pipeline.finite import all_finite, check_finite
from runtime.pipeline.stage_timer import HostTiming, StageTimer, Timing, milliseconds


@dataclass
class VideoState:
    """Everything one stream carries from chunk to chunk."""

    stream: StreamState
    control: ControlState | None = None
    vae: VAEState | None = None
    first: bool = True

    def reset(self) -> None:
        """Back to the start, after a cut; the memory stays where it is."""
        self.stream.reset()
        self.control, self.vae, self.first = None, None, True


@dataclass(frozen=True)
class ChunkOutput:
    """The frames of one chunk `[F, H, W, 3]`, its stages' times, and what `finalize` keeps.

    `kv_write`: of the write of keys and values, where that is on its way already.
    """

    frames: Frames
    chunk: Chunk
    control: ControlState | None
    vae: VAEState | None
    stages_ms: dict[str, float] = field(default_factory=dict)
    kv_write: Timing | None = None


def pad_frames(frames: Frames, count: int) -> Frames:
    """`count` frames: the given ones, then the last again; the end of a stream fills its chunk."""
    return np.concatenate([frames, np.repeat(frames[-1:], count - len(frames), axis=0)])


def at_size(frames: Frames, height: int) -> Frames:
    """Frames at a whole fraction of their size, each pixel the mean of those it stands for."""
    side = frames.shape[1] // height
    if side <= 1:
        return frames
    parts = rearrange(frames, "f (h a) (w b) c -> f h w c (a b)", a=side, b=side)
    return np.round(parts.mean(axis=-1)).astype(np.uint8)


class Pipeline:
    """Networks and the way they are run. Holds no stream: that is `VideoState`.

    `stages`: what computes each stage, where it is not the networks as they are. One stage runs
    after the other: the reference implementation of `runtime.graphs.graphed_pipeline`.
    `most_streams`: as many as fit into memory; None: not measured.
    """

    most_streams: int | None = None

    def __init__(self, networks: Networks, stages: Stages | None = None) -> None:
        preset, control = networks.preset, networks.control
        self.networks = networks
        self.stages = eager_stages(networks) if stages is None else stages
        self.preset = preset
        self.rollout = Rollout(
            networks.dit,
            preset.stream,
            preset.latent_size,
            control_layers=0 if control is None else len(control.blocks),
            velocity=self.stages.denoise,
        )
        self.clock = StageTimer(self.device)

    @property
    def device(self) -> torch.device:
        return self.rollout.device

    def probe(self) -> None:
        """Raises when the device computes no more. Waits for it.

        Memory that ran out is no such thing: another program may give its own back.
        """
        with suppress(torch.OutOfMemoryError):
            torch.ones(2, device=self.device).sum().item()

    def open(self, seed: int) -> VideoState:
        """A new stream; takes the memory of its K/V cache."""
        return VideoState(self.rollout.open([seed]))

    def reseed(self, state: VideoState, seed: int) -> None:
        """Take noise from another seed from the next chunk on."""
        state.stream.seeds = (seed,)

    def frames_wanted(self, state: VideoState) -> int:
        """Frames that the stream's next chunk is made of."""
        return self.preset.chunk_frames(state.first)

    def chunk_latents(self, first: bool) -> int:
        """Latents of a stream's first chunk, or of a later one."""
        return latent_count(self.preset.chunk_frames(True)) if first else self.preset.stream.chunk

    @torch.no_grad()
    def prompt(self, prompt: str) -> Tensor:
        """Text embeddings of a prompt `[1, S, text_dim]`; cached by the encoder."""
        return self.networks.text.encode([prompt]).to(self.device)

    @torch.no_grad()
    def text(self, embeddings: Tensor) -> TextKV:
        """Keys and values of embeddings for every layer, computed once per prompt."""
        return self.networks.dit.text_kv(embeddings, self.networks.control)

    @torch.no_grad()
    def render(
        self, state: VideoState, frames: Frames, text: TextKV, strength: float = 1.0
    ) -> ChunkOutput:
        """Render one chunk of coarse frames `[F, H, W, 3]`, at the output size.

        A renderer with a guide takes them at the DiT's size too and refuses others; one without
        resizes them. `ValueError` when F is not `frames_wanted(state)` or strength is negative;
        `NotFiniteError` for a chunk with a NaN or an infinity in it. The stream moves on with
        `finalize` of the result; until then the same call gives the same frames.
        """
        self._check(state, frames)
        scale = strength_tensor(strength, self.device)
        timings: dict[str, Timing] = {}
        with self.clock.time(timings, "upload"):
            pixels = self.upload(frames)
        with self.clock.time(timings, "dino"):
            features = self._features(pixels)
        with self.clock.time(timings, "control"):
            control, control_state = self._control(features, state.control, scale)
        with self.clock.time(timings, "denoise"):
            latents = self.chunk_latents(state.first)
            chunk = self.rollout.generate(state.stream, text, control, latents=latents)
        with self.clock.time(timings, "vae"):
            guide = guide_frames(pixels, self.preset)
            decoded, vae_state = self.stages.vae(chunk.clean, state.vae, guide, scale)
        with self.clock.time(timings, "download"):
            finite = all_finite(chunk.clean, decoded)
            rendered = self.download(decoded)
        check_finite(finite)
        return ChunkOutput(rendered, chunk, control_state, vae_state, milliseconds(timings))

    @torch.no_grad()
    def finalize(self, state: VideoState, output: ChunkOutput) -> Timing:
        """Write the chunk's keys and values; returns how long that takes. The stream moves on.

        On CUDA the write is on its way when this returns; only reading the time waits for it.
        """
        timings: dict[str, Timing] = {}
        with self.clock.time(timings, "kv_write"):
            self.rollout.finalize(state.stream, output.chunk)
        state.control, state.vae, state.first = output.control, output.vae, False
        return timings["kv_write"]

    def _check(self, state: VideoState, frames: Frames) -> None:
        wanted = self.frames_wanted(state)
        if frames.ndim != 4 or frames.shape[0] != wanted or frames.shape[3] != 3:
            raise ValueError(
                f"frames have shape {list(frames.shape)}; this chunk takes [{wanted}, height, "
                "width, 3] (frames_wanted says how many)"
            )
        if self.preset.guided:
            check_coarse_size(frames.shape[2], frames.shape[1], self.preset)

    def upload(self, frames: Frames) -> Tensor:
        """Frames `[F, H, W, 3]` on the device as `[1, F, 3, H, W]` uint8."""
        pixels = torch.from_numpy(np.require(frames, requirements=["C", "W"]))
        return pixels.to(self.device, non_blocking=True).permute(0, 3, 1, 2)[None]

    def _features(self, pixels: Tensor) -> Tensor | None:
        if self.stages.dino is None:
            return None
        return self.stages.dino(dino_frames(pixels, self.preset))

    def _control(
        self, features: Tensor | None, state: ControlState | None, strength: Tensor
    ) -> tuple[ControlInput | None, ControlState | None]:
        network, run = self.networks.control, self.stages.control
        if network is None or run is None or features is None:
            return None, None
        tokens, state = run(features, state)
        return ControlInput(network, tokens, self.preset.grid, strength), state

    def download(self, decoded: Tensor) -> Frames:
        """Decoded frames `[1, F, 3, H, W]` in [0, 1] as 8-bit frames on the host."""
        return eight_bit(decoded).cpu().numpy()


@dataclass(frozen=True, eq=False)
class PromptBlend:
    """Embeddings `[1, S, text_dim]` on a straight line from `begin` to `end`, `step` of `steps`."""

    begin: Tensor
    end: Tensor
    step: int = 1
    steps: int = 1

    @property
    def embeddings(self) -> Tensor:
        """What the chunk of this step is rendered with; at the last step exactly `end`."""
        if self.settled:
            return self.end
        return torch.lerp(self.begin, self.end, self.step / self.steps)

    @property
    def settled(self) -> bool:
        """The end is reached; further steps change nothing."""
        return self.step >= self.steps

    def next(self) -> PromptBlend:
        """One chunk further."""
        return self if self.settled else replace(self, step=self.step + 1)

    def toward(self, end: Tensor, steps: int) -> PromptBlend:
        """From the current embeddings to others, over `steps` chunks; this is the first of them."""
        return PromptBlend(self.embeddings, end, 1, steps)


class Video:
    """One session's stream on the device, and the parameters of its last chunk.

    A chunk has two halves, `render` and `write`. The frames are the first one's result, so that
    they can be sent while the second one runs: the write needs a whole pass of the DiT and no
    client waits for it.
    """

    def __init__(self, pipeline: Pipeline, params: RenderParameters) -> None:
        self.pipeline = pipeline
        self.state = pipeline.open(params.seed)
        self.params = params
        embeddings = pipeline.prompt(params.prompt)
        self._blend = PromptBlend(embeddings, embeddings)
        self._text: TextKV | None = None
        self._unwritten: ChunkOutput | None = None
        self._kv_write: Timing = HostTiming(0.0)

    def render(self, request: ChunkRequest) -> RenderedChunk:
        """The first half of a chunk. After any error the video is back at its start."""
        begun_s = time.perf_counter()
        try:
            if request.reset:
                self.state.reset()
            if request.first != self.state.first:
                # The write of the chunk before failed when this request was made already. Its
                # size fits the state that is lost, so it cannot be rendered from the start.
                raise RuntimeError("the video lost its state after this chunk was requested")
            blend, text = self._blend_to(request.params)
            self.pipeline.reseed(self.state, request.params.seed)
            images = request.images
            frames = pad_frames(images, request.size) if len(images) < request.size else images
            output = self.pipeline.render(self.state, frames, text, request.params.strength)
        except Exception:
            self.state.reset()
            raise
        # Only now: a chunk that failed is no step of a blend.
        self.params, self._blend, self._text = request.params, blend, text
        self._unwritten = output
        # The time of the last write is read here and not right after it: reading waits for the
        # device, and on CUDA that write has run beside the beginning of this chunk.
        kv_write_ms = self._kv_write.ms
        rendered = at_size(output.frames[: len(images)], images.shape[1])
        return RenderedChunk(rendered, begun_s, output.stages_ms, kv_write_ms)

    def write(self) -> None:
        """The second half: the keys and values of what was rendered. See `render` for errors."""
        assert self._unwritten is not None, "write follows render"
        try:
            self._kv_write = self.pipeline.finalize(self.state, self._unwritten)
        except Exception:
            self.state.reset()
            raise
        finally:
            self._unwritten = None

    def close(self) -> None:
        """Free the stream's memory; nothing can be rendered afterwards."""
        del self.state, self._blend
        self._text = None

    def _blend_to(self, params: RenderParameters) -> tuple[PromptBlend, TextKV]:
        if params.prompt != self.params.prompt:
            end = self.pipeline.prompt(params.prompt)
            blend = self._blend.toward(end, params.blend_chunks)
        elif self._text is not None and self._blend.settled:
            return self._blend, self._text
        else:
            blend = self._blend.next()
        return blend, self.pipeline.text(blend.embeddings)


def warm_up(pipeline: Pipeline, chunks: int) -> float:
    """Render grey chunks on a stream of their own, so that no session pays for first calls.

    Returns the milliseconds of the last one.
    """
    state, text = pipeline.open(0), pipeline.text(pipeline.prompt(""))
    took_ms = 0.0
    for _ in range(chunks):
        begun_s = time.perf_counter()
        width, height = pipeline.preset.output_size
        size = pipeline.frames_wanted(state), height, width, 3
        output = pipeline.render(state, np.full(size, 128, np.uint8), text)
        _ = pipeline.finalize(state, output).ms  # waits until the write is over
        took_ms = (time.perf_counter() - begun_s) * 1000
    return took_ms
