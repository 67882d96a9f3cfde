"""Official names <-> diffusers' names, against the real classes at their real sizes on meta."""

from __future__ import annotations

import pytest
import torch
from diffusers import WanTransformer3DModel
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

from c2r.models.configs import DiTConfig
from c2r.models.dit import DiT
from c2r.models.presets import get_preset
from c2r.weights.dit_names import to_diffusers, to_official

TOTALS = {"wan-1.3b": 1_418_996_800, "wan-14b": 14_288_491_584}


def diffusers_shapes(config: DiTConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        model = WanTransformer3DModel(
            num_attention_heads=config.heads,
            attention_head_dim=config.head_dim,
            ffn_dim=config.ffn_dim,
            num_layers=config.layers,
            text_dim=config.text_dim,
        )
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def our_shapes(config: DiTConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        model = DiT(config)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("preset", TOTALS)
def test_every_name_and_shape_agrees_with_diffusers(preset: str) -> None:
    config = get_preset(preset).dit
    ours, theirs = our_shapes(config), diffusers_shapes(config)
    assert {to_diffusers(name): shape for name, shape in ours.items()} == theirs
    assert {to_official(name): shape for name, shape in theirs.items()} == ours
    assert sum(torch.Size(shape).numel() for shape in ours.values()) == TOTALS[preset]


@pytest.mark.parametrize("preset", TOTALS)
def test_there_and_back_is_the_same_name(preset: str) -> None:
    ours = our_shapes(get_preset(preset).dit)
    there = [to_diffusers(name) for name in ours]
    assert len(set(there)) == len(ours)
    assert [to_official(str(name)) for name in there] == list(ours)


def test_agrees_with_the_converter_of_diffusers() -> None:
    names = list(our_shapes(get_preset("wan-1.3b").dit))
    converted = convert_wan_transformer_to_diffusers({name: name for name in names})
    assert {ours: theirs for theirs, ours in converted.items()} == {
        name: to_diffusers(name) for name in names
    }


@pytest.mark.parametrize(
    "name",
    [
        "blocks.0.cross_attn.k_img.weight",
        "img_emb.proj.0.weight",
        "blocks.0",
        "blocks.x.norm3.weight",
        "norm3.weight",
        "blocks.0.head.head.weight",
        "",
    ],
)
def test_names_of_other_models_have_no_translation(name: str) -> None:
    assert to_diffusers(name) is None


def test_diffusers_norm3_is_not_ours() -> None:
    """Theirs has no norm3; passing it through would make it collide with norm2, which is ours."""
    assert to_official("blocks.0.norm2.weight") == "blocks.0.norm3.weight"
    assert to_official("blocks.0.norm3.weight") is None
