"""Both kinds of control: streaming, strength, injection, and what trains."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from c2r.models.adapter import CausalPool, ControlAdapter
from c2r.models.configs import ControlConfig
from c2r.models.control import ControlNetwork, injected_blocks, strength_tensor
from c2r.models.controlnet import ControlNet
from tests.small_networks import (
    DEBUG,
    DINO_DIM,
    DIT,
    GRID,
    make_adapter,
    make_control,
    make_controlnet,
)


def features(frames: int, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, frames, 12, DINO_DIM)


def cuts(sizes: list[int], total: int) -> list[int]:
    """Repeat the sizes until they cover `total` frames."""
    made: list[int] = []
    while sum(made) < total:
        made.append(min(sizes[len(made) % len(sizes)], total - sum(made)))
    return made


@pytest.mark.parametrize("sizes", [[1], [2], [3], [7], [1, 5, 2, 12, 3], [9, 12]])
def test_streaming_equals_whole(sizes):
    adapter, whole = make_adapter(), features(33, 2)
    expected, _ = adapter.tokens(whole)
    assert expected.shape == (2, 9, 12, DIT.dim)
    state, parts = None, []
    for part in whole.split(cuts(sizes, 33), dim=1):
        tokens, state = adapter.tokens(part, state)
        parts.append(tokens)
    torch.testing.assert_close(torch.cat(parts, dim=1), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("frames", "latents"), [(1, 1), (5, 2), (81, 21)])
def test_pool_is_the_published_convolution(frames, latents):
    """Two strided depthwise Conv3d, each behind two copies of its first input."""
    pool = CausalPool(DINO_DIM)
    for parameter in pool.parameters():
        nn.init.normal_(parameter)
    x = features(frames)
    expected = x.transpose(1, 3)[..., None].transpose(2, 3).transpose(2, 3)  # B C N F 1
    expected = expected.permute(0, 1, 3, 2, 4)  # B C F N 1
    for conv in pool.convs:
        first = expected[:, :, :1].expand(-1, -1, 2, -1, -1)
        expected = conv(torch.cat([first, expected], dim=2))
    got, _ = pool(x, None)
    assert got.shape[1] == latents
    torch.testing.assert_close(got, expected[..., 0].permute(0, 2, 3, 1), atol=1e-5, rtol=1e-5)


def test_fresh_pool_is_a_mean_and_causal():
    pool = CausalPool(DINO_DIM)
    x = features(9)
    out, _ = pool(x, None)
    torch.testing.assert_close(out[:, 0], x[:, 0])
    late = x.clone()
    late[:, 5:] += 1
    changed, _ = pool(late, None)
    torch.testing.assert_close(changed[:, :2], out[:, :2])
    assert (changed[:, 2] - out[:, 2]).abs().max() > 0.1


def test_no_frames_is_an_error():
    with pytest.raises(ValueError, match="at least one frame"):
        make_adapter().tokens(features(0))


@pytest.mark.parametrize("kind", ["adapter", "controlnet", "controlnet-once"])
def test_strength_zero_is_exactly_no_control(dit, kind):
    network = (
        make_adapter() if kind == "adapter" else make_controlnet(dit, every_pass=kind[-1] == "t")
    )
    x, timestep = torch.randn(2, 3, 16, 6, 8), torch.tensor([400.0])
    text = dit.text_kv(torch.randn(1, 16, 32), network)
    plain = dit(x, timestep, text)
    outputs = []
    for strength in (0.0, 0.5, 1.0):
        control = make_control(network, features(9, 2), strength)
        control = dit.prepare_control(control, text)
        outputs.append(dit(x, timestep, text, control=control))
    assert torch.equal(outputs[0], plain)
    assert (outputs[1] - plain).abs().max() > 1e-4
    assert (outputs[2] - outputs[1]).abs().max() > 1e-4


def test_strength_per_sample(dit):
    adapter, x = make_adapter(), torch.randn(2, 3, 16, 6, 8)
    text, timestep = dit.text_kv(torch.randn(1, 16, 32)), torch.tensor([400.0])
    control = make_control(adapter, features(9, 2))
    mixed = dit(x, timestep, text, control=replace(control, strength=torch.tensor([0.0, 1.0])))
    torch.testing.assert_close(mixed[0], dit(x, timestep, text)[0])
    torch.testing.assert_close(mixed[1], dit(x, timestep, text, control=control)[1])


@pytest.mark.parametrize("strength", [-0.1, float("nan"), float("inf")])
def test_bad_strength(strength):
    with pytest.raises(ValueError, match="strength"):
        strength_tensor(strength, "cpu")


def test_fresh_networks_change_nothing(dit):
    """Zero-initialised ends: training starts from the backbone's own output."""
    config = ControlConfig(hidden=40, inject="first:2")
    networks: list[ControlNetwork] = [
        ControlAdapter.of(replace(DEBUG, control=config)),
        ControlNet.of(replace(DEBUG, control=replace(config, kind="controlnet"))),
    ]
    x, timestep = torch.randn(1, 3, 16, 6, 8), torch.tensor([400.0])
    for network in networks:
        text = dit.text_kv(torch.randn(1, 16, 32), network)
        control = make_control(network, features(9))
        assert torch.equal(dit(x, timestep, text, control=control), dit(x, timestep, text))


def test_injection_formula(dit):
    """Published: x = patch + s c, the bridge, then + s c scale_i before each injected block."""
    adapter = make_adapter("first:3")
    assert adapter.scales == pytest.approx({0: 1.0, 1: 0.65, 2: 0.3})
    control = make_control(adapter, features(9), 0.7)
    x = torch.randn(1, 36, DIT.dim)
    tokens = 0.7 * control.tokens.flatten(1, 2)
    text = dit.text_kv(torch.randn(1, 16, 32))
    call, _ = dit._begin(torch.zeros(1, 1), text, 3, GRID, None, None, None)
    entered, hint = adapter.inject(x, control, call)
    bridge, fused = adapter.dino_fusion_bridge, x + tokens
    inner = nn.functional.silu(bridge.fc1(bridge.ln(fused)))
    torch.testing.assert_close(entered, fused + bridge.fc2(inner))
    torch.testing.assert_close(hint(1), tokens * 0.65)
    assert hint(3) is None


@pytest.mark.parametrize("every_pass", [True, False])
def test_controlnet_formula(dit, every_pass):
    """By hand: clones read x + c (or c alone, at timestep 0); s x projection behind the source."""
    network = make_controlnet(dit, "strided:2", every_pass)
    text = dit.text_kv(torch.randn(1, 16, 32), network)
    control = make_control(network, features(9), 0.7)
    x, timestep = torch.randn(1, 3, 16, 6, 8), torch.tensor([[400.0]])
    call, time = dit._begin(timestep, text, 3, GRID, None, None, None)
    own, _ = dit._begin(timestep * every_pass, text, 3, GRID, None, None, None)
    tokens = dit._embed(x)
    clone = control.tokens.flatten(1, 2) + (tokens if every_pass else 0)
    extra = {}
    for place, source in enumerate((0, 2)):
        clone = network.blocks[place](clone, 3 + place, own)
        extra[source] = 0.7 * network.projections[place](clone)
    for layer, block in enumerate(dit.blocks):
        tokens = block(tokens, layer, call)
        if layer in extra:
            tokens = tokens + extra[layer]
    out = dit.head(tokens.unflatten(1, (3, -1)), time)
    got = dit(x, timestep[0], text, control=control)
    patches = out.unflatten(-1, (2, 2, 16)).unflatten(2, GRID)
    expected = patches.permute(0, 1, 6, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)


def test_carried_state_holds_no_more_than_it_needs():
    _, state = make_adapter().tokens(features(33))
    for pending in state.pending:
        assert pending.untyped_storage().nbytes() == pending.nbytes


def test_which_blocks():
    assert injected_blocks("first_third", 40) == tuple(range(13))
    assert injected_blocks("first_third", 30) == tuple(range(9))
    assert injected_blocks("first:8", 30) == tuple(range(8))
    assert injected_blocks("strided:3", 10) == (0, 3, 6, 9)
    for wrong in ("first:0", "first:31", "strided:", "every", "first:-1"):
        with pytest.raises(ValueError, match="first_third"):
            injected_blocks(wrong, 30)


def test_controlnet_clones_are_the_originals(dit):
    config = ControlConfig(kind="controlnet", hidden=40, inject="strided:2")
    network = ControlNet(config, DINO_DIM, DIT)
    network.start_from(dit)
    assert network.sources == (0, 2)
    for clone, source in zip(network.blocks, network.sources, strict=True):
        expected = dit.blocks[source].state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in clone.state_dict().items())
    for projection in network.projections:
        assert not any(parameter.any() for parameter in projection.parameters())


def test_only_control_trains(dit):
    """Gradients reach every parameter of the control network and none of the backbone."""
    for network in (make_adapter(), make_controlnet(dit)):
        network.requires_grad_(True)
        text = dit.text_kv(torch.randn(1, 16, 32), network)
        control = make_control(network, features(9))
        out = dit(torch.randn(1, 3, 16, 6, 8), torch.tensor([400.0]), text, control=control)
        out.square().mean().backward()
        without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        assert without == []
        assert all(parameter.grad is None for parameter in dit.parameters())
        network.zero_grad(set_to_none=True)
