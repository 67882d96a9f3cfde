"""The text encoder: rows, the cache of prompts, cutting, dtypes, parking."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    ByT5Tokenizer,
)

from c2r.models.presets import UMT5_XXL
from c2r.models.text import (
    PromptTruncatedWarning,
    TextEncoder,
    build_text,
    clean_prompt,
)
from tests.models.text_encoders import PROMPTS, SMALL, word_encoder


def counted(text: TextEncoder) -> list[int]:
    """A list that grows by the batch size at each run of the encoder."""
    runs: list[int] = []
    text.model.register_forward_pre_hook(lambda _, args: runs.append(args[0].shape[0]))
    return runs


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


def test_a_long_prompt_of_words_keeps_its_end_token() -> None:
    text = word_encoder()
    with pytest.warns(PromptTruncatedWarning, match="has 21 tokens .*reads 16: cut after token 15"):
        embedded = text.encode(["neon " * 20])
    with torch.no_grad():
        ids = torch.tensor([[8] * 15 + [1]])
        wanted = text.model(ids).last_hidden_state
    torch.testing.assert_close(embedded, wanted, atol=1e-5, rtol=0)


def test_rows_are_kept_without_padding() -> None:
    text = build_text(SMALL, seed=16)
    text.encode(["x" * 40, "y"])
    kept: dict[str, Tensor] = text._cache
    assert {prompt: row.shape[0] for prompt, row in kept.items()} == {"x" * 40: 41, "y": 2}
    assert [row.untyped_storage().nbytes() // 4 for row in kept.values()] == [41 * 32, 2 * 32]
