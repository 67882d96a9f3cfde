"""What both VAEs promise (streaming equals whole, plain refusals), and the Wan VAE alone.

B batch, F pixel frames, T latent frames, H W pixel rows and columns.
"""

from __future__ import annotations

import copy
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from diffusers import AutoencoderKLWan
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from c2r.models.configs import TinyVAEConfig, WanVAEConfig
from c2r.models.tiny_vae import TinyVAE
from c2r.models.vae import VAEState, VideoVAE, WanVAE

SMALL = WanVAEConfig(base_dim=8, res_blocks=1)
LATENTS = 10  # more than the tiny VAE takes at once
FRAMES = 1 + 4 * (LATENTS - 1)


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def randomised(module: nn.Module) -> None:
    """New norms are all ones and new biases small: make every parameter count."""
    module.eval().requires_grad_(False)
    for parameter in module.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.1)


@pytest.fixture(scope="module")
def wan() -> WanVAE:
    torch.manual_seed(0)
    vae = WanVAE(SMALL)
    randomised(vae)
    return vae


@pytest.fixture(scope="module", params=["wan", "taehv", "tiny", "linear"])
def vae(request: pytest.FixtureRequest) -> VideoVAE:
    if request.param == "wan":
        wan: WanVAE = request.getfixturevalue("wan")
        return wan
    torch.manual_seed(0)
    config = TinyVAEConfig(encoder_width=8, decoder_widths=(16, 12, 8, 8), blocks=2)
    if request.param in ("tiny", "linear"):
        config = replace(
            config,
            patch=2,
            decoder_widths=(16, 12, 8),
            encoder_time=(2, 2),
            decoder_time=(2, 2),
            linear=request.param == "linear",
        )
    tiny = TinyVAE(config)
    randomised(tiny)
    return tiny


@pytest.fixture
def frames() -> Tensor:
    return torch.rand(2, FRAMES, 3, 16, 24, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def latents() -> Tensor:
    return torch.randn(2, LATENTS, 16, 2, 3, generator=torch.Generator().manual_seed(2))


def encode_in(vae: VideoVAE, frames: Tensor, chunks: tuple[int, ...]) -> Tensor:
    """Encode in chunks of so many latents."""
    parts: list[Tensor] = []
    state: VAEState | None = None
    sizes = [4 * n - (3 if i == 0 else 0) for i, n in enumerate(chunks)]
    for part in frames.split(sizes, dim=1):
        latents, state = vae.encode_chunk(part, state)
        parts.append(latents)
    assert [part.shape[1] for part in parts] == list(chunks)
    return torch.cat(parts, dim=1)


def decode_in(vae: VideoVAE, latents: Tensor, chunks: tuple[int, ...]) -> Tensor:
    """Decode in chunks of so many latents."""
    parts: list[Tensor] = []
    state: VAEState | None = None
    for part in latents.split(chunks, dim=1):
        frames, state = vae.decode_chunk(part, state)
        parts.append(frames)
    assert [part.shape[1] for part in parts] == [
        4 * n - (3 if i == 0 else 0) for i, n in enumerate(chunks)
    ]
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("chunks", [(1,) * 10, (2,) * 5, (3, 3, 3, 1), (7, 3), (1, 4, 2, 3)])
def test_streaming_equals_whole(
    vae: VideoVAE, frames: Tensor, latents: Tensor, chunks: tuple[int, ...]
) -> None:
    assert_close(encode_in(vae, frames, chunks), vae.encode(frames))
    assert_close(decode_in(vae, latents, chunks), vae.decode(latents))


def test_encode_equals_diffusers(wan: WanVAE, frames: Tensor) -> None:
    posterior = wan.model.encode(frames.transpose(1, 2) * 2 - 1).latent_dist
    config = wan.model.config
    mean, std = (
        torch.tensor(config[name]).view(1, 16, 1, 1, 1) for name in ("latents_mean", "latents_std")
    )
    expected = ((posterior.mode() - mean) / std).transpose(1, 2)
    assert expected.shape == (2, LATENTS, 16, 2, 3)
    assert_close(wan.encode(frames), expected)


def test_decode_equals_diffusers(wan: WanVAE, latents: Tensor) -> None:
    config = wan.model.config
    mean, std = (
        torch.tensor(config[name]).view(1, 16, 1, 1, 1) for name in ("latents_mean", "latents_std")
    )
    expected = wan.model.decode(latents.transpose(1, 2) * std + mean).sample.transpose(1, 2)
    decoded = wan.decode(latents)
    assert decoded.shape == (2, FRAMES, 3, 16, 24)
    assert decoded.min() >= 0
    assert decoded.max() <= 1
    assert decoded.std() > 0.01  # not saturated: the comparison says something
    assert_close(decoded, expected / 2 + 0.5)


def test_frames_are_clamped(wan: WanVAE, latents: Tensor) -> None:
    loud = copy.deepcopy(wan)
    loud.model.decoder.conv_out.bias.copy_(torch.tensor([99.0, 0.0, -99.0]))
    red, _, blue = loud.decode(latents[:, :2]).unbind(2)
    assert torch.equal(red, torch.ones_like(red))
    assert torch.equal(blue, torch.zeros_like(blue))


@pytest.mark.parametrize("warm", [1, 2, 3])
def test_state_is_reusable_and_untouched(
    vae: VideoVAE, frames: Tensor, latents: Tensor, warm: int
) -> None:
    _, encoding = vae.encode_chunk(frames[:, : 4 * warm - 3], None)
    _, decoding = vae.decode_chunk(latents[:, :warm], None)
    before = [t.clone() for t in (*encoding.past, *decoding.past)]
    rest = frames[:, 4 * warm - 3 :]
    once = vae.encode_chunk(rest, encoding)[0], vae.decode_chunk(latents[:, warm:], decoding)[0]
    again = vae.encode_chunk(rest, encoding)[0], vae.decode_chunk(latents[:, warm:], decoding)[0]
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    after = (*encoding.past, *decoding.past)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_state_is_tensors_of_constant_shape_once_warm(vae: VideoVAE, latents: Tensor) -> None:
    _, first = vae.decode_chunk(latents[:, :1], None)
    assert all(isinstance(t, Tensor) for t in first.past)
    _, warm = vae.decode_chunk(latents[:, :2], None)
    _, warmer = vae.decode_chunk(latents[:, 2:], warm)
    assert [t.shape for t in warm.past] == [t.shape for t in warmer.past]


def test_later_frames_leave_earlier_latents(vae: VideoVAE, frames: Tensor, latents: Tensor) -> None:
    changed = frames.clone()
    changed[:, 9:] = 1 - changed[:, 9:]  # frame 9 is the first of latent 3
    old, new = vae.encode(frames), vae.encode(changed)
    assert torch.equal(old[:, :3], new[:, :3])
    assert not torch.allclose(old[:, 3], new[:, 3], atol=1e-3)

    other = latents.clone()
    other[:, 3:] += 1
    old, new = vae.decode(latents), vae.decode(other)
    assert torch.equal(old[:, :9], new[:, :9])
    assert not torch.allclose(old[:, 9:13], new[:, 9:13], atol=1e-3)


def test_output_follows_the_type_of_the_weights(frames: Tensor, latents: Tensor) -> None:
    vae = WanVAE(SMALL).requires_grad_(False).to(torch.bfloat16)
    assert vae.encode(frames[:, :1]).dtype == torch.bfloat16
    assert vae.decode(latents[:, :1]).dtype == torch.bfloat16


def test_published_size_and_cost() -> None:
    with torch.device("meta"):
        vae = WanVAE(WanVAEConfig())
        latents = torch.zeros(1, 3, 16, 60, 104)
        _, state = vae.decode_chunk(latents[:, :1], None)
        with FlopCounterMode(display=False) as decode:
            frames, _ = vae.decode_chunk(latents, state)
        _, state = vae.encode_chunk(frames[:, :1], None)
        with FlopCounterMode(display=False) as encode:
            vae.encode_chunk(frames, state)
    assert frames.shape == (1, 12, 3, 480, 832)
    assert decode.get_total_flops() / 1e12 == pytest.approx(40.65, rel=0.03)
    assert encode.get_total_flops() / 1e12 == pytest.approx(24.15, rel=0.03)
    assert sum(p.numel() for p in vae.model.decoder.parameters()) == pytest.approx(73.3e6, rel=1e-3)
    assert sum(p.numel() for p in vae.model.encoder.parameters()) == pytest.approx(53.6e6, rel=1e-3)


def test_normalisation_has_values_when_built_on_meta(frames: Tensor) -> None:
    torch.manual_seed(3)
    source = WanVAE(SMALL).requires_grad_(False)
    with torch.device("meta"):
        vae = WanVAE(SMALL).requires_grad_(False)
    vae.load_state_dict(source.state_dict(), assign=True)
    assert all(name.startswith("model.") for name in vae.state_dict())
    assert torch.equal(vae.encode(frames[:, :1]), source.encode(frames[:, :1]))


def test_takes_an_existing_model(wan: WanVAE, frames: Tensor) -> None:
    again = WanVAE(wan.model)
    assert again.model is wan.model
    assert torch.equal(again.encode(frames[:, :1]), wan.encode(frames[:, :1]))


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((1, 4, 3, 16, 16), "4n \\+ 1 frames, for example 1 or 5"),
        ((1, 5, 3, 16, 20), "20x16 do not divide.*multiples of 8"),
        ((1, 5, 3, 0, 16), "multiples of 8"),
        ((1, 5, 4, 16, 16), "takes \\[B, F, 3, H, W\\]"),
        ((5, 3, 16, 16), "takes \\[B, F, 3, H, W\\]"),
    ],
)
def test_refuses_frames(vae: VideoVAE, shape: tuple[int, ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        vae.encode(torch.zeros(shape))


def test_refuses_chunks_and_types(vae: VideoVAE, frames: Tensor, latents: Tensor) -> None:
    with pytest.raises(ValueError, match="divide by 255"):
        vae.encode((frames * 255).to(torch.uint8))
    with pytest.raises(ValueError, match=r"torch\.int64"):
        vae.encode(frames.long())
    _, state = vae.encode_chunk(frames[:, :1], None)
    for count in (0, 1, 5, 6):
        with pytest.raises(ValueError, match=f"must have 4n frames, not {count}"):
            vae.encode_chunk(frames[:, 1 : 1 + count], state)
    with pytest.raises(ValueError, match=r"takes \[B, T, 16, h, w\]"):
        vae.decode(latents[:, :, :8])
    with pytest.raises(ValueError, match="T >= 1"):
        vae.decode(latents[:, :0])
    with pytest.raises(ValueError, match=r"torch\.int64"):
        vae.decode(latents.long())


def test_refuses_other_vaes() -> None:
    with pytest.raises(ValueError, match="four levels"):
        WanVAE(WanVAEConfig(base_dim=8, dim_mult=(1, 2)))
    with pytest.raises(ValueError, match="16 latents_mean for 4 latent channels"):
        WanVAE(WanVAEConfig(base_dim=8, channels=4))
    with torch.device("meta"):
        wan22 = AutoencoderKLWan(
            base_dim=8, z_dim=16, is_residual=True, patch_size=2, in_channels=12, out_channels=12
        )
        slower = AutoencoderKLWan(base_dim=8, temperal_downsample=[False, False, True])
    with pytest.raises(ValueError, match=r"Wan 2\.1"):
        WanVAE(wan22)
    with pytest.raises(ValueError, match="not make a VAE of 4 x 8 x 8"):
        WanVAE(slower)


def test_interface_does_not_import_diffusers() -> None:
    code = "import sys, c2r.models.tiny_vae, c2r.models.vae; sys.exit('diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
