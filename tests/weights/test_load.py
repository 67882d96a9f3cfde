"""Loading: all checks come first, all or nothing is loaded, one tensor is held at a time."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from c2r.models.dit import DiT
from c2r.models.precision import is_finite
from c2r.models.presets import get_preset
from c2r.weights.load import identify, load_into
from c2r.weights.sources import Source, open_file, source_of_tensors

State = dict[str, Tensor]
PLACE = Path("somewhere/weights.pt")


def fill(module: nn.Module, state: State, dtype: torch.dtype = torch.float32) -> None:
    source = source_of_tensors(PLACE, state)
    load_into(module, source, identify(source, "dit"), dtype=dtype)


def on_meta(dit: DiT) -> DiT:
    with torch.device("meta"):
        return DiT(dit.config)


def refusal(dit: DiT, state: State) -> str:
    """The message, after making sure that the module is untouched."""
    before = {name: tensor.clone() for name, tensor in dit.state_dict().items()}
    with pytest.raises(ValueError, match=r"weights\.pt") as caught:
        fill(dit, state)
    after = dit.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    return str(caught.value)


def test_meta_and_real_modules_get_the_values(
    dit: DiT, state: State, same: Callable[..., bool]
) -> None:
    empty = on_meta(dit)
    fill(empty, state)
    assert same(empty, state)
    doubled = {name: 2 * tensor for name, tensor in state.items()}
    fill(dit, doubled)
    assert same(dit, doubled)


def test_parameters_are_own_copies_and_still_trained(dit: DiT, state: State) -> None:
    empty = on_meta(dit)
    fill(empty, state)
    assert all(parameter.requires_grad for parameter in empty.parameters())
    state["head.head.weight"].zero_()
    assert empty.head.head.weight.abs().sum() > 0


def test_what_the_module_keeps_in_float32_stays_so(dit: DiT, state: State) -> None:
    state["time_embedding.0.weight"] = state["time_embedding.0.weight"].bfloat16()
    empty = on_meta(dit)
    fill(empty, state, torch.bfloat16)
    kept = {name for name, x in empty.named_parameters() if x.dtype == torch.float32}
    assert {"time_embedding.0.weight", "blocks.0.modulation", "head.modulation"} <= kept
    for name, parameter in empty.named_parameters():
        dtype = torch.float32 if empty.keeps_float32(name) else torch.bfloat16
        assert parameter.dtype == dtype
        assert torch.equal(parameter, state[name].to(dtype))


def test_integers_stay_integers() -> None:
    module = nn.BatchNorm1d(3)
    state = {name: tensor + 1 for name, tensor in module.state_dict().items()}
    source = source_of_tensors(PLACE, state)
    own_names = identify(
        source_of_tensors(PLACE, {"projections.0.bias": torch.zeros(1)}), "controlnet"
    )
    naming = replace(own_names, names={name: name for name in state})
    load_into(module, source, naming, dtype=torch.float16)
    assert module.num_batches_tracked is not None
    assert module.num_batches_tracked.dtype == torch.int64
    assert int(module.num_batches_tracked) == 1
    assert module.weight.dtype == torch.float16


def test_missing_unexpected_and_misshapen_are_all_named(dit: DiT, state: State) -> None:
    del state["blocks.1.norm3.bias"]
    state["blocks.0.gate"] = torch.zeros(4)
    state["head.head.weight"] = torch.zeros(64, 7)
    message = refusal(dit, state)
    assert "layout wan) does not fit DiT" in message
    assert "missing (1): blocks.1.norm3.bias [48]" in message
    assert "unexpected (1): blocks.0.gate [4]" in message
    assert "wrong shape (1): head.head.weight is [64, 7], not [64, 48]" in message


def test_names_of_a_wrapped_file_are_given_as_in_the_file(dit: DiT, state: State) -> None:
    wrapped = {f"generator.model.{name}": tensor for name, tensor in state.items()}
    wrapped["generator.model.head.head.bias"] = torch.zeros(2)
    message = refusal(dit, wrapped)
    assert "generator.model.head.head.bias is [2], not [64]" in message
    assert "layout self-forcing" in message


def test_long_lists_are_cut_after_ten(dit: DiT, state: State) -> None:
    kept = {name: tensor for name, tensor in state.items() if "blocks.0" not in name}
    lost = len(state) - len(kept)
    message = refusal(dit, kept)
    assert f"missing ({lost})" in message
    assert f"and {lost - 10} more" in message
    assert message.count("blocks.0.") == 10
    assert "use the whole checkpoint" in message


def test_other_sizes_are_described(dit: DiT) -> None:
    other = DiT(replace(dit.config, layers=2, ffn_dim=96))
    message = refusal(dit, dict(other.state_dict()))
    assert "of other sizes than the preset" in message
    assert "2 layers, width 48, ffn 96, channels 16, text width 32" in message


def test_a_file_of_another_preset_names_the_preset(dit: DiT) -> None:
    with torch.device("meta"):
        wide = DiT(get_preset("wan-1.3b").dit).state_dict()
    message = refusal(dit, dict(wide))
    assert "looks like preset wan-1.3b; pass --preset wan-1.3b" in message


def test_image_to_video_models_are_told_apart(dit: DiT, state: State) -> None:
    state["img_emb.proj.0.weight"] = torch.zeros(3)
    state["blocks.0.cross_attn.k_img.weight"] = torch.zeros(3)
    assert "image-to-video or VACE model" in refusal(dit, state)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_no_numbers_are_refused(dit: DiT, state: State, value: float) -> None:
    state["blocks.1.ffn.2.weight"][3, 5] = value
    state["blocks.2.modulation"][0, 0, 0] = value
    message = refusal(dit, state)
    assert "NaN or infinite values in 2 of" in message
    assert "blocks.1.ffn.2.weight (float32); blocks.2.modulation (float32)" in message
    source = source_of_tensors(PLACE, state)
    naming = identify(source, "dit")
    load_into(dit, source, naming, dtype=torch.float32, check_finite=False)
    assert not torch.isfinite(dit.blocks[1].ffn[2].weight).all()  # type: ignore[index,union-attr]


def test_overflow_of_the_cast_is_refused(dit: DiT, state: State) -> None:
    state["head.head.bias"][0] = 1e6
    with pytest.raises(ValueError, match=r"head.head.bias \(float16\).*wider type"):
        fill(dit, state, torch.float16)
    fill(dit, state, torch.bfloat16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_finiteness_is_judged_as_isfinite_does(dtype: torch.dtype) -> None:
    numbers = torch.randn(50, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert is_finite(numbers)
    for bad in (float("nan"), float("inf"), -float("inf")):
        for place in (0, 20, 49):
            broken = numbers.clone()
            broken[place] = bad
            assert not is_finite(broken)
    assert is_finite(torch.zeros(0))
    assert is_finite(torch.tensor(3))


def test_another_network_is_named(dit: DiT) -> None:
    source = source_of_tensors(PLACE, {"dino_fusion_bridge.fc1.weight": torch.zeros(2)})
    with pytest.raises(ValueError, match=r"C2R control adapter .* where a Wan DiT is wanted"):
        identify(source, "dit")


def test_an_unknown_file_shows_what_is_in_it() -> None:
    source = source_of_tensors(PLACE, {"lm_head.weight": torch.zeros(2)})
    with pytest.raises(ValueError, match=r"no layout known here; its first tensors: lm_head"):
        identify(source, "dit")


def test_each_tensor_is_read_once_and_none_is_held(dit: DiT, state: State) -> None:
    """So the peak is one copy of the model and one tensor."""
    reads: list[str] = []
    last: list[weakref.ref[Tensor]] = []

    def read(name: str) -> Tensor:
        assert all(tensor() is None for tensor in last), "an earlier tensor is still held"
        reads.append(name)
        tensor = state[name].clone()
        last[:] = [weakref.ref(tensor)]
        return tensor

    source: Source = replace(source_of_tensors(PLACE, state), read=read)
    load_into(on_meta(dit), source, identify(source, "dit"), dtype=torch.float32)
    assert sorted(reads) == sorted(state)


def test_nothing_is_read_from_a_file_that_does_not_fit(dit: DiT, state: State) -> None:
    def read(name: str) -> Tensor:
        raise AssertionError(f"{name} was read")

    del state["head.modulation"]
    source = replace(source_of_tensors(PLACE, state), read=read)
    with pytest.raises(ValueError, match="missing"):
        load_into(dit, source, identify(source, "dit"), dtype=torch.float32)


def test_a_failing_read_leaves_the_module_alone(official: Path, dit: DiT) -> None:
    source = open_file(official)
    content = official.read_bytes()
    official.write_bytes(content[: len(content) // 2])
    before = {name: tensor.clone() for name, tensor in dit.state_dict().items()}
    with pytest.raises(ValueError, match=r"weights.safetensors is cut short or damaged"):
        load_into(dit, source, identify(source, "dit"), dtype=torch.float32)
    assert all(torch.equal(dit.state_dict()[name], x) for name, x in before.items())
