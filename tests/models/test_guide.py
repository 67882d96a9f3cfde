"""The decoder's guide: none at first and at strength 0, the same in chunks, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from c2r.models.configs import GuideConfig, TinyVAEConfig
from c2r.models.guide import smoothed
from c2r.models.presets import get_preset
from c2r.models.tiny_vae import TinyVAE
from c2r.models.vae import VAEState
from tests.small_networks import guided, randomise

DEBUG = get_preset("debug").vae
assert isinstance(DEBUG, TinyVAEConfig)
PATCHED = replace(DEBUG, linear=True)
TAEHV = TinyVAEConfig(encoder_width=4, decoder_widths=(8, 6, 6, 4), blocks=1)
SHALLOW = GuideConfig(widths=(4, 6, 8))
DOUBLE = GuideConfig(scale=2, widths=(3, 4, 6, 8))
GUIDES = [
    pytest.param(PATCHED, SHALLOW, id="scale 1"),
    pytest.param(PATCHED, DOUBLE, id="scale 2"),
    pytest.param(PATCHED, GuideConfig(scale=2, unshuffle=4, widths=(4, 6, 8)), id="unshuffle 4"),
    pytest.param(PATCHED, GuideConfig(scale=4, widths=(2, 3, 4, 6, 8)), id="scale 4"),
    pytest.param(TAEHV, GuideConfig(unshuffle=1, widths=(3, 4, 6, 8)), id="TAEHV"),
    pytest.param(TAEHV, DOUBLE, id="TAEHV, scale 2"),
]
UNET = GuideConfig(scale=2, unshuffle=4, widths=(4, 6, 8), form="unet")
FORMS = [
    *GUIDES,
    pytest.param(PATCHED, UNET, id="U-Net"),
    pytest.param(TAEHV, replace(DOUBLE, form="unet"), id="TAEHV, U-Net"),
]
ROWS, COLUMNS = 2, 3


def made(vae: TinyVAEConfig, guide: GuideConfig | None, *, fresh: bool = False) -> TinyVAE:
    """Seeded; unless fresh, with no weight at the zero that it starts from."""
    torch.manual_seed(0)
    network = TinyVAE(replace(vae, guide=guide)).eval().requires_grad_(False)
    if not fresh:
        randomise(network, 1, 0.1)
    return network


def random_input(latents: int, scale: int, batch: int = 2) -> tuple[Tensor, Tensor]:
    frames = 1 + 4 * (latents - 1)
    return (
        torch.randn(batch, latents, 16, ROWS, COLUMNS),
        torch.rand(batch, frames, 3, scale * 8 * ROWS, scale * 8 * COLUMNS),
    )


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def resized(frames: Tensor, scale: int) -> Tensor:
    flat = frames.flatten(0, 1)
    if scale > 1:
        flat = F.interpolate(flat, scale_factor=float(scale), mode="bilinear")
    return flat.unflatten(0, frames.shape[:2])


@pytest.mark.parametrize(("vae", "guide"), GUIDES)
def test_a_fresh_guide_leaves_the_decoder_s_frames(vae, guide):
    network = made(vae, guide, fresh=True)
    plain = TinyVAE(vae).eval().requires_grad_(False)
    plain.load_state_dict(
        {name: x for name, x in network.state_dict().items() if not name.startswith("guide.")}
    )
    latents, coarse = random_input(3, guide.scale)
    decoded = plain.decode(0.1 * latents)
    assert 0 < decoded.min() < decoded.max() < 1  # it is limited after it is resized
    expected = resized(decoded, guide.scale)
    assert_close(network.decode(0.1 * latents, coarse), expected)


@pytest.mark.parametrize(("vae", "guide"), FORMS)
def test_streaming_equals_whole(vae, guide):
    network = made(vae, guide)
    latents, coarse = random_input(10, guide.scale)  # more than the VAE takes at once
    strength = torch.tensor([1.0, 0.6])
    state: VAEState | None = None
    frames, at = [], 0
    for part in latents.split([2, 3, 1, 4], dim=1):
        count = 4 * part.shape[1] - (3 if state is None else 0)
        made_now, state = network.decode_chunk(part, state, coarse[:, at : at + count], strength)
        assert made_now.shape == coarse[:, at : at + count].shape
        frames.append(made_now)
        at += count
    assert_close(torch.cat(frames, dim=1), network.decode(latents, coarse, strength))


@pytest.mark.parametrize(("vae", "guide"), FORMS)
def test_strength_0_is_exactly_no_guide(vae, guide):
    network = made(vae, guide)
    latents, coarse = random_input(3, guide.scale)
    without = network.decode(latents)
    assert without.shape == coarse.shape
    assert torch.equal(network.decode(latents, coarse, 0.0), without)
    assert torch.equal(network.decode(latents, coarse, -2.0), without)
    mixed = network.decode(latents, coarse, torch.tensor([0.0, 1.0]))
    assert torch.equal(mixed[0], without[0])
    full = network.decode(latents, coarse)
    assert (full - without).abs().mean() > 0.01
    assert torch.equal(network.decode(latents, coarse, 3.0), full)
    assert_close(mixed[1], full[1])


@pytest.mark.parametrize(("vae", "guide"), FORMS)
def test_a_frame_shows_its_own_coarse_frame_and_earlier_ones(vae, guide):
    network = made(vae, guide)
    latents, coarse = random_input(3, guide.scale, batch=1)
    changed = coarse.clone()
    changed[:, 5] = torch.rand_like(changed[:, 5])
    moved = (network.decode(latents, changed) - network.decode(latents, coarse)).abs()
    # The decoder takes the frames of one latent together: 1 to 4, then 5 to 8.
    assert not moved[:, :5].any()
    assert moved[0, 5].mean() > 10 * moved[0, 8].mean() > 0


def test_a_latent_s_frames_are_told_apart():
    """Each coarse frame moves its own frame most, the first of a stream included."""
    network = made(PATCHED, DOUBLE)
    latents, coarse = random_input(3, 2, batch=1)
    before = network.decode(latents, coarse)
    for i in range(9):
        changed = coarse.clone()
        changed[:, i] = torch.rand_like(changed[:, i])
        moved = (network.decode(latents, changed) - before).abs().mean(dim=(0, 2, 3, 4))
        assert moved.argmax() == i


def test_what_is_learnt_at_the_last_layer_shows_the_coarse_frame():
    """The fourth plane of the last convolution is the share of the coarse frame itself."""
    network = made(PATCHED, DOUBLE, fresh=True)
    assert network.guide is not None
    assert network.guide.out.bias is not None
    network.guide.out.bias[-4:] = 1.0
    latents, coarse = random_input(2, 2)
    latents *= 0.1
    assert_close(network.decode(latents, coarse), coarse)
    half = 0.5 * (coarse + resized(network.decode(latents), 1))
    network.guide.out.bias[-4:] = 0.5
    assert_close(network.decode(latents, coarse), half)


def test_a_chunk_without_a_guide_forgets_earlier_ones():
    network = made(PATCHED, DOUBLE)
    latents, coarse = random_input(3, 2)
    _, without = network.decode_chunk(latents[:, :2], None)
    _, remembering = network.decode_chunk(latents[:, :2], None, coarse[:, :5], 0.0)
    assert [x.shape for x in without.past] == [x.shape for x in remembering.past]
    frames, _ = network.decode_chunk(latents[:, 2:], without, coarse[:, 5:])
    remembered, _ = network.decode_chunk(latents[:, 2:], remembering, coarse[:, 5:])
    assert not torch.equal(frames[:, 0], remembered[:, 0])
    assert all(x.untyped_storage().nbytes() == x.nbytes for x in remembering.past)


def test_what_differs_between_the_pixels_of_a_shuffle_leaves_no_grid():
    x = torch.zeros(2, 3, 8, 12)
    x[..., ::2, :] += torch.rand(2, 3, 1, 1)
    x[..., 1::2] += torch.rand(2, 3, 1, 1)
    flat = smoothed(x)[..., 1:-1, 1:-1]
    assert_close(flat, x.mean((2, 3), keepdim=True).expand_as(flat))
    assert_close(smoothed(torch.full((1, 2, 4, 6), 0.7)), torch.full((1, 2, 4, 6), 0.7))


def test_a_fresh_u_net_shows_the_coarse_frames():
    network = made(PATCHED, UNET, fresh=True)
    latents, coarse = random_input(3, 2)
    assert_close(network.decode(latents, coarse), coarse)
    assert_close(network.decode(latents, coarse, 0.5), 0.5 * coarse + 0.25)
    assert_close(network.decode(latents), torch.full_like(coarse, 0.5))


@pytest.mark.parametrize("guide", [DOUBLE, UNET], ids=["added", "U-Net"])
def test_first_training_steps_reach_every_weight_of_the_guide(guide):
    torch.manual_seed(2)
    network = TinyVAE(replace(PATCHED, guide=guide))
    assert network.guide is not None
    optimiser = torch.optim.SGD(network.guide.parameters(), lr=0.1)
    latents, coarse = random_input(3, 2)
    for _ in range(2):
        optimiser.zero_grad()
        (network.decode(latents, coarse) - coarse.flip(-1)).square().mean().backward()
        optimiser.step()
    weights = network.guide.named_parameters()
    silent = [name for name, p in weights if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize("guide", [SHALLOW, DOUBLE, UNET], ids=["scale 1", "scale 2", "U-Net"])
def test_decode_compiles_as_one_graph_for_all_strengths(guide):
    torch._dynamo.reset()
    network = made(PATCHED, guide)
    latents, coarse = random_input(3, guide.scale)
    _, state = network.decode_chunk(latents[:, :1], None, coarse[:, :1])
    compiled = torch.compile(network.decode_chunk, fullgraph=True, backend="aot_eager")
    for value in (1.0, 0.0, 0.3):
        given = (latents[:, 1:], state, coarse[:, 1:], torch.full((2,), value))
        frames, after = network.decode_chunk(*given)
        compiled_frames, compiled_after = compiled(*given)
        assert_close(compiled_frames, frames)
        for a, b in zip(compiled_after.past, after.past, strict=True):
            assert_close(a, b)


def test_half_precision_keeps_its_type():
    network = made(PATCHED, DOUBLE).to(torch.bfloat16)
    latents, coarse = random_input(2, 2)
    frames, state = network.decode_chunk(latents, None, coarse, torch.ones(2))
    assert frames.dtype == torch.bfloat16
    assert {x.dtype for x in state.past} == {torch.bfloat16}


def test_refuses_other_guides():
    network = made(PATCHED, DOUBLE)
    latents, coarse = random_input(3, 2)
    with pytest.raises(ValueError, match=r"give coarse frames \(2, 9, 3, 32, 48\)"):
        network.decode(latents, coarse[..., ::2, ::2])
    with pytest.raises(ValueError, match=r"give coarse frames \(2, 9, 3"):
        network.decode_chunk(latents, None, coarse[:, :8])
    _, state = network.decode_chunk(latents, None)
    with pytest.raises(ValueError, match=r"give coarse frames \(2, 12, 3"):
        network.decode_chunk(latents, state, coarse)
    with pytest.raises(ValueError, match="uint8: divide by 255"):
        network.decode(latents, (coarse * 255).byte())
    with pytest.raises(ValueError, match=r"strength is \(3,\); give one number, or \[2\]"):
        network.decode(latents, coarse, torch.ones(3))
    with pytest.raises(ValueError, match=r"takes no guide; .* vae\.guide"):
        made(PATCHED, None).decode(latents, coarse)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"scale": 3}, "guide.scale is 3; it must be 1, 2 or 4"),
        ({"unshuffle": 3}, "guide.unshuffle is 3"),
        ({"scale": 2}, r"must have 4 entries: scale 2 and unshuffle 2 start at 8 times"),
        ({"widths": (8, 0, 8)}, "must all be above 0"),
    ],
)
def test_refuses_other_settings(settings, text):
    with pytest.raises(ValueError, match=text):
        GuideConfig(**settings)


def test_refuses_a_guide_coarser_than_the_decoder():
    with pytest.raises(ValueError, match=r"scale 1 x patch 1\); use unshuffle 1 or less"):
        TinyVAE(replace(TAEHV, guide=SHALLOW))


def test_output_size_is_the_preset_s_times_the_scale():
    debug = get_preset("debug")
    assert debug.output_size == (64, 48)
    assert guided(debug, scale=1).output_size == (64, 48)
    assert guided(debug, scale=2).output_size == (128, 96)
    assert get_preset("wan-14b").output_size == (832, 480)
