"""Text: prompts in, UMT5 embeddings out; the latest prompts are cached.

The encoder and tokenizers are those of transformers. This module cleans prompts as Wan 2.1 does,
pads with zeros as its DiT expects, and knows nothing of the DiT itself.

Shapes: B prompts, n tokens of one prompt with its end token, length = text_len tokens that the
DiT reads, dim width of an embedding.
"""

from __future__ import annotations

import html
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    AutoTokenizer,
    ByT5Tokenizer,
    PretrainedConfig,
    PreTrainedTokenizerBase,
    UMT5Config,
    UMT5EncoderModel,
)

from c2r.models.configs import TextConfig
from c2r.models.pretrained import Pretrained, locate
from c2r.models.seeded import seeded

ADVICE = (
    "Give a Wan folder in diffusers layout (text_encoder/ and tokenizer/ inside) or one Hugging "
    "Face folder with the UMT5 encoder's config.json, its weights and its tokenizer"
)
TAIL = 24  # tokens of the kept text that a truncation warning quotes
# TextConfig's field for each of UMT5's own names.
SHAPE = {
    "d_model": "dim",
    "d_ff": "ffn",
    "num_layers": "layers",
    "num_heads": "heads",
    "d_kv": "head_dim",
}


class PromptTruncatedWarning(UserWarning):
    """A prompt is longer than the encoder reads; its end was cut off."""


def clean_prompt(prompt: str) -> str:
    """`prompt` as Wan 2.1 cleans it: broken Unicode repaired, HTML entities resolved twice (some
    text is escaped twice), runs of whitespace collapsed.
    """
    import ftfy  # not needed by `SeededText`

    return " ".join(html.unescape(html.unescape(ftfy.fix_text(prompt))).split())


class TextEncoder:
    """A frozen UMT5 encoder, its tokenizer, and the embeddings of the `capacity` latest prompts.

    `to` moves the model and the cached prompts. Not thread-safe.
    `ValueError` for a tokenizer that does not fit the model or adds no end token.
    """

    def __init__(
        self,
        model: UMT5EncoderModel,
        tokenizer: PreTrainedTokenizerBase,
        length: int,
        capacity: int = 64,
    ) -> None:
        if length < 1 or capacity < 1:
            raise ValueError(f"length {length} and capacity {capacity} must be at least 1")
        _check_tokenizer(tokenizer, model.config.vocab_size)
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.length = length
        self.capacity = capacity
        self._cache: OrderedDict[str, Tensor] = OrderedDict()

    @property
    def dim(self) -> int:
        """Width of an embedding."""
        return int(self.model.config.d_model)

    def to(self, device: torch.device | str) -> TextEncoder:
        """Move the model and the cached prompts; `"cpu"` frees the accelerator's memory."""
        self.model.to(device)
        self._cache = OrderedDict((key, row.to(device)) for key, row in self._cache.items())
        return self

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Embeddings `[B, length, dim]` in the model's dtype and on its device, no gradient.

        Zero beyond each prompt's own tokens. `""` is the unconditional prompt: its end token only.
        A prompt of more than `length` tokens is cut, its end token kept, with a
        `PromptTruncatedWarning`. Prompts not in the cache are encoded in one batch.
        `ValueError` unless `prompts` is a list of one or more strings.
        """
        cleaned = [clean_prompt(prompt) for prompt in _checked(prompts)]
        known = self._look_up(cleaned)
        shape = (len(cleaned), self.length, self.dim)
        text = torch.zeros(shape, dtype=self.model.dtype, device=self.model.device)
        for row, prompt in zip(text, cleaned, strict=True):
            row[: len(known[prompt])] = known[prompt]
        return text

    def _look_up(self, prompts: list[str]) -> dict[str, Tensor]:
        """Each prompt's `[n, dim]`, from the cache or encoded now, and moved to the cache's end."""
        distinct = list(dict.fromkeys(prompts))
        known = {prompt: self._cache[prompt] for prompt in distinct if prompt in self._cache}
        fresh = [prompt for prompt in distinct if prompt not in known]
        if fresh:
            known.update(zip(fresh, self._run(fresh), strict=True))
        for prompt in distinct:
            self._cache[prompt] = known[prompt]
            self._cache.move_to_end(prompt)
        while len(self._cache) > self.capacity:
            self._cache.popitem(last=False)
        return known

    def _run(self, prompts: list[str]) -> list[Tensor]:
        """Encode all `prompts` in one batch; `[n, dim]` each, without the padding."""
        ids = [torch.tensor(self._tokenise(prompt), device="cpu") for prompt in prompts]
        lengths = torch.tensor([len(row) for row in ids], device="cpu")
        padded = pad_sequence(ids, batch_first=True)  # any id will do: the mask hides it
        mask = torch.arange(padded.shape[1], device="cpu") < lengths[:, None]
        device = self.model.device
        hidden = self.model(padded.to(device), mask.long().to(device)).last_hidden_state
        rows = zip(hidden.to(self.model.dtype), ids, strict=True)
        # Copies: a view would keep the whole padded batch alive in the cache.
        return [row[: len(own)].clone() for row, own in rows]

    def _tokenise(self, prompt: str) -> list[int]:
        ids = self.tokenizer(prompt, truncation=False, verbose=False).input_ids
        if len(ids) <= self.length:
            return ids
        kept = ids[: self.length - 1]
        tail = self.tokenizer.decode(kept[-TAIL:], skip_special_tokens=True)
        message = (
            f"the prompt has {len(ids)} tokens (its end token included), the encoder reads "
            f"{self.length}: cut after token {len(kept)}, at the end of {tail!r}"
        )
        warnings.warn(message, PromptTruncatedWarning, stacklevel=2)
        return [*kept, ids[-1]]


def _checked(prompts: Sequence[str]) -> Sequence[str]:
    if isinstance(prompts, str):
        raise ValueError("prompts is one string; give a list of them: encode([prompt])")
    if not prompts:
        raise ValueError('prompts is empty; give at least one, [""] for the unconditional prompt')
    for index, prompt in enumerate(prompts):
        if not isinstance(prompt, str):
            raise ValueError(f"prompt {index} is {type(prompt).__name__}; every one must be a str")
    return prompts


def _check_tokenizer(tokenizer: PreTrainedTokenizerBase, vocab: int) -> None:
    if len(tokenizer) > vocab:
        raise ValueError(
            f"the tokenizer has {len(tokenizer)} tokens, the text encoder embeds {vocab}: they do "
            "not belong together; use the tokenizer that came with the weights"
        )
    if tokenizer("").input_ids != [tokenizer.eos_token_id]:
        raise ValueError(
            "the tokenizer does not end a prompt with its end token as UMT5's does (an empty "
            f"prompt gives {tokenizer('').input_ids}); use the tokenizer that came with the weights"
        )


def build_text(config: TextConfig, *, seed: int | None = None, capacity: int = 64) -> TextEncoder:
    """A UMT5 encoder of that shape with random weights, reading bytes (no files needed).

    With a `seed` on the CPU; without one on the current device. `ValueError` for a vocabulary below
    the 259 tokens of bytes.
    """
    shape = {name: getattr(config, own) for name, own in SHAPE.items()}
    with seeded(seed):
        model = UMT5EncoderModel(UMT5Config(vocab_size=config.vocab, **shape))
    return TextEncoder(model, byte_tokenizer(), config.length, capacity)


def byte_tokenizer() -> ByT5Tokenizer:
    """UTF-8 bytes as tokens: 3 special ones (pad, end, unknown), then 256."""
    return ByT5Tokenizer(extra_ids=0)


def load_text(
    source: str | Path,
    config: TextConfig,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    capacity: int = 64,
) -> TextEncoder:
    """A UMT5 encoder and tokenizer from a folder or Hugging Face id, flat or in diffusers layout.

    With `config.tokenizer` `bytes` only the weights are read. `ValueError` when something cannot
    be read, is not UMT5, differs from `config` in shape or lacks tensors; the message says what
    was found and what was expected.
    """
    if config.tokenizer not in ("bytes", "folder"):
        raise ValueError(f"tokenizer {config.tokenizer!r} is unknown; use 'bytes' or 'folder'")
    place = locate(source, ADVICE)
    nested = Pretrained(place, ADVICE, subfolder="text_encoder")
    settings = nested.config()
    checkpoint = nested if settings else Pretrained(place, ADVICE)
    _check_shape(settings or checkpoint.config(), config, checkpoint)
    # google/umt5-* holds the decoder as well.
    model = checkpoint.load(UMT5EncoderModel, dtype, unused=("decoder.", "lm_head."))
    if config.tokenizer == "bytes":
        tokenizer = byte_tokenizer()
    else:
        tokenizer = _load_tokenizer(Pretrained(place, ADVICE, "tokenizer" if settings else ""))
    return TextEncoder(model, tokenizer, config.length, capacity).to(device)


def _check_shape(settings: dict[str, object], config: TextConfig, checkpoint: Pretrained) -> None:
    model_type = settings.get("model_type")
    if model_type != "umt5":
        raise ValueError(f"{checkpoint} holds model_type {model_type!r}, expected 'umt5'. {ADVICE}")
    own = UMT5Config.from_dict(settings)
    pairs = [(name, getattr(own, name), getattr(config, SHAPE[name])) for name in SHAPE]
    wrong = [f"{name} is {is_}, expected {want}" for name, is_, want in pairs if is_ != want]
    if wrong:
        raise ValueError(
            f"the text encoder in {checkpoint} does not fit the preset: {'; '.join(wrong)}; "
            "use the weights that the preset names, or change its TextConfig"
        )


def _load_tokenizer(files: Pretrained) -> PreTrainedTokenizerBase:
    # A blank config: else a flat folder's config.json ("umt5") would overrule the class that
    # tokenizer_config.json names, and transformers 5 then cannot read a lone spiece.model.
    blank = PretrainedConfig()
    try:
        return AutoTokenizer.from_pretrained(files.place, subfolder=files.subfolder, config=blank)
    except (OSError, ValueError) as error:
        raise files.refusal(error) from error
