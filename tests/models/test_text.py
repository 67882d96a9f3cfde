from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import (
    ByT5Tokenizer,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
    UMT5ForConditionalGeneration,
)

from c2r.models.configs import TextConfig
from c2r.models.presets import UMT5_XXL
from c2r.models.text import (
    PromptTruncatedWarning,
    TextEncoder,
    build_text,
    clean_prompt,
    load_text,
)

SMALL = TextConfig(
    dim=32, ffn=48, layers=2, heads=3, head_dim=8, vocab=259, length=64, tokenizer="bytes"
)
WORDS = TextConfig(dim=32, ffn=48, layers=2, heads=3, head_dim=8, vocab=40, length=16)
PROMPTS = ["a wet street at night", "", "neon", "a car passes, rain on the lens, 35 mm"]


def counted(text: TextEncoder) -> list[int]:
    """A list that grows by the batch size at each run of the encoder."""
    runs: list[int] = []
    text.model.register_forward_pre_hook(lambda _, args: runs.append(args[0].shape[0]))
    return runs


def word_tokenizer(end: bool = True) -> PreTrainedTokenizerFast:
    """A tiny SentencePiece-like tokenizer that ends with `</s>`, as UMT5's does."""
    pieces = [
        "<pad>",
        "</s>",
        "<unk>",
        *(f"▁{word}" for word in ("a", "wet", "street", "at", "night", "neon", "car")),
    ]
    unigram = models.Unigram([(piece, -float(i)) for i, piece in enumerate(pieces)], unk_id=2)
    tokenizer = Tokenizer(unigram)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    if end:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A </s>", special_tokens=[("</s>", 1)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def word_encoder(seed: int = 0) -> TextEncoder:
    return TextEncoder(build_text(replace(WORDS, vocab=259), seed=seed).model, word_tokenizer(), 16)


def save(text: TextEncoder, folder: Path, diffusers: bool) -> None:
    inner = ("text_encoder", "tokenizer") if diffusers else ("", "")
    text.model.save_pretrained(folder / inner[0])
    text.tokenizer.save_pretrained(folder / inner[1])


@pytest.mark.parametrize(
    ("prompt", "cleaned"),
    [
        ("  a\t wet\n\n street  ", "a wet street"),
        ("rain &amp;amp; fog", "rain & fog"),
        ("&amp;lt;b&amp;gt;", "<b>"),
        ("a cafÃ© in MÃ¼nchen", "a café in München"),
        ("one\u3000two\u00a0three", "one two three"),
        ("&amp;nbsp; edge &amp;nbsp;", "edge"),
        ("\n", ""),
    ],
)
def test_prompts_are_cleaned_as_wan_does(prompt: str, cleaned: str) -> None:
    assert clean_prompt(prompt) == cleaned


def test_rows_are_the_encoders_own_and_zero_beyond() -> None:
    text = build_text(SMALL, seed=1)
    embedded = text.encode(PROMPTS)
    assert embedded.shape == (4, 64, 32)
    tokenizer = ByT5Tokenizer(extra_ids=0)
    for row, prompt in zip(embedded, PROMPTS, strict=True):
        padded = tokenizer(prompt, padding="max_length", max_length=64, return_tensors="pt")
        with torch.no_grad():
            wanted = text.model(padded.input_ids, padded.attention_mask).last_hidden_state[0]
        count = len(prompt.encode()) + 1
        assert int(padded.attention_mask.sum()) == count
        torch.testing.assert_close(row[:count], wanted[:count], atol=1e-5, rtol=0)
        assert row[:count].abs().sum(-1).min() > 0
        assert not row[count:].any()


def test_a_batch_gives_what_single_prompts_give() -> None:
    together = build_text(SMALL, seed=2).encode(PROMPTS)
    alone = build_text(SMALL, seed=2)
    for row, prompt in zip(together, PROMPTS, strict=True):
        torch.testing.assert_close(row, alone.encode([prompt])[0], atol=1e-5, rtol=0)


def test_each_prompt_is_encoded_once_and_new_ones_in_one_batch() -> None:
    text = build_text(SMALL, seed=3)
    runs = counted(text)
    first = text.encode(["one", "two", "one"])
    torch.testing.assert_close(first[0], first[2], atol=0, rtol=0)
    assert runs == [2]
    again = text.encode(["  two ", "one"])  # the same prompts once cleaned
    assert runs == [2]
    torch.testing.assert_close(again, first[[1, 0]], atol=0, rtol=0)
    text.encode(["three", "one", "four", "five"])
    assert runs == [2, 3]


def test_the_least_recently_used_prompt_is_forgotten() -> None:
    text = build_text(SMALL, seed=4, capacity=2)
    runs = counted(text)
    text.encode(["one"])
    text.encode(["two"])
    text.encode(["one"])  # now two is the oldest
    text.encode(["three"])
    assert len(runs) == 3
    text.encode(["one", "three"])
    assert len(runs) == 3
    text.encode(["two"])
    assert len(runs) == 4


def test_more_prompts_than_capacity_in_one_call() -> None:
    text = build_text(SMALL, seed=5, capacity=2)
    wanted = build_text(SMALL, seed=5).encode(PROMPTS)
    torch.testing.assert_close(text.encode(PROMPTS), wanted, atol=0, rtol=0)
    runs = counted(text)
    text.encode(PROMPTS[-2:])
    assert runs == []
    text.encode(PROMPTS[:1])
    assert runs == [1]


def test_memory_is_not_changed_through_a_result() -> None:
    text = build_text(SMALL, seed=6)
    first = text.encode(["one"])
    wanted = first.clone()
    first.zero_()
    torch.testing.assert_close(text.encode(["one"]), wanted, atol=0, rtol=0)


def test_the_empty_prompt_is_its_end_token() -> None:
    text = build_text(SMALL, seed=7)
    embedded = text.encode(["", "   "])
    with torch.no_grad():
        wanted = text.model(torch.tensor([[1]])).last_hidden_state[0, 0]
    torch.testing.assert_close(embedded[:, 0], wanted.expand(2, -1), atol=1e-5, rtol=0)
    assert embedded.isfinite().all()
    assert not embedded[:, 1:].any()


def test_a_long_prompt_is_cut_with_a_warning() -> None:
    text = build_text(replace(SMALL, length=512), seed=8)
    prompt = " ".join(f"w{i:03d}" for i in range(120))  # 599 bytes
    message = r"has 600 tokens .*reads 512: cut after token 511, at the end of '.*w101 w'"
    with pytest.warns(PromptTruncatedWarning, match=message):
        embedded = text.encode([prompt])
    ids = ByT5Tokenizer(extra_ids=0)(
        prompt, max_length=512, truncation=True, return_tensors="pt"
    ).input_ids
    assert ids.shape == (1, 512)
    assert ids[0, -1] == 1
    with torch.no_grad():
        wanted = text.model(ids).last_hidden_state
    torch.testing.assert_close(embedded, wanted, atol=1e-5, rtol=0)


def test_a_prompt_that_just_fits_is_not_cut() -> None:
    text = build_text(replace(SMALL, length=512), seed=8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        embedded = text.encode(["x" * 511])
    assert embedded[0, 511].any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_close(dtype: torch.dtype, tmp_path: Path) -> None:
    whole = build_text(SMALL, seed=9)
    save(whole, tmp_path, diffusers=False)
    wanted = whole.encode(PROMPTS)
    embedded = load_text(tmp_path, SMALL, dtype=dtype).encode(PROMPTS)
    assert embedded.dtype == dtype
    assert (embedded.float() - wanted).norm() < 0.05 * wanted.norm()


def test_no_gradients_and_results_usable_in_training() -> None:
    text = build_text(SMALL, seed=10)
    assert not text.model.training
    assert not any(p.requires_grad for p in text.model.parameters())
    with torch.inference_mode():
        text.encode(["one"])
    embedded = text.encode(["one"])
    assert not embedded.requires_grad
    layer = nn.Linear(32, 4)
    layer(embedded).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.any()


def test_parking_moves_model_and_memory() -> None:
    text = build_text(SMALL, seed=11)
    text.encode(["one"])
    assert text.to("meta") is text
    assert text.model.device.type == "meta"
    assert all(row.is_meta for row in text._cache.values())
    runs = counted(text)
    assert text.encode(["one"]).is_meta
    assert runs == []


@pytest.mark.parametrize("prompts", ["one string", [], ["fine", 3], [None], [b"bytes"]])
def test_other_than_a_list_of_strings_is_refused(prompts: Any) -> None:
    with pytest.raises(ValueError, match="prompt"):
        build_text(SMALL, seed=0).encode(prompts)


def test_seed_decides_the_weights_and_leaves_the_generator_alone() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = (build_text(SMALL, seed=seed).encode(PROMPTS) for seed in (1, 1, 2))
    torch.testing.assert_close(torch.rand(3), wanted, atol=0, rtol=0)
    torch.testing.assert_close(first, again, atol=0, rtol=0)
    assert (first - other).abs().max() > 0.1


def test_xxl_has_the_published_size() -> None:
    with torch.device("meta"):
        text = build_text(UMT5_XXL)
    assert text.dim == 4096
    total = sum(p.numel() for p in text.model.parameters())
    assert total == pytest.approx(5.68e9, rel=1e-3)


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
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    with torch.no_grad():
        ids = torch.tensor([[*pieces.encode("neon street"), 1]])
        wanted = text.model(ids).last_hidden_state
    embedded = loaded.encode(["neon street"])[:, : ids.shape[1]]
    torch.testing.assert_close(embedded, wanted, atol=1e-5, rtol=0)


def test_a_long_prompt_of_words_keeps_its_end_token() -> None:
    text = word_encoder()
    with pytest.warns(PromptTruncatedWarning, match="has 21 tokens .*reads 16: cut after token 15"):
        embedded = text.encode(["neon " * 20])
    with torch.no_grad():
        ids = torch.tensor([[8] * 15 + [1]])
        wanted = text.model(ids).last_hidden_state
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
    with pytest.raises(ValueError, match="d_model is 32, expected 64; num_layers is 2, expected 5"):
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


def test_rows_are_kept_without_padding() -> None:
    text = build_text(SMALL, seed=16)
    text.encode(["x" * 40, "y"])
    kept: dict[str, Tensor] = text._cache
    assert {prompt: row.shape[0] for prompt, row in kept.items()} == {"x" * 40: 41, "y": 2}
    assert [row.untyped_storage().nbytes() // 4 for row in kept.values()] == [41 * 32, 2 * 32]
