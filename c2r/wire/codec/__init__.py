"""Codecs: images into bytes and back, and which of them two sides use."""

from __future__ import annotations

from c2r.wire.codec.colour import (
    ColourDecoder,
    ColourEncoder,
    ColourQuality,
    make_decoder,
    make_encoder,
)
from c2r.wire.codec.lossless import pack_array, unpack_array
from c2r.wire.codec.negotiate import available_codecs, default_codecs, negotiate

__all__ = [
    "ColourDecoder",
    "ColourEncoder",
    "ColourQuality",
    "available_codecs",
    "default_codecs",
    "make_decoder",
    "make_encoder",
    "negotiate",
    "pack_array",
    "unpack_array",
]
