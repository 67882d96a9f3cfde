"""The shapes of networks and of a whole renderer, as dataclasses that validate themselves.

Numbers only: no tensors, no torch. `c2r.models.presets` holds the named renderers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from c2r.models.control_registry import check_kind, settings_class

FRAMES_PER_LATENT = 4
PIXELS_PER_LATENT = 8


def check_positive(config: object, *names: str) -> None:
    """Raise `ValueError` unless each of these fields is a number above 0."""
    for name in names:
        value = getattr(config, name)
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{type(config).__name__}.{name} is {value}; it must be above 0")


@dataclass(frozen=True)
class DiTConfig:
    """Wan 2.1 text-to-video DiT (`Wan-Video/Wan2.1`, `wan/configs`)."""

    dim: int
    ffn_dim: int
    heads: int
    layers: int
    channels: int = 16
    patch: int = 2
    text_dim: int = 4096
    text_len: int = 512
    freq_dim: int = 256
    eps: float = 1e-6

    def __post_init__(self) -> None:
        check_positive(self, "dim", "ffn_dim", "heads", "layers", "channels", "patch")
        check_positive(self, "text_dim", "text_len", "freq_dim", "eps")
        if self.dim % self.heads or self.head_dim % 2:
            raise ValueError(
                f"dim {self.dim} must split into {self.heads} heads of an even width; "
                "change dim or heads"
            )

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.heads


@dataclass(frozen=True)
class DinoConfig:
    """Frozen feature extractor; `hidden`, `mlp`, `layers` and `heads` as in `facebook/dinov3-*`.

    `family` is `dinov3` (patch 16) or `dinov2` (patch 14, frames resized by 7/8 so that both
    give the same token grid).
    """

    hidden: int
    mlp: int
    layers: int
    heads: int
    family: str = "dinov3"
    registers: int = 4
    gated_mlp: bool = False

    def __post_init__(self) -> None:
        check_positive(self, "hidden", "mlp", "layers", "heads")
        if self.family not in ("dinov3", "dinov2"):
            raise ValueError(f"DINO family {self.family!r} is unknown; use 'dinov3' or 'dinov2'")

    @property
    def patch(self) -> int:
        """Pixels a side of one patch, at the extractor's own input size."""
        return 16 if self.family == "dinov3" else 14


@dataclass(frozen=True)
class ControlConfig:
    """How DINO tokens steer the DiT.

    `kind`: one of `c2r.models.control_registry`: `adapter` (published C2R), `controlnet` (cloned
    blocks); or `none`. A kind with settings of its own has a subclass of this dataclass.
    `inject`: `first_third`, `first:N` or `strided:k`, the blocks that receive a hint.
    `first_scale` .. `last_scale`: the adapter's linear fall from the first hint to the last.
    `every_pass`: ControlNet only; False runs the cloned blocks once per chunk, without x_t and t.
    """

    kind: str = "adapter"
    hidden: int = 3072
    inject: str = "first_third"
    first_scale: float = 1.0
    last_scale: float = 0.3
    every_pass: bool = True

    def __post_init__(self) -> None:
        check_positive(self, "hidden")
        check_kind(self.kind)

    @staticmethod
    def class_of_kind(kind: str) -> type[ControlConfig]:
        """The settings class of a kind of control; `ValueError` for an unknown kind."""
        return settings_class(kind)


@dataclass(frozen=True)
class WanVAEConfig:
    """The Wan 2.1 VAE as `diffusers.AutoencoderKLWan` builds it."""

    kind: Literal["wan"] = "wan"
    base_dim: int = 96
    dim_mult: tuple[int, ...] = (1, 2, 4, 4)
    res_blocks: int = 2
    channels: int = 16


GuideForm = Literal["added", "unet"]


@dataclass(frozen=True)
class GuideConfig:
    """A U-Net over the engine's coarse frame that guides the tiny VAE's decoder.

    `scale`: pixels a side of the coarse and of the output frame for each pixel of the VAE's.
    `unshuffle`: pixel-unshuffle of the coarse frame before the first convolution.
    `widths`: channels of each level, the finest first; each halves the size, down to the latents'.
    `form`: `added` to the VAE's decoder, whose frames a fresh guide leaves as they are, or a `unet`
    in its place, which takes the latents at its bottleneck.
    """

    scale: int = 1
    unshuffle: int = 2
    widths: tuple[int, ...] = (48, 96, 128)
    form: GuideForm = "added"

    def __post_init__(self) -> None:
        if self.scale not in (1, 2, 4):
            raise ValueError(f"guide.scale is {self.scale}; it must be 1, 2 or 4")
        if self.unshuffle not in (1, 2, 4):
            raise ValueError(f"guide.unshuffle is {self.unshuffle}; it must be 1, 2 or 4")
        side = self.scale * PIXELS_PER_LATENT // self.unshuffle
        if len(self.widths) != side.bit_length():
            raise ValueError(
                f"guide.widths {self.widths} must have {side.bit_length()} entries: scale "
                f"{self.scale} and unshuffle {self.unshuffle} start at {side} times the latents' "
                "size, and each level halves it"
            )
        if min(self.widths) < 1:
            raise ValueError(f"guide.widths {self.widths} must all be above 0")

    def check_decoder(self, patch: int) -> None:
        """Raise `ValueError` unless the finest level is as fine as that decoder's last activation.

        `patch`: `TinyVAEConfig.patch`.
        """
        if self.form == "added" and self.unshuffle > self.scale * patch:
            raise ValueError(
                f"guide.unshuffle {self.unshuffle} is coarser than the decoder (scale {self.scale} "
                f"x patch {patch}); use unshuffle {self.scale * patch} or less"
            )


@dataclass(frozen=True)
class TinyVAEConfig:
    """TAEHV family. Every stage of the encoder halves the size, every stage of the decoder doubles.

    `patch`: pixel-unshuffle before the first and after the last convolution (1 for `taew2_1`).
    `encoder_time`, `decoder_time`: time factor of each stage; each product is 4.
    `decoder_widths`: channels of each decoder stage, then of the last convolution's input.
    `linear`: a matrix past each half, from a latent's 4 x 8 x 8 pixels to its channels and back, to
    which the half adds (as in DC-AE, Chen et al., 2025, arXiv:2410.10733; there it is fixed).
    `guide`: how coarse frames guide decoding; None: they do not.
    """

    kind: Literal["tiny"] = "tiny"
    channels: int = 16
    patch: int = 1
    encoder_width: int = 64
    encoder_time: tuple[int, ...] = (2, 2, 1)
    decoder_widths: tuple[int, ...] = (256, 128, 64, 64)
    decoder_time: tuple[int, ...] = (1, 2, 2)
    blocks: int = 3
    linear: bool = False
    guide: GuideConfig | None = None


@dataclass(frozen=True)
class TextConfig:
    """UMT5 encoder. `tokenizer` is `bytes` (no files needed) or `folder` (beside the weights)."""

    dim: int = 4096
    ffn: int = 10240
    layers: int = 24
    heads: int = 64
    head_dim: int = 64
    vocab: int = 256384
    length: int = 512
    tokenizer: str = "folder"

    def __post_init__(self) -> None:
        check_positive(self, "dim", "ffn", "layers", "heads", "head_dim", "vocab", "length")


@dataclass(frozen=True)
class StreamConfig:
    """Streaming: latents per chunk, the K/V window (current chunk included), the few-step schedule.

    `timesteps` are shifted by `shift` (Self-Forcing); `first_timesteps`, when given, are those of a
    stream's first chunk. `sink` latents are never evicted. `context_noise`: the timestep at which
    the clean chunk writes its K/V. `first_chunk`: latents of a stream's first chunk, when it has
    fewer, so that its first frame comes sooner.
    """

    chunk: int = 3
    window: int = 9
    sink: int = 3
    timesteps: tuple[float, ...] = (1000.0, 750.0, 500.0, 250.0)
    first_timesteps: tuple[float, ...] | None = None
    shift: float = 5.0
    context_noise: float = 0.0
    first_chunk: int | None = None

    def __post_init__(self) -> None:
        if self.chunk < 1 or self.sink < 0:
            raise ValueError(
                f"chunk {self.chunk} must be at least 1 and sink {self.sink} at least 0"
            )
        if self.window < self.sink + self.chunk:
            raise ValueError(
                f"window {self.window} cannot hold the sink ({self.sink}) and one chunk "
                f"({self.chunk}); raise window to {self.sink + self.chunk} or more"
            )
        if self.first_chunk is not None and not 1 <= self.first_chunk <= self.chunk:
            raise ValueError(
                f"first_chunk is {self.first_chunk}; it must be 1 to chunk ({self.chunk}), or null"
            )
        check_positive(self, "shift")
        if not 0 <= self.context_noise < 1000:
            given = self.context_noise
            raise ValueError(f"context_noise is the timestep {given}; it must be 0 to below 1000")
        if not self.timesteps:
            raise ValueError("timesteps is empty; name at least one, for example (1000.0,)")


@dataclass(frozen=True)
class Preset:
    """One whole renderer: frame size, rate and the shape of every network.

    `frames`: the longest clip that is rendered whole, as the networks were trained.
    `negative_prompt`: what guidance leads away from where no other is given.
    """

    name: str
    width: int
    height: int
    dit: DiTConfig
    dino: DinoConfig
    vae: WanVAEConfig | TinyVAEConfig
    text: TextConfig
    control: ControlConfig = field(default_factory=ControlConfig)
    stream: StreamConfig = field(default_factory=StreamConfig)
    fps: int = 16
    frames: int = 81
    negative_prompt: str = ""

    def __post_init__(self) -> None:
        check_positive(self, "fps", "frames")
        self.check_size(self.width, self.height)
        if self.dit.channels != self.vae.channels:
            raise ValueError(
                f"preset {self.name}: the VAE makes {self.vae.channels} channels, the DiT takes "
                f"{self.dit.channels}; make them equal"
            )
        if self.text.dim != self.dit.text_dim or self.text.length != self.dit.text_len:
            raise ValueError(
                f"preset {self.name}: text encoder gives {self.text.length} x {self.text.dim}, the "
                f"DiT takes {self.dit.text_len} x {self.dit.text_dim}; make them equal"
            )

    @property
    def pixels_per_token(self) -> int:
        """Pixels a side of one DiT token: VAE 8 x patch 2."""
        return PIXELS_PER_LATENT * self.dit.patch

    @property
    def output_size(self) -> tuple[int, int]:
        """(width, height) of output frames: the preset's, times the scale of the guide."""
        return self.output_scale * self.width, self.output_scale * self.height

    @property
    def output_scale(self) -> int:
        """Pixels a side of an output frame for each pixel of the VAE's; 1 without a guide."""
        return 1 if self._guide is None else self._guide.scale

    @property
    def guided(self) -> bool:
        """Whether the decoder takes the coarse frames."""
        return self._guide is not None

    @property
    def _guide(self) -> GuideConfig | None:
        return self.vae.guide if isinstance(self.vae, TinyVAEConfig) else None

    @property
    def latent_size(self) -> tuple[int, int]:
        """(rows, columns) of a latent."""
        return self.height // PIXELS_PER_LATENT, self.width // PIXELS_PER_LATENT

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of DiT tokens, equal to DINO's patch grid."""
        return self.height // self.pixels_per_token, self.width // self.pixels_per_token

    @property
    def tokens_per_latent(self) -> int:
        """DiT tokens of one latent frame."""
        return self.grid[0] * self.grid[1]

    def check_size(self, width: int, height: int) -> None:
        """Raise `ValueError` unless `width` x `height` pixels divide into whole tokens."""
        step = self.pixels_per_token
        if width < step or height < step or width % step or height % step:
            near = [max(step, round(side / step) * step) for side in (width, height)]
            raise ValueError(
                f"frame size {width}x{height} is not a multiple of {step} pixels; "
                f"the nearest that is: {near[0]}x{near[1]}"
            )

    def chunk_frames(self, first: bool) -> int:
        """Pixel frames of one chunk: 1 + 4(n-1) for the first of a stream, 4n after it."""
        if not first:
            return FRAMES_PER_LATENT * self.stream.chunk
        latents = self.stream.first_chunk or self.stream.chunk
        return 1 + FRAMES_PER_LATENT * (latents - 1)


def latent_count(frames: int) -> int:
    """Latents of a clip of `frames` pixel frames; `ValueError` unless frames is 4n + 1."""
    if frames < 1 or (frames - 1) % FRAMES_PER_LATENT:
        below = max(1, (frames - 1) // FRAMES_PER_LATENT * FRAMES_PER_LATENT + 1)
        raise ValueError(
            f"a clip of {frames} frames does not divide into latents: it must have 4n + 1 frames, "
            f"for example {below} or {below + FRAMES_PER_LATENT}"
        )
    return 1 + (frames - 1) // FRAMES_PER_LATENT
