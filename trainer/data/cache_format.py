"""A cache of latents on disk: which files it holds, and how a clip's tensors are packed.

A cache is a folder: `cache.json` (what it was made with), `manifest.jsonl` and its videos (the fine
one of a real clip, the coarse one of a pair), and `shard-XXXX.safetensors` with latents and text:
as halves, or latents as bytes with a scale. Bytes halve what has to travel. Their error is at most
1/254 of a channel's largest value, some 0.015 for latents of variance 1: less than the noise that
the small VAE's decoder is trained with.

Shapes: T latents, C channels, h w rows and columns, S text tokens of which n are the prompt's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

CACHE_FILE = "cache.json"
MANIFEST_FILE = "manifest.jsonl"
SHARDS = "shard-*.safetensors"
Kind = Literal["int8", "float16"]


def read_cache_info(folder: Path) -> dict[str, Any]:
    """What `cache.json` says; `ValueError` for a folder that is no cache."""
    file = folder / CACHE_FILE
    try:
        info = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{folder} is no cache of latents ({CACHE_FILE} cannot be read: {error}); make one "
            "with `c2r data encode`, or set data.manifest instead of data.cache"
        ) from error
    if not isinstance(info, dict):
        raise ValueError(f"{file} must hold an object with the fields of a cache")
    return info


def check_cache(folder: Path, wanted: Mapping[str, object]) -> None:
    """`ValueError` naming the first field in which the cache differs from the run's renderer."""
    info = read_cache_info(folder)
    for name, value in wanted.items():
        if info.get(name) != value:
            raise ValueError(
                f"the cache {folder} does not fit this run: {name} is {info.get(name)!r} there "
                f"and {value!r} here; encode the clips again with this renderer, or start from the "
                "renderer that made the cache"
            )


def text_name(clip: str, wording: int) -> str:
    """The tensor of a clip's caption (0) or of one of its other wordings."""
    return f"{clip}/text-{wording}" if wording else f"{clip}/text"


def packed(clip: str, latents: Tensor, texts: Sequence[Tensor], kind: Kind) -> dict[str, Tensor]:
    """What a shard holds of a clip: latents `[T, C, h, w]`, and the text `[S, D]` of every caption
    up to its last token.
    """
    tensors = {text_name(clip, wording): _own_tokens(text) for wording, text in enumerate(texts)}
    if kind == "float16":
        return tensors | {f"{clip}/latents": latents.half().contiguous()}
    scale = latents.abs().amax(dim=(0, 2, 3)).clamp(min=1e-6) / 127
    whole = (latents / scale[:, None, None]).round().to(torch.int8)
    return tensors | {f"{clip}/latents": whole.contiguous(), f"{clip}/scale": scale.float()}


def unpacked_latents(shard: Any, clip: str, count: int) -> Tensor:
    """The first `count` latents `[count, C, h, w]` of a clip in an open shard."""
    latents: Tensor = shard.get_slice(f"{clip}/latents")[:count]
    if latents.dtype != torch.int8:
        return latents
    return latents.float() * shard.get_tensor(f"{clip}/scale")[:, None, None]


def unpacked_text(shard: Any, clip: str, length: int, wording: int = 0) -> Tensor:
    """The text `[length, D]` of one of a clip's captions, zero beyond its own tokens."""
    text: Tensor = shard.get_tensor(text_name(clip, wording))
    return F.pad(text, (0, 0, 0, length - len(text)))


def _own_tokens(text: Tensor) -> Tensor:
    own = int(text.abs().amax(1).nonzero().amax()) + 1 if bool(text.any()) else 0
    return text[:own].half().contiguous()
