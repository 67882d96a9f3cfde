"""The table of codecs. A codec is one file that codes, and one row here.

Negotiation, defaults, encoders and decoders all read this table; nothing else lists codecs. A new
name also needs its number in `renderer.proto` and its member in `formats.Codec`, because both sides
of the wire must agree on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from numpy.typing import DTypeLike, NDArray

from c2r.wire.codec.colour import (
    RENDERED_QUALITY,
    ColourCoding,
    ColourDecoder,
    ColourEncoder,
    ColourQuality,
)
from c2r.wire.codec.jpeg import JPEG
from c2r.wire.codec.lz4_block import LZ4
from c2r.wire.codec.packed import RAW, BytePacking, PackedDecoder, PackedEncoder
from c2r.wire.codec.zstd import ZSTD
from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.formats import Codec


@dataclass(frozen=True)
class Library:
    """What a codec needs: the `module` that it imports, the `package` to install."""

    module: str
    package: str

    @property
    def installed(self) -> bool:
        return find_spec(self.package) is not None

    def require(self, codec: Codec) -> None:
        """`WireError` (`UNSUPPORTED`) when the module cannot be imported."""
        try:
            import_module(self.module)
        except ImportError as error:
            message = f"codec {codec} needs a package that is not installed: pip install "
            raise WireError(ErrorCode.UNSUPPORTED, message + self.package) from error


@dataclass(frozen=True)
class Preference:
    """Ranks, 1 is best: on one machine, and over a network for coarse and for rendered frames."""

    local: int
    coarse: int
    rendered: int


@dataclass(frozen=True)
class CodecRow:
    """One codec. A `BytePacking` is lossless and codes colour, depth and motion."""

    codec: Codec
    coding: BytePacking | ColourCoding
    preference: Preference
    library: Library | None = None

    @property
    def lossless(self) -> bool:
        return isinstance(self.coding, BytePacking)

    @property
    def installed(self) -> bool:
        return self.library is None or self.library.installed


def _h264_encoder(width: int, height: int, fps: float, quality: ColourQuality) -> ColourEncoder:
    from c2r.wire.codec.h264 import H264Encoder  # PyAV takes 0.2 s to import

    return H264Encoder(width, height, fps, quality.h264_crf)


def _h264_decoder(width: int, height: int) -> ColourDecoder:
    from c2r.wire.codec.h264 import H264Decoder

    return H264Decoder(width, height)


H264 = ColourCoding(_h264_encoder, _h264_decoder)

# On one machine a copy costs less than any compression: raw first in both directions. Over a
# network coarse frames stay lossless, because their flat colours are labels, and rendered frames
# go as JPEG. H.264 is smallest but a lost frame costs all up to the next IDR frame.
CODECS: dict[Codec, CodecRow] = {
    row.codec: row
    for row in (
        CodecRow(Codec.RAW, RAW, Preference(local=1, coarse=3, rendered=5)),
        CodecRow(Codec.ZSTD, ZSTD, Preference(2, 1, 3), Library("zstandard", "zstandard")),
        CodecRow(Codec.LZ4, LZ4, Preference(3, 2, 4), Library("lz4.block", "lz4")),
        CodecRow(Codec.JPEG, JPEG, Preference(4, 4, 1), Library("simplejpeg", "simplejpeg")),
        CodecRow(Codec.H264, H264, Preference(5, 5, 2), Library("av", "av")),
    )
}


def coding_of(codec: Codec) -> BytePacking | ColourCoding:
    """How a codec codes; `WireError` when its library is missing."""
    row = CODECS[codec]
    if row.library is not None:
        row.library.require(codec)
    return row.coding


def make_encoder(
    codec: Codec, width: int, height: int, fps: float, quality: ColourQuality = RENDERED_QUALITY
) -> ColourEncoder:
    """A colour encoder for one direction of one session; pixels and frames a second."""
    coding = coding_of(codec)
    if isinstance(coding, BytePacking):
        return PackedEncoder(coding)
    return coding.encoder(width, height, fps, quality)


def make_decoder(codec: Codec, width: int, height: int) -> ColourDecoder:
    """A colour decoder for one direction of one session; pixels."""
    coding = coding_of(codec)
    if isinstance(coding, BytePacking):
        return PackedDecoder(coding, width, height)
    return coding.decoder(width, height)


def pack_array(codec: Codec, array: NDArray[Any]) -> bytes:
    """An array's values in C order, little-endian, packed by a lossless codec."""
    return _packing(codec).pack_array(array)


def unpack_array(
    codec: Codec, data: bytes, shape: tuple[int, ...], dtype: DTypeLike
) -> NDArray[Any]:
    """The array of `shape` that `data` holds, read-only; `WireError` unless it is exactly that."""
    return _packing(codec).unpack_array(data, shape, dtype)


def _packing(codec: Codec) -> BytePacking:
    coding = coding_of(codec)
    assert isinstance(coding, BytePacking), f"{codec} is lossy"
    return coding
