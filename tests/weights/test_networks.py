"""Every published way of writing each network loads into it, value by value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from safetensors.torch import save_file
from torch import Tensor, nn

from c2r.models.adapter import ControlAdapter
from c2r.models.configs import (
    ControlConfig,
    DiTConfig,
    GuideConfig,
    TinyVAEConfig,
    WanVAEConfig,
)
from c2r.models.control import ControlNetwork
from c2r.models.control_registry import control_class
from c2r.models.dit import DiT
from c2r.models.presets import get_preset
from c2r.models.tiny_vae import TinyVAE
from c2r.models.vae import WanVAE
from c2r.weights.dit_names import to_diffusers
from c2r.weights.layouts import recognise
from c2r.weights.networks import load_control, load_dit, load_tiny_vae, load_wan_vae

State = dict[str, Tensor]
Same = Callable[..., bool]
WAN_VAE = WanVAEConfig(base_dim=8)
TINY_VAE = TinyVAEConfig(encoder_width=8, decoder_widths=(16, 8, 8, 8))


def randomised(module: nn.Module) -> State:
    """Its state dict with values that no initialisation gives."""
    generator = torch.Generator().manual_seed(11)
    return {
        name: torch.randn(tensor.shape, generator=generator)
        for name, tensor in module.state_dict().items()
    }


def make_control(kind: str) -> ControlNetwork:
    config = ControlConfig(kind=kind, hidden=40, inject="first:2")
    return control_class(kind).of(replace(get_preset("debug"), control=config))


@pytest.mark.parametrize("ending", ["safetensors", "pth", "old"])
@pytest.mark.parametrize("prefix", ["", "pipe.dit.", "model.diffusion_model."])
def test_official_files(
    tmp_path: Path, dit: DiT, state: State, same: Same, ending: str, prefix: str
) -> None:
    path = tmp_path / f"x.{ending}"
    prefixed = {prefix + name: tensor for name, tensor in state.items()}
    if ending == "safetensors":
        save_file(prefixed, path)
    else:
        torch.save(prefixed, path, _use_new_zipfile_serialization=ending == "pth")
    loaded = load_dit(path, dit.config, dtype=torch.float32)
    assert same(loaded, state)
    assert not loaded.training


def test_a_folder_that_diffusers_saved(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = DiTConfig(dim=32, ffn_dim=48, heads=2, layers=3, text_dim=24, freq_dim=16)
    theirs = WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        ffn_dim=48,
        num_layers=3,
        text_dim=24,
        freq_dim=16,
    )
    theirs.save_pretrained(tmp_path / "transformer", max_shard_size="40KB")
    assert len(list(tmp_path.glob("transformer/*.safetensors"))) > 2
    for path in (tmp_path, tmp_path / "transformer"):
        loaded = load_dit(path, config, dtype=torch.float32).state_dict()
        expected = theirs.state_dict()
        assert {to_diffusers(name) for name in loaded} == expected.keys()
        for name, tensor in loaded.items():
            assert torch.equal(tensor, expected[str(to_diffusers(name))])


@pytest.mark.parametrize("infix", ["", "_fsdp_wrapped_module."])
@pytest.mark.parametrize("average", [True, False])
def test_self_forcing_files(
    tmp_path: Path, dit: DiT, state: State, same: Same, infix: str, average: bool
) -> None:
    def wrapped(factor: float) -> State:
        return {
            f"model.{name}".replace("blocks.1.", f"blocks.1.{infix}"): tensor * factor
            for name, tensor in state.items()
        }

    content: dict[str, object] = {"generator": wrapped(0.5), "critic": wrapped(3), "step": 600}
    if average:
        content["generator_ema"] = wrapped(1)
    torch.save(content, tmp_path / "self.pt")
    loaded = load_dit(tmp_path / "self.pt", dit.config, dtype=torch.float32)
    assert same(loaded, {name: tensor * (1 if average else 0.5) for name, tensor in state.items()})


def test_the_wrong_preset_names_the_right_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tiny = get_preset("tiny").dit
    torch.save(DiT(tiny).state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"looks like preset tiny; pass --preset tiny"):
        load_dit(tmp_path / "weights.pt", get_preset("wan-1.3b").dit)


@pytest.mark.parametrize("kind", ["adapter", "controlnet"])
@pytest.mark.parametrize("prefix", ["", "pipe.dit."])
@pytest.mark.parametrize("meta", [True, False])
def test_control(tmp_path: Path, dit: DiT, same: Same, kind: str, prefix: str, meta: bool) -> None:
    state = randomised(make_control(kind))
    save_file({prefix + name: x for name, x in state.items()}, tmp_path / "x.safetensors")
    with torch.device("meta" if meta else "cpu"):
        module = make_control(kind)
    load_control(tmp_path, module, dtype=torch.float32)
    assert same(module, state)


def test_the_published_adapter_loads_into_the_14b_preset(tmp_path: Path) -> None:
    """The published file's names and shapes, written out here and not taken from our class."""
    shapes = {
        "dino_patch_adapter.temporal_downsample.convs.0.weight": (768, 1, 3, 1, 1),
        "dino_patch_adapter.temporal_downsample.convs.1.weight": (768, 1, 3, 1, 1),
        "dino_patch_adapter.ln.weight": (768,),
        "dino_patch_adapter.ln.bias": (768,),
        "dino_patch_adapter.mlp.0.weight": (3072, 768),
        "dino_patch_adapter.mlp.0.bias": (3072,),
        "dino_patch_adapter.mlp.2.weight": (5120, 3072),
        "dino_patch_adapter.mlp.2.bias": (5120,),
        "dino_fusion_bridge.ln.weight": (5120,),
        "dino_fusion_bridge.ln.bias": (5120,),
        "dino_fusion_bridge.fc1.weight": (2560, 5120),
        "dino_fusion_bridge.fc1.bias": (2560,),
        "dino_fusion_bridge.fc2.weight": (5120, 2560),
        "dino_fusion_bridge.fc2.bias": (5120,),
    }
    path = tmp_path / "adapter.safetensors"
    save_file(
        {
            f"pipe.dit.{name}": torch.full(shape, 0.25, dtype=torch.bfloat16)
            for name, shape in shapes.items()
        },
        path,
    )
    preset = get_preset("wan-14b")
    with torch.device("meta"):
        adapter = ControlAdapter.of(preset)
    load_control(path, adapter)
    assert all(bool((tensor == 0.25).all()) for tensor in adapter.parameters())


def test_an_adapter_for_another_width_names_its_preset(tmp_path: Path, dit: DiT) -> None:
    adapter = ControlAdapter.of(get_preset("tiny"))
    torch.save(adapter.state_dict(), tmp_path / "x.pt")
    with pytest.raises(ValueError, match="looks like preset tiny"):
        load_control(tmp_path / "x.pt", make_control("adapter"))


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_tiny_vae_keeps_the_last_outputs_of_tgrow(tmp_path: Path, same: Same, ending: str) -> None:
    state = randomised(TinyVAE(TINY_VAE))
    grown = dict(state)
    for name in ("decoder.7.conv.weight", "decoder.13.conv.weight"):
        grown[name] = torch.cat([torch.zeros_like(state[name]), state[name]])
    path = tmp_path / f"x.{ending}"
    if ending == "pth":
        torch.save(grown, path)
    else:
        save_file(grown, path)
    assert same(load_tiny_vae(path, TINY_VAE, dtype=torch.float32), state)


def test_tiny_vae_of_other_widths_is_refused(tmp_path: Path) -> None:
    torch.save(randomised(TinyVAE(TINY_VAE)), tmp_path / "x.pth")
    wider = replace(TINY_VAE, encoder_width=16)
    with pytest.raises(
        ValueError, match=r"encoder.0.weight is \[8, 3, 3, 3\], not \[16, 3, 3, 3\]"
    ):
        load_tiny_vae(tmp_path / "x.pth", wider)


def test_tiny_vae_without_a_guide_is_where_training_starts_one(tmp_path: Path) -> None:
    plain = randomised(TinyVAE(TINY_VAE))
    torch.save(plain, tmp_path / "x.pth")
    with_guide = replace(TINY_VAE, guide=GuideConfig(scale=2, widths=(4, 4, 4, 4)))
    with pytest.raises(ValueError, match=r"has no guide, but the preset's VAE wants one"):
        load_tiny_vae(tmp_path / "x.pth", with_guide)
    vae = load_tiny_vae(tmp_path / "x.pth", with_guide, dtype=torch.float32, guide_seed=3)
    again = load_tiny_vae(tmp_path / "x.pth", with_guide, dtype=torch.float32, guide_seed=3)
    loaded = vae.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in plain.items())
    assert all(torch.equal(loaded[name], tensor) for name, tensor in again.state_dict().items())
    assert not loaded["guide.out.weight"].any()
    assert loaded["guide.encoder.stem.weight"].any()


def test_tiny_vae_with_a_guide(tmp_path: Path, same: Same) -> None:
    with_guide = replace(TINY_VAE, guide=GuideConfig(scale=2, widths=(4, 4, 4, 4)))
    state = randomised(TinyVAE(with_guide))
    torch.save(state, tmp_path / "x.pth")
    assert same(load_tiny_vae(tmp_path / "x.pth", with_guide, dtype=torch.float32), state)
    with pytest.raises(ValueError, match=r"is a VAE with a guide, but the preset's has none"):
        load_tiny_vae(tmp_path / "x.pth", TINY_VAE)
    plain = {name: x for name, x in state.items() if not name.startswith("guide.")}
    assert same(
        load_tiny_vae(tmp_path / "x.pth", TINY_VAE, dtype=torch.float32, guide_seed=3), plain
    )
    del state["guide.encoder.stem.bias"]
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"missing \(1\): guide\.encoder\.stem\.bias"):
        load_tiny_vae(tmp_path / "x.pth", with_guide, guide_seed=3)


def test_wan_vae_from_a_diffusers_folder(tmp_path: Path, same: Same) -> None:
    theirs = AutoencoderKLWan(base_dim=8)
    theirs.save_pretrained(tmp_path / "vae")
    vae = load_wan_vae(tmp_path, WAN_VAE, dtype=torch.float32)
    assert isinstance(vae, WanVAE)
    assert same(vae.model, theirs.state_dict())
    latents = torch.randn(1, 2, 16, 2, 3, generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(vae.decode(latents)).all()


def test_wan_vae_from_the_official_pth(tmp_path: Path, same: Same) -> None:
    """Some names of each kind; the whole list is compared with diffusers in `test_layouts`."""
    state = randomised(WanVAE(WAN_VAE).model)
    back = {
        "encoder.conv_in.weight": "encoder.conv1.weight",
        "encoder.down_blocks.0.conv1.weight": "encoder.downsamples.0.residual.2.weight",
        "decoder.up_blocks.1.upsamplers.0.time_conv.bias": "decoder.upsamples.7.time_conv.bias",
        "decoder.up_blocks.3.resnets.2.norm2.gamma": "decoder.upsamples.14.residual.3.gamma",
        "quant_conv.bias": "conv1.bias",
    }
    torch.save({back.get(name, name): x for name, x in state.items()}, tmp_path / "x.pth")
    naming = recognise([back.get(name, name) for name in state])
    assert naming is not None
    assert naming.layout == "wan-vae"
    assert same(load_wan_vae(tmp_path / "x.pth", WAN_VAE, dtype=torch.float32).model, state)
