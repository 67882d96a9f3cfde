"""The video VAE: one interface for both, what both refuse, and the Wan 2.1 VAE behind it.

The tiny one is in `tiny_vae`. This module does not know where weights come from, nor who keeps a
stream's state. `diffusers` is imported when a `WanVAE` is made from a config, not before.

B batch, F pixel frames, T latent frames, C latent channels, H W pixel rows and columns,
h w latent rows and columns (H / 8, W / 8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from einops import rearrange
from torch import Tensor, nn

from c2r.models.configs import FRAMES_PER_LATENT, PIXELS_PER_LATENT, WanVAEConfig, latent_count

if TYPE_CHECKING:
    from diffusers import AutoencoderKLWan

NO_GUIDE = (
    "this VAE takes no guide; choose a renderer whose preset has vae.guide, or leave the coarse "
    "frames out"
)
TEMPORAL_DOWN = (False, True, True)  # which of Wan 2.1's three reductions also halve the rate


@dataclass(frozen=True)
class VAEState:
    """The carried state of one direction of one stream: a tensor for each layer with memory.

    Encoder and decoder have separate states. The tensors are never written in place, so the same
    state can be used again and gives the same result.
    """

    past: tuple[Tensor, ...]


class VideoVAE(Protocol):
    """Causal video VAE, 4 x 8 x 8. Latents are in the normalised Wan space.

    Frames are RGB floats in [0, 1]. Input is cast to the type of the weights; output has that type.
    Each method raises `ValueError` for a shape or type it cannot take.
    """

    def encode(self, frames: Tensor) -> Tensor:
        """Frames [B, F, 3, H, W] of a whole clip, F = 4n + 1 -> latents [B, n + 1, C, h, w]."""
        ...

    def decode(
        self,
        latents: Tensor,
        guide: Tensor | None = None,
        strength: Tensor | float | None = None,
    ) -> Tensor:
        """Latents [B, T, C, h, w] of a whole clip -> frames [B, 1 + 4(T-1), 3, H, W].

        `guide`, `strength`: coarse frames for a VAE that takes them (`TinyVAE`).
        """
        ...

    def encode_chunk(self, frames: Tensor, state: VAEState | None) -> tuple[Tensor, VAEState]:
        """Part of a stream -> its latents and the next state; `None` starts the stream.

        The first chunk has 4k + 1 frames and gives k + 1 latents, a later one 4k and k.
        """
        ...

    def decode_chunk(
        self,
        latents: Tensor,
        state: VAEState | None,
        guide: Tensor | None = None,
        strength: Tensor | float | None = None,
    ) -> tuple[Tensor, VAEState]:
        """Part of a stream -> its frames and the next state; `None` starts the stream.

        The first chunk of T latents gives 1 + 4(T-1) frames, a later one 4T.
        """
        ...


def check_frames(frames: Tensor, *, first: bool) -> None:
    """Raise `ValueError` unless a VAE can encode `frames` [B, F, 3, H, W].

    `first`: they start a stream (or are a whole clip), so F is 4n + 1; otherwise it is 4n.
    """
    if frames.dtype == torch.uint8:
        raise ValueError("frames are uint8; the VAE takes floats in [0, 1], so divide by 255")
    if not frames.is_floating_point():
        raise ValueError(f"frames are {frames.dtype}; the VAE takes floats in [0, 1]")
    if frames.ndim != 5 or frames.shape[2] != 3:
        raise ValueError(f"frames are {tuple(frames.shape)}; the VAE takes [B, F, 3, H, W]")
    count, height, width = frames.shape[1], *frames.shape[3:]
    if any(side < PIXELS_PER_LATENT or side % PIXELS_PER_LATENT for side in (height, width)):
        raise ValueError(
            f"frames of {width}x{height} do not divide into latents: width and height must be "
            f"multiples of {PIXELS_PER_LATENT}; crop or resize them"
        )
    if first:
        latent_count(count)
    elif count < FRAMES_PER_LATENT or count % FRAMES_PER_LATENT:
        raise ValueError(
            f"a later chunk of a stream must have 4n frames, not {count} (only the first chunk "
            "has 4n + 1; pass state None to start a stream)"
        )


def check_latents(latents: Tensor, channels: int) -> None:
    """Raise `ValueError` unless `latents` is a float tensor [B, T, `channels`, h, w], T >= 1."""
    if latents.ndim != 5 or latents.shape[2] != channels or latents.shape[1] < 1:
        raise ValueError(
            f"latents are {tuple(latents.shape)}; "
            f"this VAE takes [B, T, {channels}, h, w] with T >= 1"
        )
    if not latents.is_floating_point():
        raise ValueError(f"latents are {latents.dtype}; the VAE takes floats")


class WanVAE(nn.Module):
    """The Wan 2.1 VAE of `diffusers`, as `VideoVAE`.

    `source`: a config gives new weights of those shapes (also under `torch.device("meta")`); an
    `AutoencoderKLWan` is used as it is. The network is `self.model`. A latent is the mean of its
    posterior, `(z - latents_mean) / latents_std`. `ValueError` for any VAE that is not 4 x 8 x 8.
    """

    latents_mean: Tensor
    latents_std: Tensor

    def __init__(self, source: WanVAEConfig | AutoencoderKLWan) -> None:
        super().__init__()
        self.model: Any = build_wan_model(source) if isinstance(source, WanVAEConfig) else source
        check_wan_config(self.model.config)
        # Constants of the config, not of the state dict: they need values even on meta.
        device = "cpu" if self.model.device.type == "meta" else self.model.device
        for name in ("latents_mean", "latents_std"):
            values = torch.tensor(self.model.config[name], dtype=torch.float32, device=device)
            self.register_buffer(name, rearrange(values, "c -> c 1 1"), persistent=False)

    def encode(self, frames: Tensor) -> Tensor:
        return self.encode_chunk(frames, None)[0]

    def decode(
        self,
        latents: Tensor,
        guide: Tensor | None = None,
        strength: Tensor | float | None = None,
    ) -> Tensor:
        return self.decode_chunk(latents, None, guide, strength)[0]

    def encode_chunk(self, frames: Tensor, state: VAEState | None) -> tuple[Tensor, VAEState]:
        check_frames(frames, first=state is None)
        pixels = rearrange(frames.to(self.model.dtype) * 2 - 1, "b f c h w -> b c f h w")
        sizes = [1] * (state is None) + [FRAMES_PER_LATENT] * (pixels.shape[2] // FRAMES_PER_LATENT)
        moments, state = _run(self.model.encoder, pixels.split(sizes, dim=2), state)
        mean = self.model.quant_conv(moments).chunk(2, dim=1)[0]
        latents = rearrange(mean, "b c t h w -> b t c h w")
        return (latents - self.latents_mean.to(latents)) / self.latents_std.to(latents), state

    def decode_chunk(
        self,
        latents: Tensor,
        state: VAEState | None,
        guide: Tensor | None = None,
        strength: Tensor | float | None = None,
    ) -> tuple[Tensor, VAEState]:
        check_latents(latents, len(self.latents_mean))
        if guide is not None:
            raise ValueError(NO_GUIDE)
        latents = latents.to(self.model.dtype)
        latents = latents * self.latents_std.to(latents) + self.latents_mean.to(latents)
        z = self.model.post_quant_conv(rearrange(latents, "b t c h w -> b c t h w"))
        pixels, state = _run(self.model.decoder, z.split(1, dim=2), state)
        return rearrange(pixels.clamp(-1, 1) / 2 + 0.5, "b c f h w -> b f c h w"), state


def build_wan_model(config: WanVAEConfig) -> AutoencoderKLWan:
    """A new `AutoencoderKLWan` of that shape, randomly initialised."""
    check_factors(config.dim_mult, TEMPORAL_DOWN)
    from diffusers import AutoencoderKLWan  # takes 2-3 s, which the tiny VAE does not need

    return AutoencoderKLWan(
        base_dim=config.base_dim,
        z_dim=config.channels,
        dim_mult=list(config.dim_mult),
        num_res_blocks=config.res_blocks,
        temperal_downsample=list(TEMPORAL_DOWN),
    )


def check_wan_config(config: Any) -> None:
    """Raise `ValueError` unless a diffusers VAE config is of the Wan 2.1 kind."""
    if config.get("patch_size") is not None or config.get("is_residual"):
        raise ValueError("this is the Wan 2.2 VAE (4 x 16 x 16); use the one of Wan 2.1")
    check_factors(config["dim_mult"], config["temperal_downsample"])
    for name in ("latents_mean", "latents_std"):
        if len(config[name]) != config["z_dim"]:
            raise ValueError(
                f"{len(config[name])} {name} for {config['z_dim']} latent channels; give one for "
                "each channel (Wan 2.1 has 16)"
            )


def check_factors(dim_mult: Sequence[int], temporal_down: Sequence[bool]) -> None:
    """Raise `ValueError` unless these levels change the size by 8 and the rate by 4."""
    factors = (2 ** sum(temporal_down), 2 ** (len(dim_mult) - 1))
    if factors != (FRAMES_PER_LATENT, PIXELS_PER_LATENT) or len(temporal_down) != len(dim_mult) - 1:
        raise ValueError(
            f"dim_mult {tuple(dim_mult)} with temporal downsampling {tuple(temporal_down)} does "
            "not make a VAE of 4 x 8 x 8; use four levels, for example (1, 2, 4, 4)"
        )


def _run(
    network: nn.Module, parts: Sequence[Tensor], state: VAEState | None
) -> tuple[Tensor, VAEState]:
    """Feed parts [B, c, f, H, W], one latent's worth each, to diffusers' encoder or decoder.

    The network replaces the entries of the list it is given, never the tensors in it.
    """
    convolutions = sum(isinstance(module, nn.Conv3d) for module in network.modules())
    memory: list[Any] = [None] * convolutions if state is None else list(state.past)
    outputs = []
    for part in parts:
        position = [0]
        outputs.append(network(part, feat_cache=memory, feat_idx=position))
        memory = _tensors(memory[: position[0]])
    return torch.cat(outputs, dim=2), VAEState(tuple(memory))


def _tensors(memory: list[Any]) -> list[Tensor]:
    """Replace diffusers' "Rep" marks by what they stand for: two past inputs of zeros.

    An upsampler leaves the mark after the first latent, which it does not double in time. Its input
    has the shape of the input of the convolution before it.
    """
    for i, entry in enumerate(memory):
        if isinstance(entry, str):
            b, c, _, h, w = memory[i - 1].shape
            memory[i] = memory[i - 1].new_zeros(b, c, 2, h, w)
    return memory
