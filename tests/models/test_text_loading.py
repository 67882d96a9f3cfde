"""Text encoders from folders and hub ids: layouts, tokenizers, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import sentencepiece
import torch
from transformers import (
    ByT5Tokenizer,
    T5Config,
    T5EncoderModel,
    UMT5ForConditionalGeneration,
)

from c2r.models.text import (
    TextEncoder,
    build_text,
    load_text,
)
from tests.models.text_encoders import PROMPTS, SMALL, save, word_encoder, word_tokenizer


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_close(dtype: torch.dtype, tmp_path: Path) -> None:
    whole = build_text(SMALL, seed=9)
    save(whole, tmp_path, diffusers=False)
    wanted = whole.encode(PROMPTS)
    embedded = load_text(tmp_path, SMALL, dtype=dtype).encode(PROMPTS)
    assert embedded.dtype == dtype
    assert (embedded.float() - wanted).norm() < 0.05 * wanted.norm()


@pytest.mark.parametrize("diffusers", [True, False])
@pytest.mark.parametrize("tokenizer", ["bytes", "words"])
def test_folder_round_trip(tmp_path: Path, diffusers: bool, tokenizer: str) -> None:
    text = build_text(SMALL, seed=12) if tokenizer == "bytes" else word_encoder(seed=12)
    save(text, tmp_path, diffusers)
    config = replace(SMALL, length=text.length, tokenizer="folder")
    loaded = load_text(str(tmp_path), config)
    prompts = ["a wet street", "night", ""]
    torch.testing.assert_close(loaded.encode(prompts), text.encode(prompts), atol=0, rtol=0)


def test_bytes_need_no_tokenizer_files(tmp_path: Path) -> None:
    text = build_text(SMALL, seed=13)
    text.model.save_pretrained(tmp_path / "text_encoder")
    loaded = load_text(tmp_path, SMALL)
    torch.testing.assert_close(loaded.encode(PROMPTS), text.encode(PROMPTS), atol=0, rtol=0)
    with pytest.raises(ValueError, match=r"cannot read .*tokenizer: .*diffusers layout"):
        load_text(tmp_path, replace(SMALL, tokenizer="folder"))


@pytest.mark.parametrize("inner", ["", "tokenizer"])
def test_a_lone_sentencepiece_model_is_read(tmp_path: Path, inner: str) -> None:
    text = build_text(SMALL, seed=17)
    text.model.save_pretrained(tmp_path / ("text_encoder" if inner else ""))
    folder = tmp_path / inner
    folder.mkdir(exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a wet street at night", "neon rain", "a car at night"] * 20),
        model_prefix=str(folder / "spiece"),
        vocab_size=18,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    settings = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    loaded = load_text(tmp_path, replace(SMALL, tokenizer="folder"))
    trained = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    with torch.no_grad():
        ids = torch.tensor([[*trained.encode("neon street"), 1]])
        wanted = text.model(ids).last_hidden_state
    embedded = loaded.encode(["neon street"])[:, : ids.shape[1]]
    torch.testing.assert_close(embedded, wanted, atol=1e-5, rtol=0)


def test_a_decoder_beside_the_encoder_is_left_out(tmp_path: Path) -> None:
    text = build_text(SMALL, seed=14)
    UMT5ForConditionalGeneration(text.model.config).save_pretrained(tmp_path)
    loaded = load_text(tmp_path, SMALL)
    assert loaded.encode(["one"]).isfinite().all()
    assert not any("decoder" in name for name, _ in loaded.model.named_parameters())


def test_untied_embeddings_in_the_config_still_load(tmp_path: Path) -> None:
    # Wan's text_encoder/config.json says so, though it stores the table once.
    text = build_text(SMALL, seed=15)
    save(text, tmp_path, diffusers=True)
    config = tmp_path / "text_encoder" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"tie_word_embeddings": False}))
    loaded = load_text(tmp_path, SMALL)
    torch.testing.assert_close(loaded.encode(PROMPTS), text.encode(PROMPTS), atol=0, rtol=0)


def test_wrong_networks_are_refused_with_found_and_expected(tmp_path: Path) -> None:
    save(build_text(SMALL, seed=0), tmp_path / "small", diffusers=False)
    with pytest.raises(ValueError, match="d_model is 32, expected 64; num_layers is 1, expected 5"):
        load_text(tmp_path / "small", replace(SMALL, dim=64, layers=5))
    other = T5Config(d_model=32, d_ff=48, num_layers=1, num_heads=2, d_kv=16, vocab_size=259)
    T5EncoderModel(other).save_pretrained(tmp_path / "t5")
    with pytest.raises(ValueError, match="holds model_type 't5', expected 'umt5'"):
        load_text(tmp_path / "t5", SMALL)
    shutil.copy(tmp_path / "t5/model.safetensors", tmp_path / "small/model.safetensors")
    with pytest.raises(ValueError, match=r"do not fit its config.json: .*missing: encoder\.block"):
        load_text(tmp_path / "small", SMALL)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"model_type None, expected 'umt5'.*diffusers layout"):
        load_text(tmp_path / "empty", SMALL)
    with pytest.raises(ValueError, match=r"there is no folder .*diffusers layout"):
        load_text(tmp_path / "gone", SMALL)


def test_an_unreachable_hub_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=r"cannot read nobody/umt5-none.*Give a Wan folder"):
        load_text("nobody/umt5-none", SMALL)


def test_tokenizers_that_do_not_fit_are_refused() -> None:
    model = build_text(SMALL, seed=0).model
    with pytest.raises(ValueError, match="has 384 tokens, the text encoder embeds 259"):
        TextEncoder(model, ByT5Tokenizer(extra_ids=125), 64)
    with pytest.raises(ValueError, match="does not end a prompt with its end token"):
        TextEncoder(model, word_tokenizer(end=False), 64)
    with pytest.raises(ValueError, match="has 259 tokens, the text encoder embeds 100"):
        build_text(replace(SMALL, vocab=100), seed=0)
    with pytest.raises(ValueError, match="tokenizer 'words' is unknown; use 'bytes' or 'folder'"):
        load_text("nobody/none", replace(SMALL, tokenizer="words"))
    with pytest.raises(ValueError, match="capacity 0"):
        build_text(SMALL, seed=0, capacity=0)
