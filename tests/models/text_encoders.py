"""Text encoders of the `debug` preset, and a tokenizer of words beside that of bytes."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    PreTrainedTokenizerFast,
)

from c2r.models.presets import get_preset
from c2r.models.text import (
    TextEncoder,
    build_text,
)

SMALL = get_preset("debug").text
PROMPTS = ["a wet street at night", "", "neon", "a car passes, rain on the lens, 35 mm"]


def word_tokenizer(end: bool = True) -> PreTrainedTokenizerFast:
    """A tiny SentencePiece-like tokenizer that ends with `</s>`, as UMT5's does."""
    vocabulary = [
        "<pad>",
        "</s>",
        "<unk>",
        *(f"▁{name}" for name in ("a", "wet", "street", "at", "night", "neon", "car")),
    ]
    unigram = models.Unigram([(word, -float(i)) for i, word in enumerate(vocabulary)], unk_id=2)
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
    return TextEncoder(build_text(SMALL, seed=seed).model, word_tokenizer(), 16)


def save(text: TextEncoder, folder: Path, diffusers: bool) -> None:
    inner = ("text_encoder", "tokenizer") if diffusers else ("", "")
    text.model.save_pretrained(folder / inner[0])
    text.tokenizer.save_pretrained(folder / inner[1])
