from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPVisionConfig, Dinov2Config, Dinov2ForImageClassification

from c2r.models.configs import DinoConfig
from c2r.models.dino import DinoEncoder, build_dino, load_dino
from c2r.models.presets import DINOV2_B, DINOV3_B, DINOV3_H_PLUS, DINOV3_L, DINOV3_S, PRESETS

GRID = (3, 4)
V3 = DinoConfig(hidden=32, mlp=64, layers=2, heads=2)
V3_GATED = replace(V3, gated_mlp=True, registers=2)
V2 = replace(V3, family="dinov2", registers=0)
V2_REGISTERS = replace(V2, registers=4)
FAMILIES = pytest.mark.parametrize(
    "config", [V3, V3_GATED, V2, V2_REGISTERS], ids=["v3", "v3-gated", "v2", "v2-registers"]
)


def some_frames(height: int, width: int, batch: int = 2, frames: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(height * 10_000 + width)
    shape = (batch, frames, 3, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def expected_tokens(encoder: DinoEncoder, frame: Tensor) -> Tensor:
    """transformers' own forward on one uint8 frame [3, H, W], prepared by Pillow and numpy."""
    height, width = encoder.size
    planes = frame.numpy().astype(np.float32) / 255
    resized = [
        np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR))
        for plane in planes
    ]
    mean = np.array([0.485, 0.456, 0.406], dtype=np.float32)[:, None, None]
    std = np.array([0.229, 0.224, 0.225], dtype=np.float32)[:, None, None]
    pixels = torch.from_numpy((np.stack(resized) - mean) / std)
    with torch.no_grad():
        tokens = encoder.model(pixels[None]).last_hidden_state[0]
    return tokens[-GRID[0] * GRID[1] :]


@FAMILIES
@pytest.mark.parametrize("size", [(48, 64), (42, 56), (60, 97), (31, 40)])
def test_tokens_are_those_of_transformers(config: DinoConfig, size: tuple[int, int]) -> None:
    encoder = build_dino(config, GRID, seed=1)
    frames = some_frames(*size)
    tokens = encoder(frames)
    assert tokens.shape == (2, 3, 12, encoder.dim) == (2, 3, 12, 32)
    for b in range(2):
        for f in range(3):
            wanted = expected_tokens(encoder, frames[b, f])
            torch.testing.assert_close(tokens[b, f], wanted, atol=2e-4, rtol=0)


@FAMILIES
def test_bytes_equal_floats(config: DinoConfig) -> None:
    encoder = build_dino(config, GRID, seed=2)
    frames = some_frames(50, 70)
    torch.testing.assert_close(encoder(frames), encoder(frames.float() / 255), atol=0, rtol=0)
    rough = encoder((frames.float() / 255).half())
    torch.testing.assert_close(rough, encoder(frames), atol=2e-2, rtol=0)


@FAMILIES
@pytest.mark.parametrize("batch", [1, 4, 6, 100])
def test_sub_batches_change_nothing(config: DinoConfig, batch: int) -> None:
    encoder = build_dino(config, GRID, seed=3)
    frames = some_frames(48, 64)
    seen: list[int] = []
    encoder.model.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[0]))
    torch.testing.assert_close(encoder(frames, batch=batch), encoder(frames), atol=1e-5, rtol=0)
    assert max(seen[:-1]) == min(batch, 6)
    assert sum(seen[:-1]) == seen[-1] == 6


def test_frames_of_the_right_size_are_not_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_resize(*_: object, **__: object) -> None:
        raise AssertionError("resized")

    monkeypatch.setattr("c2r.models.dino.interpolate", no_resize)
    build_dino(V3, GRID, seed=0)(some_frames(48, 64))
    build_dino(V2, GRID, seed=0)(some_frames(42, 56))
    with pytest.raises(AssertionError, match="resized"):
        build_dino(V2, GRID, seed=0)(some_frames(48, 64))


@FAMILIES
def test_stays_frozen_when_its_owner_trains(config: DinoConfig) -> None:
    encoder = build_dino(config, GRID, seed=4)
    owner = nn.ModuleList([encoder, nn.Linear(2, 2)])
    frames = some_frames(48, 64)
    before = encoder(frames)
    owner.train()
    encoder.train()
    assert owner[1].training
    assert not any(module.training for module in encoder.modules())
    assert not any(p.requires_grad for p in encoder.parameters())
    after = encoder((frames.float() / 255).requires_grad_())
    assert not after.requires_grad
    torch.testing.assert_close(after, before, atol=0, rtol=0)
    encoder.model.train()  # behind the encoder's back
    with pytest.raises(AssertionError, match="eval mode"):
        encoder(frames)


@pytest.mark.parametrize("config", [V3, V2], ids=["v3", "v2"])
def test_forward_compiles_as_one_graph(config: DinoConfig) -> None:
    torch.compiler.reset()
    encoder = build_dino(config, GRID, seed=5)
    compiled = torch.compile(encoder, fullgraph=True, backend="eager")
    for frames in (some_frames(48, 64), some_frames(50, 70)):
        torch.testing.assert_close(compiled(frames), encoder(frames), atol=1e-5, rtol=0)


@FAMILIES
def test_built_on_meta_then_materialised_is_the_same(config: DinoConfig) -> None:
    source = build_dino(config, GRID, seed=6)
    with torch.device("meta"):
        encoder = build_dino(config, GRID)
    assert all(tensor.is_meta for tensor in (*encoder.parameters(), *encoder.buffers()))
    encoder.to_empty(device="cpu").load_state_dict(source.state_dict())
    frames = some_frames(48, 64)
    torch.testing.assert_close(encoder(frames), source(frames), atol=0, rtol=0)


@FAMILIES
def test_bfloat16_is_close_and_keeps_positions_exact(config: DinoConfig) -> None:
    encoder = build_dino(config, GRID, seed=7)
    frames = some_frames(48, 64)
    wanted = encoder(frames)
    buffers = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
    tokens = encoder.to(torch.bfloat16)(frames)
    assert tokens.dtype == torch.bfloat16
    assert (tokens.float() - wanted).norm() < 0.03 * wanted.norm()
    for name, buffer in encoder.named_buffers():
        torch.testing.assert_close(buffer, buffers[name], atol=0, rtol=0)


@pytest.mark.skipif(
    transformers.__version__.startswith("4."),
    reason="DINOv3 of transformers 4 asks for autocast, which the meta device does not have",
)
@pytest.mark.parametrize(
    ("config", "tflop"),
    [(DINOV3_S, 1.34), (DINOV3_B, 4.27), (DINOV3_L, 14.2), (DINOV3_H_PLUS, 36.3)],
    ids=["S", "B", "L", "H+"],
)
def test_cost_of_a_chunk_at_full_size(config: DinoConfig, tflop: float) -> None:
    with torch.device("meta"):
        encoder = build_dino(config, PRESETS["wan-1.3b"].grid)
        frames = torch.empty(1, 12, 3, 480, 832)
    with FlopCounterMode(display=False) as counter:
        tokens = encoder(frames)
    assert encoder.size == (480, 832)
    assert tokens.shape == (1, 12, 1560, config.hidden)
    assert counter.get_total_flops() / 1e12 == pytest.approx(tflop, rel=0.03)


def test_dinov2_gives_the_same_grid_from_seven_eighths_of_the_size() -> None:
    with torch.device("meta"):
        encoder = build_dino(DINOV2_B, PRESETS["wan-1.3b"].grid)
        tokens = encoder(torch.empty(1, 5, 3, 480, 832, dtype=torch.uint8))
    assert encoder.size == (420, 728) == (480 * 7 // 8, 832 * 7 // 8)
    assert tokens.shape == (1, 5, 1560, 768)


def test_seed_decides_the_weights_and_leaves_the_generator_alone() -> None:
    torch.manual_seed(11)
    wanted = torch.rand(3)
    torch.manual_seed(11)
    first, again, other = (build_dino(V3, GRID, seed=seed).state_dict() for seed in (8, 8, 9))
    torch.testing.assert_close(torch.rand(3), wanted, atol=0, rtol=0)
    assert all(torch.equal(first[name], again[name]) for name in first)
    name = "model.embeddings.patch_embeddings.weight"
    assert not torch.equal(first[name], other[name])


@FAMILIES
def test_folder_round_trip(config: DinoConfig, tmp_path: Path) -> None:
    source = build_dino(config, GRID, seed=10)
    source.model.save_pretrained(tmp_path)
    frames = some_frames(48, 64)
    for place in (tmp_path, str(tmp_path)):
        torch.testing.assert_close(load_dino(place, GRID)(frames), source(frames), atol=0, rtol=0)
    half = load_dino(tmp_path, GRID, dtype=torch.bfloat16)
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    torch.testing.assert_close(half(frames), source.to(torch.bfloat16)(frames), atol=0, rtol=0)


def test_a_classification_head_is_left_out(tmp_path: Path) -> None:
    config = Dinov2Config(hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    whole = Dinov2ForImageClassification(config).eval()
    whole.save_pretrained(tmp_path)
    frames = some_frames(42, 56)
    wanted = DinoEncoder(whole.dinov2, GRID)(frames)
    torch.testing.assert_close(load_dino(tmp_path, GRID)(frames), wanted, atol=0, rtol=0)


@pytest.mark.parametrize(
    "source", ["./no/such/folder", "/no/such", "~/no-such", "weights", "a/b/c", Path("own/er")]
)
def test_a_path_to_nothing_is_refused(source: str | Path) -> None:
    with pytest.raises(ValueError, match=r"there is no folder .*DINOv2 \(facebook/dinov2-base"):
        load_dino(source, GRID)


def test_an_unreachable_hub_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=r"cannot read nobody/dinov3-none: .*local folder"):
        load_dino("nobody/dinov3-none", GRID)


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="model_type None; DINO accepts: dinov3_vit, dinov2"):
        load_dino(tmp_path, GRID)
    CLIPVisionConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="model_type 'clip_vision_model'; DINO accepts"):
        load_dino(tmp_path, GRID)
    with pytest.raises(ValueError, match="is a file; give the folder"):
        load_dino(tmp_path / "config.json", GRID)
    (tmp_path / "config.json").write_text('{"model_type": "dinov3_vit"}')
    with pytest.raises(ValueError, match=r"cannot read .*DINOv2"):
        load_dino(tmp_path, GRID)
    (tmp_path / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(ValueError, match=r"cannot read .*DINOv2"):
        load_dino(tmp_path, GRID)


def break_weights(folder: Path, fault: str) -> str:
    """Spoil a saved V3 folder; the name that the error must mention."""
    weights, config = folder / "model.safetensors", folder / "config.json"
    tensors = load_file(weights)
    settings: dict[str, Any] = json.loads(config.read_text())
    if fault == "missing":
        del tensors["norm.weight"]
    elif fault == "shape":
        tensors["norm.weight"] = torch.ones(5)
    else:
        settings["num_hidden_layers"] = 1
        settings |= {"out_features": ["stage1"], "out_indices": [1], "stage_names": ["stem"]}
    save_file(tensors, weights, metadata={"format": "pt"})
    config.write_text(json.dumps(settings))
    return "norm.weight" if fault != "deeper" else r"layer\.1\."


@pytest.mark.parametrize(
    ("fault", "word"), [("missing", "missing"), ("shape", "wrong shape"), ("deeper", "unexpected")]
)
def test_weights_that_do_not_fit_are_named(tmp_path: Path, fault: str, word: str) -> None:
    build_dino(V3, GRID, seed=0).model.save_pretrained(tmp_path)
    name = break_weights(tmp_path, fault)
    with pytest.raises(ValueError, match=f"do not fit its config.json: .*{word}: .*{name}"):
        load_dino(tmp_path, GRID)


def test_nan_is_refused_by_name(tmp_path: Path) -> None:
    model = build_dino(V3, GRID, seed=0).model
    with torch.no_grad():
        model.norm.weight[3] = float("nan")
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"hold NaN or infinity in: norm\.weight"):
        load_dino(tmp_path, GRID)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (torch.zeros(1, 1, 3, 8, 8, dtype=torch.int32), "int32; give uint8"),
        (torch.zeros(1, 1, 3, 8, 8, dtype=torch.bool), "bool; give uint8"),
        (torch.zeros(1, 3, 8, 8), r"must be \[B, F, 3, H, W\]"),
        (torch.zeros(1, 1, 4, 8, 8), r"must be \[B, F, 3, H, W\]"),
        (torch.zeros(1, 0, 3, 8, 8), r"must be \[B, F, 3, H, W\]"),
    ],
)
def test_frames_of_another_form_are_refused(frames: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_dino(V3, GRID, seed=0)(frames)


def test_impossible_settings_are_refused() -> None:
    encoder = build_dino(V3, GRID, seed=0)
    with pytest.raises(ValueError, match="batch 0 must be at least 1"):
        encoder(some_frames(48, 64), batch=0)
    with pytest.raises(ValueError, match="grid"):
        DinoEncoder(encoder.model, (0, 4))
    with pytest.raises(ValueError, match="model is a Linear; DINO must be one of: DINOv3ViTModel"):
        DinoEncoder(nn.Linear(2, 2), GRID)
    with pytest.raises(ValueError, match="heads of a multiple of 4"):
        build_dino(replace(V3, heads=3), GRID)
    with pytest.raises(ValueError, match="multiple of hidden"):
        build_dino(replace(V2, mlp=40), GRID)
