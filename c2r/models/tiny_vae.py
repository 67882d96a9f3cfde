"""The tiny causal VAE: the TAEHV family (`taew2_1.pth` loads with `TinyVAEConfig()`).

Convolutions see one frame at a time; time is crossed only by `MemBlock`, which also sees the step
before, and by folding steps into channels (`TPool`) and back (`TGrow`). So a stream needs one past
activation for each `MemBlock`. This module does not know where weights come from.

B batch, F pixel frames, T latent frames, t time steps inside the network, c channels,
H W rows and columns at any level. Inside, time is folded into the batch: [B*t, c, H, W].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from c2r.models.configs import FRAMES_PER_LATENT, PIXELS_PER_LATENT, TinyVAEConfig
from c2r.models.convolutions import conv3, laid_out, last_step, step_before
from c2r.models.guide import DecoderGuide, GuideFeatures, Past, check_guide, strengths
from c2r.models.limit import limited
from c2r.models.unet_decoder import UNetDecoder
from c2r.models.vae import NO_GUIDE, VAEState, check_frames, check_latents

FOLDED = 3 * FRAMES_PER_LATENT * PIXELS_PER_LATENT**2
LATENTS_AT_ONCE = 8  # of a whole clip; bounds the memory of its full-size activations


class MemBlock(nn.Module):
    """Residual block on a step and the step before it."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            conv3(2 * n_in, n_out), nn.ReLU(), conv3(n_out, n_out), nn.ReLU(), conv3(n_out, n_out)
        )
        self.skip = nn.Identity() if n_in == n_out else nn.Conv2d(n_in, n_out, 1, bias=False)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """x [B*t, c, H, W], past [B, c, H, W] -> output [B*t, c', H, W], the last step of x."""
        y = self.conv(torch.cat([x, step_before(x, past)], dim=1))
        return F.relu(y + self.skip(x)), last_step(x, len(past))


class TPool(nn.Module):
    """Joins `factor` steps into one: [B*t, c, H, W] -> [B*t/factor, c, H, W]."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.conv = nn.Conv2d(channels * factor, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Earlier steps come first among the joined channels."""
        joined: Tensor = self.conv(rearrange(x, "(n s) c h w -> n (s c) h w", s=self.factor))
        return joined


class TGrow(nn.Module):
    """Makes `factor` steps of one: [B*t, c, H, W] -> [B*t*factor, c, H, W]."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.conv = nn.Conv2d(channels, channels * factor, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Earlier steps come from the first channels."""
        return rearrange(self.conv(x), "n (s c) h w -> (n s) c h w", s=self.factor)


class SoftClamp(nn.Module):
    """Limits latents to (-3, 3): `3 tanh(x / 3)`."""

    def forward(self, x: Tensor) -> Tensor:
        return 3 * torch.tanh(x / 3)


def repeat_first_frame(frames: Tensor) -> Tensor:
    """A clip's frames [B, 1 + 4(T-1), 3, H, W] -> [B, 4T, 3, H, W], the first one four times."""
    return torch.cat([frames[:, :1].expand(-1, FRAMES_PER_LATENT - 1, -1, -1, -1), frames], dim=1)


def folded(frames: Tensor) -> Tensor:
    """The pixels of each latent as channels: [B, 4T, 3, H, W] -> [B*T, 768, H/8, W/8]."""
    flat = F.pixel_unshuffle(frames.flatten(0, 1), PIXELS_PER_LATENT)
    return rearrange(flat, "(n f) c h w -> n (f c) h w", f=FRAMES_PER_LATENT)


def unfolded(channels: Tensor) -> Tensor:
    """The inverse of `folded`, with time in the batch: [B*T, 768, h, w] -> [B*4T, 3, 8h, 8w]."""
    flat = rearrange(channels, "n (f c) h w -> (n f) c h w", f=FRAMES_PER_LATENT)
    return F.pixel_shuffle(flat, PIXELS_PER_LATENT)


class TinyVAE(nn.Module):
    """TAEHV as `VideoVAE`; state-dict names are those of the published checkpoints.

    Latent j ends at frame 4j, as in Wan: an encoded stream starts with its first frame repeated
    three times in front, where the upstream tool repeats the last frame of a clip at its end; a
    decoded one drops its first three frames. `ValueError` unless the config makes 4 x 8 x 8.

    With `config.guide`, decoding takes the engine's coarse frames `guide` [B, F, 3, scale*8h,
    scale*8w], floats in [0, 1], one for each frame that comes out, and `strength`, a number or [B],
    limited to [0, 1], which multiplies what they add (1 by default). Frames then have the guide's
    size. Of form `added`, frames without a guide or at strength 0 are the decoder's own, resized,
    and a chunk without one leaves no memory of earlier ones; of form `unet` see `UNetDecoder`.
    """

    def __init__(self, config: TinyVAEConfig) -> None:
        super().__init__()
        check_config(config)
        self.config = config
        self.encoder = build_encoder(config)
        self.decoder = build_decoder(config)
        self.encoder_linear = self.decoder_linear = None
        if config.linear:
            self.encoder_linear = nn.Conv2d(FOLDED, config.channels, 1)
            self.decoder_linear = nn.Conv2d(config.channels, FOLDED, 1)
        self.guide: DecoderGuide | UNetDecoder | None = None
        if config.guide is not None and config.guide.form == "unet":
            self.guide = UNetDecoder(config.guide, config.channels)
        elif config.guide is not None:
            self.guide = DecoderGuide(config.guide, config)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return next(self.parameters()).dtype

    def encode(self, frames: Tensor) -> Tensor:
        check_frames(frames, first=True)
        step = FRAMES_PER_LATENT * LATENTS_AT_ONCE
        starts = [0, *range(step - FRAMES_PER_LATENT + 1, frames.shape[1], step)]
        latents, state = [], None
        for start, end in zip(starts, [*starts[1:], frames.shape[1]], strict=True):
            part, state = self.encode_chunk(frames[:, start:end], state)
            latents.append(part)
        return torch.cat(latents, dim=1)

    def decode(
        self,
        latents: Tensor,
        guide: Tensor | None = None,
        strength: Tensor | float | None = None,
    ) -> Tensor:
        check_latents(latents, self.config.channels)
        self._check_guide(guide, latents, first=True)
        frames: list[Tensor] = []
        state, at = None, 0
        for chunk in latents.split(LATENTS_AT_ONCE, dim=1):
            count = FRAMES_PER_LATENT * chunk.shape[1] - (0 if at else FRAMES_PER_LATENT - 1)
            shown = None if guide is None else guide[:, at : at + count]
            part, state = self.decode_chunk(chunk, state, shown, strength)
            frames.append(part)
            at += count
        return torch.cat(frames, dim=1)

    def encode_chunk(self, frames: Tensor, state: VAEState | None) -> tuple[Tensor, VAEState]:
        check_frames(frames, first=state is None)
        if state is None:
            frames = repeat_first_frame(frames)
        frames = frames.to(self.dtype)
        x = F.pixel_unshuffle(frames.flatten(0, 1), self.config.patch)
        x, past = _run(list(self.encoder), x, len(frames), None if state is None else state.past)
        if self.encoder_linear is not None:
            x = x + self.encoder_linear(folded(frames))
        return rearrange(x, "(b t) c h w -> b t c h w", b=len(frames)), VAEState(past)

    def decode_chunk(
        self,
        latents: Tensor,
        state: VAEState | None,
        guide: Tensor | None = None,
        strength: Tensor | float | None = None,
    ) -> tuple[Tensor, VAEState]:
        check_latents(latents, self.config.channels)
        self._check_guide(guide, latents, first=state is None)
        drop = FRAMES_PER_LATENT - 1 if state is None else 0
        latents = latents.to(self.dtype)
        if guide is not None:
            guide = (repeat_first_frame(guide) if state is None else guide).to(self.dtype)
        if isinstance(self.guide, UNetDecoder):
            before = self.guide.no_past(latents) if state is None else state.past
            frames, kept = self.guide(latents, guide, strengths(strength, latents), before)
            return _clips(frames, len(latents))[:, drop:], VAEState(kept)
        past = None if state is None else state.past[: _memories(list(self.decoder))]
        features = None
        if self.guide is not None and guide is not None:
            features = self.guide.encode(
                guide,
                strengths(strength, latents),
                self.guide.no_past(latents) if state is None else state.past[len(past or ()) :],
            )
        frames, kept = self._decode_guided(latents, past, features)
        return _clips(frames, len(latents))[:, drop:], VAEState(kept)

    def _decode_guided(
        self, latents: Tensor, past: Past | None, features: GuideFeatures | None
    ) -> tuple[Tensor, Past]:
        """Latents [B, T, C, h, w] -> frames [B*4T, 3, H, W], not limited, and all memory."""
        flat = latents.flatten(0, 1)
        added = {}
        assert not isinstance(self.guide, UNetDecoder), "it stands in the decoder's place"
        if self.guide is not None and features is not None:
            added = dict(
                zip(stage_entries(self.decoder), self.guide.additions(features), strict=True)
            )
        x, kept = _run(list(self.decoder)[:-1], flat, len(latents), past, added)
        frames = F.pixel_shuffle(self.decoder[-1](laid_out(x)), self.config.patch)
        if self.decoder_linear is not None:
            frames = frames + unfolded(self.decoder_linear(flat))
        if self.guide is None:
            return frames, kept
        if features is None:
            return self.guide.resize(frames), (*kept, *self.guide.no_past(latents))
        frames, memory = self.guide.finish(frames, x, features)
        return frames, (*kept, *memory)

    def _check_guide(self, guide: Tensor | None, latents: Tensor, first: bool) -> None:
        if guide is None:
            return
        if self.config.guide is None:
            raise ValueError(NO_GUIDE)
        frames = FRAMES_PER_LATENT * latents.shape[1] - (FRAMES_PER_LATENT - 1 if first else 0)
        check_guide(guide, latents, frames, self.config.guide.scale)


def _clips(frames: Tensor, batch: int) -> Tensor:
    """Frames [B*F, 3, H, W] as limited clips [B, F, 3, H, W]."""
    return rearrange(limited(frames), "(b f) c h w -> b f c h w", b=batch)


def check_config(config: TinyVAEConfig) -> None:
    """Raise `ValueError` unless both halves change the size by 8 and the rate by 4."""
    if len(config.decoder_widths) != len(config.decoder_time) + 1:
        raise ValueError(
            f"decoder_widths {config.decoder_widths} must have one entry more than decoder_time "
            f"{config.decoder_time}: one for each stage and one for the last convolution"
        )
    for name, times in (("encoder", config.encoder_time), ("decoder", config.decoder_time)):
        if config.patch * 2 ** len(times) != PIXELS_PER_LATENT:
            raise ValueError(
                f"{name}: patch {config.patch} and {len(times)} stages change the size by "
                f"{config.patch * 2 ** len(times)}, not 8; use patch 1 with 3 stages or 2 with 2"
            )
        if prod(times) != FRAMES_PER_LATENT:
            raise ValueError(f"{name}_time {times} must multiply to 4, not {prod(times)}")


def build_encoder(config: TinyVAEConfig) -> nn.Sequential:
    """[B*F, 3 patch^2, H/patch, W/patch] -> [B*T, C, H/8, W/8]; positions are checkpoint names."""
    width = config.encoder_width
    layers: list[nn.Module] = [conv3(3 * config.patch**2, width), nn.ReLU()]
    for time in config.encoder_time:
        layers += [TPool(width, time), conv3(width, width, stride=2, bias=False)]
        layers += [MemBlock(width, width) for _ in range(config.blocks)]
    return nn.Sequential(*layers, conv3(width, config.channels))


def build_decoder(config: TinyVAEConfig) -> nn.Sequential:
    """[B*T, C, H/8, W/8] -> [B*4T, 3 patch^2, H/patch, W/patch]; positions are checkpoint names."""
    widths = config.decoder_widths
    layers: list[nn.Module] = [SoftClamp(), conv3(config.channels, widths[0]), nn.ReLU()]
    for width, after, time in zip(widths[:-1], widths[1:], config.decoder_time, strict=True):
        layers += [MemBlock(width, width) for _ in range(config.blocks)]
        layers += [nn.Upsample(scale_factor=2), TGrow(width, time)]
        layers += [conv3(width, after, bias=False)]
    last = conv3(widths[-1], 3 * config.patch**2)
    # New weights start at mid grey, inside the limits of frames.
    assert last.bias is not None
    nn.init.constant_(last.bias, 0.5)
    return nn.Sequential(*layers, nn.ReLU(), last)


def trim_tgrow(state_dict: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The state dict with each `TGrow` weight cut to its last outputs, as many as `model` has.

    Published checkpoints were trained with more steps than they are used with; the last ones count.
    Other tensors pass as they are, missing ones stay missing.
    """
    trimmed = dict(state_dict)
    for name, module in model.named_modules():
        key = f"{name}.conv.weight"
        if isinstance(module, TGrow) and key in trimmed:
            trimmed[key] = trimmed[key][-module.conv.out_channels :]
    return trimmed


def stage_entries(decoder: nn.Sequential) -> list[int]:
    """Positions whose outputs enter the decoder's stages, and that of the last stage's output."""
    grown = [i for i in range(1, len(decoder)) if isinstance(decoder[i - 1], TGrow)]
    return [2, *grown]


def _memories(layers: Sequence[nn.Module]) -> int:
    """How many activations a stream keeps for these layers."""
    return sum(isinstance(layer, MemBlock) for layer in layers)


def _in_order(layers: Sequence[nn.Module]) -> Iterator[tuple[int, nn.Module]]:
    """Positions and layers, but time grows before size does: a quarter of the work.

    The numbers are the same: `TGrow` looks at one pixel at a time, and `Upsample` repeats pixels.
    """
    waiting: tuple[int, nn.Module] | None = None
    for position, layer in enumerate(layers):
        if isinstance(layer, nn.Upsample):
            assert waiting is None
            waiting = position, layer
            continue
        yield position, layer
        if waiting is not None:
            assert isinstance(layer, TGrow), "growth in size comes right before growth in time"
            yield waiting
            waiting = None


def _run(
    layers: Sequence[nn.Module],
    x: Tensor,
    batch: int,
    past: Past | None,
    added: Mapping[int, Tensor] | None = None,
) -> tuple[Tensor, Past]:
    """Run x [B*t, c, H, W] through the layers, giving each `MemBlock` its past and keeping it.

    `added`: what is added to the outputs of the layers at these positions.
    """
    assert past is None or len(past) == _memories(layers), "the state of another network"
    recent: list[Tensor] = []
    for position, layer in _in_order(layers):
        x = laid_out(x)
        if isinstance(layer, MemBlock):
            before = x.new_zeros(batch, *x.shape[1:]) if past is None else past[len(recent)]
            x, last = layer(x, before)
            recent.append(last)
        else:
            x = layer(x)
        if added and position in added:
            x = x + added[position]
    return x, tuple(recent)
