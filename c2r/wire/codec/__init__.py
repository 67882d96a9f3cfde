"""Codecs: images into bytes and back, and which of them two sides use.

`registry` is the table of codecs, `negotiate` chooses from it; each codec has a file of its own.
"""

from __future__ import annotations

from c2r.wire.codec.colour import ColourDecoder, ColourEncoder, ColourQuality
from c2r.wire.codec.negotiate import available_codecs, default_codecs, negotiate
from c2r.wire.codec.registry import make_decoder, make_encoder, pack_array, unpack_array

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
