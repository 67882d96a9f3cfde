"""One chunk of coarse frames in, one chunk of pictures out.

The order of a chunk: DINO, control tokens, denoise, VAE decode; then, when the pictures have left,
`finalize` writes the clean chunk's keys and values. Knows tensors and one stream's state, no
message and no session.

Shapes: F frames of the chunk, H W pixel rows and columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from c2r.exported.stages import Stages, eager_stages
from c2r.models.build import Networks
from c2r.models.configs import latent_count
from c2r.models.control import ControlInput, ControlState, strength_tensor
from c2r.models.forward_pass import TextKV
from c2r.models.vae import VAEState
from c2r.streaming.rollout import Chunk, Rollout, StreamState
from runtime.pipeline.stage_timer import Lap, StageTimer, milliseconds

Pictures = NDArray[np.uint8]
"""RGB frames `[F, H, W, 3]`, row 0 at the top, 8-bit sRGB."""


@dataclass
class VideoState:
    """Everything one stream carries from chunk to chunk."""

    stream: StreamState
    control: ControlState | None = None
    vae: VAEState | None = None
    first: bool = True

    def reset(self) -> None:
        """Begin anew after a cut; the memory stays where it is."""
        self.stream.reset()
        self.control, self.vae, self.first = None, None, True


@dataclass(frozen=True)
class RenderedChunk:
    """Pictures of one chunk, the milliseconds that each stage took, and what `finalize` keeps.

    `kv_write`: when the write of keys and values is on its way already.
    """

    pictures: Pictures
    chunk: Chunk
    control: ControlState | None
    vae: VAEState | None
    stages_ms: dict[str, float] = field(default_factory=dict)
    kv_write: Lap | None = None


def pad_frames(frames: Pictures, count: int) -> Pictures:
    """`count` frames: the given ones, then the last again; the end of a stream fills its chunk."""
    return np.concatenate([frames, np.repeat(frames[-1:], count - len(frames), axis=0)])


class Pipeline:
    """Networks and the way they are run. Holds no stream: that is `VideoState`.

    `stages`: what computes each stage, where it is not the networks as they are. One stage runs
    after the other: the reference of `runtime.graphs.graphed_pipeline`. `most_streams`: as many
    as memory was found for; None: nobody measured.
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
        """Where the networks live."""
        return self.rollout.device

    def open(self, seed: int) -> VideoState:
        """A new stream; takes the memory of its K/V cache."""
        return VideoState(self.rollout.open([seed]))

    def reseed(self, state: VideoState, seed: int) -> None:
        """Draw noise from another seed from the next chunk on."""
        state.stream.seeds = (seed,)

    def frames_wanted(self, state: VideoState) -> int:
        """Frames that the stream's next chunk is made of."""
        return self.preset.chunk_frames(state.first)

    def chunk_latents(self, first: bool) -> int:
        """Latents of a stream's first chunk, or of a later one."""
        return latent_count(self.preset.chunk_frames(True)) if first else self.preset.stream.chunk

    @torch.no_grad()
    def prompt(self, prompt: str) -> Tensor:
        """Text embeddings of a prompt, `[1, S, text_dim]`; remembered by the encoder."""
        return self.networks.text.encode([prompt]).to(self.device)

    @torch.no_grad()
    def text(self, embeddings: Tensor) -> TextKV:
        """Keys and values of embeddings for every layer, once a prompt."""
        return self.networks.dit.text_kv(embeddings, self.networks.control)

    @torch.no_grad()
    def render(
        self, state: VideoState, frames: Pictures, text: TextKV, strength: float = 1.0
    ) -> RenderedChunk:
        """Pictures of one chunk of coarse frames `[F, height, width, 3]`.

        `ValueError` when F is not `frames_wanted(state)` or strength is negative. The stream moves
        on with `finalize` of the result; until then the same call gives the same pictures.
        """
        self._check(state, frames)
        scale = strength_tensor(strength, self.device)
        laps: dict[str, Lap] = {}
        with self.clock.lap(laps, "upload"):
            pixels = self.upload(frames)
        with self.clock.lap(laps, "dino"):
            features = self._features(pixels)
        with self.clock.lap(laps, "control"):
            control, control_state = self._control(features, state.control, scale)
        with self.clock.lap(laps, "denoise"):
            latents = self.chunk_latents(state.first)
            chunk = self.rollout.generate(state.stream, text, control, latents=latents)
        with self.clock.lap(laps, "vae"):
            decoded, vae_state = self.stages.vae(chunk.clean, state.vae)
        with self.clock.lap(laps, "download"):
            pictures = self.download(decoded)
        return RenderedChunk(pictures, chunk, control_state, vae_state, milliseconds(laps))

    @torch.no_grad()
    def finalize(self, state: VideoState, rendered: RenderedChunk) -> Lap:
        """Write the chunk's keys and values, and how long that takes. The stream moves on.

        On CUDA the write is on its way when this returns; only who reads the time waits for it.
        """
        laps: dict[str, Lap] = {}
        with self.clock.lap(laps, "kv_write"):
            self.rollout.finalize(state.stream, rendered.chunk)
        state.control, state.vae, state.first = rendered.control, rendered.vae, False
        return laps["kv_write"]

    def _check(self, state: VideoState, frames: Pictures) -> None:
        wanted = self.frames_wanted(state)
        if frames.ndim != 4 or frames.shape[0] != wanted or frames.shape[3] != 3:
            raise ValueError(
                f"frames have shape {list(frames.shape)}; this chunk takes [{wanted}, height, "
                "width, 3] (frames_wanted says how many)"
            )

    def upload(self, frames: Pictures) -> Tensor:
        """Frames `[F, H, W, 3]` on the device as `[1, F, 3, H, W]` uint8."""
        pixels = torch.from_numpy(np.require(frames, requirements=["C", "W"]))
        return pixels.to(self.device, non_blocking=True).permute(0, 3, 1, 2)[None]

    def _features(self, pixels: Tensor) -> Tensor | None:
        return None if self.stages.dino is None else self.stages.dino(pixels)

    def _control(
        self, features: Tensor | None, state: ControlState | None, strength: Tensor
    ) -> tuple[ControlInput | None, ControlState | None]:
        network, run = self.networks.control, self.stages.control
        if network is None or run is None or features is None:
            return None, None
        tokens, state = run(features, state)
        return ControlInput(network, tokens, self.preset.grid, strength), state

    def download(self, decoded: Tensor) -> Pictures:
        """Decoded frames `[1, F, 3, H, W]` in [0, 1] as 8-bit pictures."""
        return eight_bit(decoded).cpu().numpy()


def eight_bit(decoded: Tensor) -> Tensor:
    """Decoded frames `[1, F, 3, H, W]` in [0, 1] -> uint8 `[F, H, W, 3]` on the same device."""
    pixels = (decoded[0].float() * 255).round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous()
