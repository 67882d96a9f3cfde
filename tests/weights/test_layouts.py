"""Layouts are recognised from names alone, and translated to ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
import torch
from diffusers import AutoencoderKLWan
from torch import nn
from transformers import (
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    UMT5Config,
    UMT5EncoderModel,
)

from c2r.models.presets import PRESETS, get_preset
from c2r.weights.dit_names import to_diffusers
from c2r.weights.layouts import Naming, Network, bare_name, layout_names, recognise
from c2r.weights.match import build_on_meta

VAE_PARTS = (
    (".mid_block.resnets.0.", ".middle.0.residual."),
    (".mid_block.attentions.0.", ".middle.1."),
    (".mid_block.resnets.1.", ".middle.2.residual."),
    (".norm_out.", ".head.0."),
    (".conv_out.", ".head.2."),
    (".conv_in.", ".stem."),
    (".down_blocks.", ".downsamples."),
    (".conv_shortcut.", ".shortcut."),
)
RESIDUAL = {"norm1": "0", "conv1": "2", "norm2": "3", "conv2": "6"}


def names_of(network: Network, preset: str = "tiny") -> list[str]:
    module = build_on_meta(network, get_preset(preset))
    assert module is not None
    return list(module.state_dict())


def known(names: Iterable[str]) -> Naming:
    naming = recognise(names)
    assert naming is not None
    return naming


def wan_vae_name(name: str) -> str:
    """Diffusers' name of a tensor of the Wan VAE -> the official one."""
    if name.startswith(("quant_conv.", "post_quant_conv.")):
        return name.replace("post_quant_conv.", "conv2.").replace("quant_conv.", "conv1.")
    for theirs, official in VAE_PARTS:
        name = name.replace(theirs, official)
    parts = name.split(".")
    if "up_blocks" in parts:  # three residual blocks and an upsampler a level, counted through
        level, kind, index, *rest = parts[2:]
        place = 4 * int(level) + (3 if kind == "upsamplers" else int(index))
        parts = ["decoder", "upsamples", str(place), *rest]
    residual = parts[-2] in RESIDUAL and parts[-3] not in ("encoder", "decoder")
    if residual:
        middle = [] if "residual" in parts else ["residual"]
        parts = [*parts[:-2], *middle, RESIDUAL[parts[-2]], parts[-1]]
    return ".".join(parts).replace(".stem.", ".conv1.")


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("form", ["{}", "pipe.dit.{}", "model.diffusion_model.{}", "model.{}"])
def test_the_dit_under_every_prefix(preset: str, form: str) -> None:
    names = names_of("dit", preset)
    naming = known(form.format(name) for name in names)
    assert naming.network == "dit"
    assert naming.layout == ("c2r-backbone" if form.startswith("pipe") else "wan")
    assert naming.names == {name: form.format(name) for name in names}
    assert not naming.foreign
    assert not naming.skipped


def test_diffusers() -> None:
    names = names_of("dit")
    naming = known([*(str(to_diffusers(name)) for name in names), "blocks.0.norm3.weight"])
    assert (naming.layout, naming.network) == ("diffusers", "dit")
    assert naming.names == {name: to_diffusers(name) for name in names}
    assert naming.foreign == ("blocks.0.norm3.weight",)


def test_self_forcing_takes_the_average_and_leaves_the_rest() -> None:
    names = names_of("dit")
    average = [f"generator_ema.model.{name}" for name in names]
    plain = [f"generator.model._fsdp_wrapped_module.{name}" for name in names]
    critic = [f"critic.model.{name}" for name in names]
    naming = known([*plain, *critic, *average])
    assert (naming.layout, naming.network) == ("self-forcing", "dit")
    assert list(naming.names.values()) == average
    assert set(naming.skipped) == {*plain, *critic}
    assert known(plain).names == dict(zip(names, plain, strict=True))


@pytest.mark.parametrize(
    ("wrapped", "bare"),
    [
        ("model.blocks.0._fsdp_wrapped_module.ffn.0.bias", "blocks.0.ffn.0.bias"),
        ("module.model.head.modulation", "head.modulation"),
        ("_orig_mod.blocks.1._checkpoint_wrapped_module.modulation", "blocks.1.modulation"),
        ("blocks.0.ffn.0.bias", "blocks.0.ffn.0.bias"),
    ],
)
def test_what_training_tools_add_is_taken_off(wrapped: str, bare: str) -> None:
    assert bare_name(wrapped) == bare


@pytest.mark.parametrize("prefix", ["", "pipe.dit."])
@pytest.mark.parametrize("network", ["adapter", "controlnet"])
def test_control(network: Network, prefix: str) -> None:
    names = names_of(network)
    naming = known(prefix + name for name in names)
    assert (naming.layout, naming.network) == (f"c2r-{network}", network)
    assert naming.names == {name: prefix + name for name in names}


def test_tiny_vae() -> None:
    names = names_of("tiny-vae", "wan-1.3b")
    naming = known(names)
    assert (naming.layout, naming.network) == ("taehv", "tiny-vae")
    assert list(naming.names) == names


def test_wan_vae_official_and_diffusers() -> None:
    with torch.device("meta"):
        names = list(AutoencoderKLWan().state_dict())
    official = [wan_vae_name(name) for name in names]
    assert "decoder.upsamples.4.shortcut.weight" in official
    assert "encoder.downsamples.5.time_conv.bias" in official
    naming = known(official)
    assert (naming.layout, naming.network) == ("wan-vae", "wan-vae")
    assert naming.names == dict(zip(names, official, strict=True))
    assert not naming.foreign
    naming = known(names)
    assert (naming.layout, naming.network) == ("diffusers-vae", "wan-vae")
    assert list(naming.names) == names


def make_umt5() -> nn.Module:
    return UMT5EncoderModel(UMT5Config(num_layers=1))


def make_dinov3() -> nn.Module:
    return DINOv3ViTModel(DINOv3ViTConfig(num_hidden_layers=1))


def make_dinov2() -> nn.Module:
    return Dinov2Model(Dinov2Config(num_hidden_layers=1))


def make_dinov2_with_registers() -> nn.Module:
    return Dinov2WithRegistersModel(Dinov2WithRegistersConfig(num_hidden_layers=1))


@pytest.mark.parametrize(
    ("make", "layout", "network"),
    [
        (make_umt5, "umt5", "text-encoder"),
        (make_dinov3, "dinov3", "dino"),
        (make_dinov2, "dinov2", "dino"),
        (make_dinov2_with_registers, "dinov2", "dino"),
    ],
)
def test_networks_of_transformers_are_known_for_what_they_are(
    make: Callable[[], nn.Module], layout: str, network: str
) -> None:
    with torch.device("meta"):
        naming = known(make().state_dict())
    assert (naming.layout, naming.network) == (layout, network)


def test_one_lost_tensor_does_not_hide_the_layout() -> None:
    names = names_of("dit")
    for lost in ("patch_embedding.weight", "head.modulation", "blocks.0.self_attn.q.weight"):
        assert known(name for name in names if name != lost).layout == "wan"


@pytest.mark.parametrize("names", [[], ["weight"], ["model.embed_tokens.weight", "lm_head.weight"]])
def test_unknown_names_are_not_guessed_at(names: list[str]) -> None:
    assert recognise(names) is None


def test_two_networks_in_one_file_are_refused() -> None:
    names = names_of("dit")
    with pytest.raises(ValueError, match=r"pipe.dit.head.modulation are both head.modulation"):
        recognise([*names, "pipe.dit.head.modulation"])


def test_the_list_of_layouts_holds_every_one() -> None:
    listed = layout_names().split(", ")
    assert len(listed) == len(set(listed)) == 12
    assert {"wan", "self-forcing", "c2r-backbone", "diffusers", "taehv"} <= set(listed)
