"""A new codec is one file and one row: a toy codec, with its row, carries frames both ways."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from c2r.wire import (
    CoarseDecoder,
    CoarseEncoder,
    CoarseFrame,
    RenderedDecoder,
    RenderedEncoder,
    RenderedFrame,
    default_codecs,
    enum_map,
    negotiate,
)
from c2r.wire.codec.colour import ColourCoding, ColourQuality
from c2r.wire.codec.registry import CODECS, CodecRow, Preference
from c2r.wire.formats import Codec, Image, PixelFormat
from c2r.wire.handshake import Accepted

MakeAccepted = Callable[..., Accepted]
NUMBER = 77


class ToyEncoder:
    """Four bits per channel, two channels in a byte."""

    pixel_format: PixelFormat | None = None

    def encode(self, rgb: Image, *, keyframe: bool = False) -> bytes:
        high = rgb.reshape(-1) >> 4
        return (high[0::2] << 4 | high[1::2]).tobytes()


class ToyDecoder:
    def __init__(self, width: int, height: int) -> None:
        self._shape = (height, width, 3)

    def decode(self, data: bytes, pixel_format: PixelFormat | None) -> Image:
        packed = np.frombuffer(data, np.uint8)
        pairs = np.stack([packed & 0xF0, packed << 4], axis=1)
        return pairs.reshape(self._shape)

    def lose(self) -> None:
        pass


def toy_encoder(width: int, height: int, fps: float, quality: ColourQuality) -> ToyEncoder:
    return ToyEncoder()


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> Codec:
    """What a new line in the contract gives: a member of `Codec` and its number on the wire."""
    member = str.__new__(Codec, "toy")
    member._name_, member._value_ = "TOY", "toy"
    monkeypatch.setitem(Codec._member_map_, "TOY", member)
    monkeypatch.setitem(enum_map._NUMBERS[Codec], "TOY", NUMBER)
    monkeypatch.setitem(enum_map._NAMES[Codec], NUMBER, "TOY")
    return member


@pytest.fixture
def toy(name: Codec, monkeypatch: pytest.MonkeyPatch) -> Codec:
    """The row."""
    row = CodecRow(name, ColourCoding(toy_encoder, ToyDecoder), Preference(0, 0, 0))
    monkeypatch.setitem(CODECS, name, row)
    return name


@pytest.mark.parametrize("loopback", [False, True])
def test_one_row_makes_a_codec_that_is_negotiated(toy: Codec, loopback: bool) -> None:
    ours = default_codecs(loopback=loopback)
    choice = negotiate(ours, ours)
    assert (choice.coarse, choice.picture) == (toy, toy)
    assert choice.plane.lossless, "depth and motion go on in a codec that loses nothing"
    assert not toy.lossless


def test_one_row_makes_a_codec_that_carries_frames(
    toy: Codec, make_accepted: MakeAccepted, full_frame: CoarseFrame
) -> None:
    accepted = make_accepted(coarse=toy, picture=toy)
    request = CoarseEncoder(accepted).encode(full_frame)
    assert request.frame.colour.payload.codec == NUMBER
    assert len(request.frame.colour.payload.data) == full_frame.rgb.size // 2
    coarse = CoarseDecoder(accepted).decode(request.frame)
    assert (coarse.rgb == full_frame.rgb & 0xF0).all()
    assert coarse.depth is not None
    response = RenderedEncoder(accepted).encode(RenderedFrame(1, 2, full_frame.rgb))
    reply = RenderedDecoder(accepted).decode(response.frame)
    assert isinstance(reply, RenderedFrame)
    assert (reply.rgb == full_frame.rgb & 0xF0).all()
