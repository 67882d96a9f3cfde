"""The tiny VAE: the published layout, a plain frame-by-frame reference, and a compiled decode.

That streaming equals whole is tested in `test_vae`, for both VAEs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from c2r.models.configs import TinyVAEConfig
from c2r.models.presets import PRESETS
from c2r.models.tiny_vae import MemBlock, TinyVAE, trim_tgrow

TAEHV = TinyVAEConfig(encoder_width=8, decoder_widths=(16, 12, 8, 8))
PATCHED = TinyVAEConfig(
    patch=2,
    encoder_width=8,
    encoder_time=(2, 2),
    decoder_widths=(16, 12, 8),
    decoder_time=(1, 4),
    blocks=2,
)

LINEAR = replace(PATCHED, linear=True)


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def small(config: TinyVAEConfig) -> TinyVAE:
    torch.manual_seed(0)
    vae = TinyVAE(config).eval().requires_grad_(False)
    for parameter in vae.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.05)
    return vae


class Reference:
    """The layers of one half on lists of single frames [B, c, H, W], from a state dict."""

    def __init__(self, weights: dict[str, Tensor], half: str) -> None:
        self.weights, self.half = weights, half

    def conv(self, frames: list[Tensor], name: str, stride: int = 1) -> list[Tensor]:
        weight = self.weights[f"{self.half}.{name}.weight"]
        bias = self.weights.get(f"{self.half}.{name}.bias")
        pad = weight.shape[-1] // 2
        return [F.conv2d(frame, weight, bias, stride, pad) for frame in frames]

    def mem_block(self, frames: list[Tensor], name: str) -> list[Tensor]:
        past = torch.zeros_like(frames[0])
        out = []
        for frame in frames:
            y = [torch.cat([frame, past], dim=1)]
            for i in (0, 2, 4):
                y = self.conv(y, f"{name}.conv.{i}")
                y = [y[0].relu()] if i < 4 else y
            out.append((y[0] + frame).relu())
            past = frame
        return out

    def pool(self, frames: list[Tensor], name: str, factor: int) -> list[Tensor]:
        groups = [frames[i : i + factor] for i in range(0, len(frames), factor)]
        return self.conv([torch.cat(group, dim=1) for group in groups], f"{name}.conv")

    def grow(self, frames: list[Tensor], name: str, factor: int) -> list[Tensor]:
        return [step for y in self.conv(frames, f"{name}.conv") for step in y.chunk(factor, dim=1)]


def reference_encode(vae: TinyVAE, frames: Tensor) -> Tensor:
    config, net = vae.config, Reference(vae.state_dict(), "encoder")
    steps = [frames[:, max(0, i)] for i in range(-3, frames.shape[1])]
    steps = [F.pixel_unshuffle(x, config.patch) for x in steps]
    steps = [x.relu() for x in net.conv(steps, "0")]
    position = 2
    for factor in config.encoder_time:
        steps = net.pool(steps, str(position), factor)
        steps = net.conv(steps, str(position + 1), stride=2)
        for i in range(config.blocks):
            steps = net.mem_block(steps, str(position + 2 + i))
        position += 2 + config.blocks
    latents = torch.stack(net.conv(steps, str(position)), dim=1)
    if config.linear:
        latents = latents + linear_latents(vae, frames)
    return latents


def pixels_of(latent: int, row: int, column: int) -> tuple[slice, slice, slice]:
    """Where a latent's pixels are, in a clip whose first frame stands four times."""
    return (
        slice(4 * latent, 4 * latent + 4),
        slice(8 * row, 8 * row + 8),
        slice(8 * column, 8 * column + 8),
    )


def linear_latents(vae: TinyVAE, frames: Tensor) -> Tensor:
    """Latent by latent, pixel by pixel: channel (frame, colour, row, column) of the matrix."""
    weights = vae.state_dict()
    whole = torch.cat([frames[:, :1].expand(-1, 3, -1, -1, -1), frames], dim=1)
    count, rows, columns = whole.shape[1] // 4, whole.shape[3] // 8, whole.shape[4] // 8
    made = torch.zeros(len(frames), count, vae.config.channels, rows, columns)
    for place in np.ndindex(count, rows, columns):
        time, up, right = pixels_of(*place)
        block = whole[:, time, :, up, right].flatten(1)
        found = block @ weights["encoder_linear.weight"].flatten(1).T
        made[:, place[0], :, place[1], place[2]] = found + weights["encoder_linear.bias"]
    return made


def linear_pixels(vae: TinyVAE, latents: Tensor) -> Tensor:
    """As `linear_latents`, back; the first frame stands four times."""
    weights, (size, count, _, rows, columns) = vae.state_dict(), latents.shape
    made = torch.zeros(size, 4 * count, 3, 8 * rows, 8 * columns)
    for place in np.ndindex(count, rows, columns):
        time, up, right = pixels_of(*place)
        given = latents[:, place[0], :, place[1], place[2]]
        found = given @ weights["decoder_linear.weight"].flatten(1).T
        found = found + weights["decoder_linear.bias"]
        made[:, time, :, up, right] = found.unflatten(1, (4, 3, 8, 8))
    return made


def reference_decode(vae: TinyVAE, latents: Tensor) -> Tensor:
    config, net = vae.config, Reference(vae.state_dict(), "decoder")
    steps = [3 * torch.tanh(x / 3) for x in latents.unbind(1)]
    steps = [x.relu() for x in net.conv(steps, "1")]
    position = 3
    for factor in config.decoder_time:
        for i in range(config.blocks):
            steps = net.mem_block(steps, str(position + i))
        position += config.blocks
        steps = [x.repeat_interleave(2, 2).repeat_interleave(2, 3) for x in steps]
        steps = net.grow(steps, str(position + 1), factor)
        steps = net.conv(steps, str(position + 2))
        position += 3
    steps = net.conv([x.relu() for x in steps], str(position + 1))
    frames = torch.stack([F.pixel_shuffle(x, config.patch) for x in steps], dim=1)
    if config.linear:
        frames = frames + linear_pixels(vae, latents)
    return frames[:, 3:].clamp(0, 1)


@pytest.mark.parametrize("config", [TAEHV, PATCHED, LINEAR])
def test_equals_frame_by_frame_reference(config: TinyVAEConfig) -> None:
    vae = small(config)
    frames = torch.rand(2, 37, 3, 16, 24)  # 10 latents: more than the VAE takes at once
    latents = vae.encode(frames)
    assert latents.shape == (2, 10, 16, 2, 3)
    assert_close(latents, reference_encode(vae, frames))
    decoded = vae.decode(torch.randn(2, 10, 16, 2, 3, generator=torch.Generator().manual_seed(4)))
    latents = torch.randn(2, 10, 16, 2, 3, generator=torch.Generator().manual_seed(4))
    assert decoded.shape == (2, 37, 3, 16, 24)
    assert 0.01 < decoded.std() < 0.5  # not saturated: the comparison says something
    assert_close(decoded, reference_decode(vae, latents))


def test_frames_are_clamped() -> None:
    vae = small(TAEHV)
    loud = dict(vae.state_dict())
    loud["decoder.22.bias"] = torch.tensor([99.0, 0.5, -99.0])
    vae.load_state_dict(loud)
    red, _, blue = vae.decode(torch.randn(1, 2, 16, 2, 3)).unbind(2)
    assert torch.equal(red, torch.ones_like(red))
    assert torch.equal(blue, torch.zeros_like(blue))


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Every name and shape of `taew2_1.pth`, from the family's layout written out by position."""
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(name: str, n_out: int, n_in: int, size: int = 3, bias: bool = True) -> None:
        shapes[f"{name}.weight"] = (n_out, n_in, size, size)
        if bias:
            shapes[f"{name}.bias"] = (n_out,)

    def mem_blocks(half: str, positions: tuple[int, ...], width: int) -> None:
        for position in positions:
            conv(f"{half}.{position}.conv.0", width, 2 * width)
            conv(f"{half}.{position}.conv.2", width, width)
            conv(f"{half}.{position}.conv.4", width, width)

    conv("encoder.0", 64, 3)
    for pool, fold in ((2, 128), (7, 128), (12, 64)):
        conv(f"encoder.{pool}.conv", 64, fold, size=1, bias=False)
        conv(f"encoder.{pool + 1}", 64, 64, bias=False)
        mem_blocks("encoder", (pool + 2, pool + 3, pool + 4), 64)
    conv("encoder.17", 16, 64)
    conv("decoder.1", 256, 16)
    mem_blocks("decoder", (3, 4, 5), 256)
    conv("decoder.7.conv", 256, 256, size=1, bias=False)
    conv("decoder.8", 128, 256, bias=False)
    mem_blocks("decoder", (9, 10, 11), 128)
    conv("decoder.13.conv", 256, 128, size=1, bias=False)
    conv("decoder.14", 64, 128, bias=False)
    mem_blocks("decoder", (15, 16, 17), 64)
    conv("decoder.19.conv", 128, 64, size=1, bias=False)
    conv("decoder.20", 64, 64, bias=False)
    conv("decoder.22", 3, 64)
    return shapes


def test_default_has_the_published_names_and_shapes() -> None:
    with torch.device("meta"):
        vae = TinyVAE(TinyVAEConfig())
    assert {k: tuple(v.shape) for k, v in vae.state_dict().items()} == published_shapes()
    assert sum(p.numel() for p in vae.decoder.parameters()) == pytest.approx(9.84e6, rel=1e-3)


def test_published_cost() -> None:
    with torch.device("meta"):
        vae, latents = TinyVAE(TinyVAEConfig()), torch.zeros(1, 3, 16, 60, 104)
        _, state = vae.decode_chunk(latents[:, :1], None)
        with FlopCounterMode(display=False) as counter:
            frames, _ = vae.decode_chunk(latents, state)
    assert frames.shape == (1, 12, 3, 480, 832)
    published, saved = 1.63, 0.05  # time grows before size does
    assert counter.get_total_flops() / 1e12 == pytest.approx(published - saved, rel=0.02)


def test_skip_is_a_convolution_where_the_width_changes() -> None:
    assert MemBlock(4, 6).state_dict()["skip.weight"].shape == (6, 4, 1, 1)
    assert not any(name.startswith("skip") for name in MemBlock(4, 4).state_dict())


def test_oversized_tgrow_keeps_its_last_outputs() -> None:
    vae = small(TAEHV)
    published = dict(vae.state_dict())
    weight = published["decoder.7.conv.weight"]  # one step of 16 channels
    published["decoder.7.conv.weight"] = torch.cat([torch.randn(48, 16, 1, 1), weight])
    with pytest.raises(RuntimeError, match=r"decoder\.7"):
        TinyVAE(TAEHV).load_state_dict(published)
    trimmed = trim_tgrow(published, vae)
    assert published["decoder.7.conv.weight"].shape[0] == 64  # the caller's dict is left alone
    loaded = TinyVAE(TAEHV)
    loaded.load_state_dict(trimmed)
    latents = torch.randn(1, 2, 16, 2, 2)
    assert torch.equal(loaded.decode(latents), vae.decode(latents))


def test_trim_leaves_the_rest_alone() -> None:
    vae = small(TAEHV)
    weights = dict(vae.state_dict())
    del weights["decoder.13.conv.weight"]
    weights["encoder.0.weight"] = torch.ones(9, 3, 3, 3)
    trimmed = trim_tgrow(weights, vae)
    assert trimmed.keys() == weights.keys()
    assert all(torch.equal(trimmed[name], weights[name]) for name in weights)


def test_decode_compiles_as_one_graph() -> None:
    torch._dynamo.reset()
    vae = small(replace(PATCHED, blocks=1))
    latents = torch.randn(1, 6, 16, 2, 3)
    _, state = vae.decode_chunk(latents[:, :2], None)
    compiled = torch.compile(vae.decode_chunk, fullgraph=True, backend="aot_eager", dynamic=False)
    for part in latents[:, 2:].split(2, dim=1):
        frames, after = vae.decode_chunk(part, state)
        compiled_frames, compiled_after = compiled(part, state)
        assert_close(compiled_frames, frames)
        for a, b in zip(compiled_after.past, after.past, strict=True):
            assert_close(a, b)
        state = after


def test_state_holds_one_past_step_a_block() -> None:
    vae = small(TAEHV)
    _, state = vae.decode_chunk(torch.randn(2, 3, 16, 2, 3), None)
    assert [tuple(t.shape) for t in state.past] == [
        *[(2, 16, 2, 3)] * 3,
        *[(2, 12, 4, 6)] * 3,
        *[(2, 8, 8, 12)] * 3,
    ]
    # Not views: a view would hold on to the activation of the whole chunk.
    assert all(t.untyped_storage().nbytes() == t.nbytes for t in state.past)


def test_gradient_reaches_every_weight() -> None:
    torch.manual_seed(5)
    vae = TinyVAE(PATCHED)
    frames = torch.rand(1, 9, 3, 16, 16)
    (vae.decode(vae.encode(frames)) - frames).square().mean().backward()
    silent = [name for name, p in vae.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"patch": 2}, "encoder: patch 2 and 3 stages change the size by 16, not 8"),
        ({"encoder_time": (2, 2)}, "encoder: patch 1 and 2 stages change the size by 4, not 8"),
        ({"encoder_time": (2, 1, 1)}, "encoder_time .* must multiply to 4, not 2"),
        ({"decoder_time": (2, 2, 2)}, "decoder_time .* must multiply to 4, not 8"),
        ({"decoder_widths": (8, 8, 8)}, "one entry more than decoder_time"),
    ],
)
def test_refuses_other_factors(change: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        TinyVAE(replace(TAEHV, **change))  # type: ignore[arg-type]


def test_every_preset_builds() -> None:
    configs = [p.vae for p in PRESETS.values() if isinstance(p.vae, TinyVAEConfig)]
    assert configs
    for config in configs:
        with torch.device("meta"):
            vae = TinyVAE(config)
            assert vae.decode(torch.zeros(1, 2, 16, 2, 3)).shape == (1, 5, 3, 16, 24)
            assert vae.encode(torch.zeros(1, 5, 3, 16, 24)).shape == (1, 2, 16, 2, 3)
