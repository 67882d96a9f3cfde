"""One colour codec behind one face: an encoder and a decoder for a session's direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from c2r.wire.codec.jpeg import JpegDecoder, JpegEncoder
from c2r.wire.codec.libraries import library
from c2r.wire.codec.packed import PackedDecoder, PackedEncoder
from c2r.wire.formats import Codec, Image, PixelFormat


class ColourEncoder(Protocol):
    """Images of one size, in order."""

    @property
    def pixel_format(self) -> PixelFormat | None:
        """What packed bytes hold; None where the codec says it itself."""
        ...

    def encode(self, rgb: Image, *, keyframe: bool = False) -> bytes:
        """[H, W, 3] uint8 -> payload; `keyframe`: it must stand alone."""
        ...


class ColourDecoder(Protocol):
    """Payloads of one size, in order."""

    def decode(self, data: bytes, pixel_format: PixelFormat | None) -> Image:
        """Payload -> [H, W, 3] uint8, perhaps read-only; `WireError` when it is not that."""
        ...

    def lose(self) -> None:
        """A payload was passed over undecoded."""
        ...


@dataclass(frozen=True)
class ColourQuality:
    """Settings of the lossy codecs.

    `jpeg` [1, 100]; `jpeg_chroma` "444" or "420"; `h264_crf` [0, 51], lower is better.
    """

    jpeg: int = 90
    jpeg_chroma: str = "420"
    h264_crf: int = 20


COARSE_QUALITY = ColourQuality(jpeg=95, jpeg_chroma="444", h264_crf=16)
"""Flat colours tell things apart: keep their edges."""
PICTURE_QUALITY = ColourQuality()


def make_encoder(
    codec: Codec, width: int, height: int, fps: float, quality: ColourQuality = PICTURE_QUALITY
) -> ColourEncoder:
    """An encoder for one direction of one session; `WireError` when its library is missing."""
    if codec is Codec.JPEG:
        return JpegEncoder(quality.jpeg, quality.jpeg_chroma)
    if codec is Codec.H264:
        library(codec)
        from c2r.wire.codec.h264 import H264Encoder

        return H264Encoder(width, height, fps, quality.h264_crf)
    return PackedEncoder(codec)


def make_decoder(codec: Codec, width: int, height: int) -> ColourDecoder:
    """A decoder for one direction of one session; `WireError` when its library is missing."""
    if codec is Codec.JPEG:
        return JpegDecoder(width, height)
    if codec is Codec.H264:
        library(codec)
        from c2r.wire.codec.h264 import H264Decoder

        return H264Decoder(width, height)
    return PackedDecoder(codec, width, height)
