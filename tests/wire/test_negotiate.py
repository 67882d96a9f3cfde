"""Which codecs a session gets, and what happens without the libraries behind them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from c2r.wire.codec import (
    available_codecs,
    default_codecs,
    make_decoder,
    make_encoder,
    negotiate,
)
from c2r.wire.codec.registry import CODECS, Library
from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.formats import Codec, CodecChoice, CodecLists


def lists(coarse: str, picture: str) -> CodecLists:
    return CodecLists(
        tuple(Codec(name) for name in coarse.split()),
        tuple(Codec(name) for name in picture.split()),
    )


def test_over_a_network_frames_are_lossless_and_pictures_jpeg() -> None:
    defaults = default_codecs(loopback=False)
    choice = negotiate(defaults, defaults)
    assert choice == CodecChoice(coarse=Codec.ZSTD, plane=Codec.ZSTD, picture=Codec.JPEG)


def test_on_one_machine_everything_is_raw() -> None:
    choice = negotiate(default_codecs(loopback=True), default_codecs(loopback=False))
    assert choice == CodecChoice(coarse=Codec.RAW, plane=Codec.RAW, picture=Codec.RAW)


def test_the_order_of_the_client_decides() -> None:
    server = lists("zstd lz4 raw jpeg h264", "jpeg h264 raw")
    choice = negotiate(lists("h264 lz4 raw", "h264 jpeg"), server)
    assert choice == CodecChoice(coarse=Codec.H264, plane=Codec.LZ4, picture=Codec.H264)


def test_planes_fall_back_to_raw_which_everyone_knows() -> None:
    choice = negotiate(lists("jpeg", "jpeg"), lists("zstd jpeg raw", "jpeg"))
    assert choice.plane is Codec.RAW
    choice = negotiate(lists("jpeg zstd", "jpeg"), lists("jpeg raw", "jpeg"))
    assert choice.plane is Codec.RAW


def test_nothing_in_common_names_what_is_offered() -> None:
    with pytest.raises(WireError, match="jpeg, raw") as caught:
        negotiate(lists("raw", "h264"), lists("raw", "jpeg raw"))
    assert caught.value.code is ErrorCode.UNSUPPORTED
    assert caught.value.field == "open.codecs.picture"


@pytest.mark.parametrize("missing", [Codec.ZSTD, Codec.LZ4, Codec.JPEG, Codec.H264])
def test_a_codec_without_its_library_is_not_offered(
    missing: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = replace(CODECS[missing], library=Library("no_such_module", "no_such_package"))
    monkeypatch.setitem(CODECS, missing, row)
    assert missing not in available_codecs()
    for loopback in (False, True):
        defaults = default_codecs(loopback=loopback)
        assert missing not in defaults.coarse + defaults.picture
        assert Codec.RAW in defaults.coarse
        assert Codec.RAW in defaults.picture


@pytest.mark.parametrize("missing", [Codec.ZSTD, Codec.LZ4, Codec.JPEG, Codec.H264])
def test_a_codec_without_its_library_says_what_to_install(
    missing: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = replace(CODECS[missing], library=Library("no_such_module", "the-package"))
    monkeypatch.setitem(CODECS, missing, row)
    for make in (
        lambda: make_encoder(missing, 16, 16, 24.0),
        lambda: make_decoder(missing, 16, 16),
    ):
        with pytest.raises(WireError, match="pip install the-package"):
            make()


BARE = """
import sys
for name in ("zstandard", "lz4", "simplejpeg", "av"):
    sys.modules[name] = None
import c2r.wire, numpy
from c2r.wire.codec import make_decoder, make_encoder
from c2r.wire.formats import Codec, PixelFormat
image = numpy.zeros((4, 6, 3), numpy.uint8)
data = make_encoder(Codec.RAW, 6, 4, 16.0).encode(image)
assert (make_decoder(Codec.RAW, 6, 4).decode(data, PixelFormat.RGB8) == image).all()
"""


def test_raw_works_with_no_codec_library_at_all() -> None:
    subprocess.run([sys.executable, "-c", BARE], check=True, timeout=60)
