"""Every codec: round trips, order of rows and channels, truncated and inflated payloads."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import lz4.block
import numpy as np
import pytest
import simplejpeg
import zstandard
from PIL import Image

from c2r.wire.codec import (
    ColourQuality,
    make_decoder,
    make_encoder,
    pack_array,
    unpack_array,
)
from c2r.wire.codec.colour import COARSE_QUALITY
from c2r.wire.codec.packed import RAW, BytePacking, PackedDecoder, PackedEncoder
from c2r.wire.codec.registry import CODECS
from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.formats import Codec, PixelFormat

LOSSLESS = (Codec.RAW, Codec.ZSTD, Codec.LZ4)
SIZES = ((48, 32), (47, 33), (1, 1), (3, 64))
GIB = 1 << 30

MakeImage = Callable[..., np.ndarray]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("layout", PixelFormat)
@pytest.mark.parametrize("codec", LOSSLESS)
def test_lossless_colour_comes_back_bit_for_bit(
    codec: Codec, layout: PixelFormat, size: tuple[int, int]
) -> None:
    width, height = size
    rgb = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
    packing = CODECS[codec].coding
    assert isinstance(packing, BytePacking)
    data = PackedEncoder(packing, layout).encode(rgb)
    back = PackedDecoder(packing, width, height).decode(data, layout)
    np.testing.assert_array_equal(back, rgb)
    assert back.flags.c_contiguous


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (PixelFormat.RGB8, bytes([1, 2, 3, 4, 5, 6])),
        (PixelFormat.RGBA8, bytes([1, 2, 3, 255, 4, 5, 6, 255])),
        (PixelFormat.BGRA8, bytes([3, 2, 1, 255, 6, 5, 4, 255])),
    ],
)
def test_raw_bytes_have_the_order_that_the_contract_says(
    layout: PixelFormat, expected: bytes
) -> None:
    rgb = np.array([[[1, 2, 3]], [[4, 5, 6]]], np.uint8)
    assert PackedEncoder(RAW, layout).encode(rgb) == expected


def test_packed_pixels_must_say_their_layout() -> None:
    with pytest.raises(WireError, match="rgba8") as caught:
        PackedDecoder(RAW, 1, 1).decode(b"abc", None)
    assert caught.value.field == "pixel_format"


@pytest.mark.parametrize("codec", LOSSLESS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint16])
def test_planes_keep_every_bit(codec: Codec, dtype: type) -> None:
    values = np.random.default_rng(5).integers(0, 256, 7 * 9 * 2 * 4, dtype=np.uint8)
    plane: np.ndarray = values.view(dtype)[: 7 * 9 * 2].reshape(7, 9, 2)
    back = unpack_array(codec, pack_array(codec, plane), plane.shape, dtype)
    assert back.tobytes() == plane.tobytes()
    assert back.dtype == dtype


def test_planes_are_little_endian_whatever_the_array_is() -> None:
    big = np.array([[1.0, 2.0]], ">f4")
    assert pack_array(Codec.RAW, big) == np.array([1.0, 2.0], "<f4").tobytes()
    columns_first = np.asfortranarray(np.arange(6, dtype=np.uint16).reshape(2, 3))
    assert pack_array(Codec.RAW, columns_first) == np.arange(6, dtype="<u2").tobytes()


@pytest.mark.parametrize("size", [(48, 32), (47, 33), (16, 1)])
@pytest.mark.parametrize("chroma", ["444", "420"])
def test_jpeg_comes_close_and_upright(
    make_image: MakeImage, size: tuple[int, int], chroma: str
) -> None:
    rgb = make_image(*size)
    quality = ColourQuality(jpeg=95, jpeg_chroma=chroma)
    data = make_encoder(Codec.JPEG, *size, 16.0, quality).encode(rgb)
    back = make_decoder(Codec.JPEG, *size).decode(data, None)
    assert back.shape == rgb.shape
    assert np.abs(back.astype(int) - rgb).max() <= 16
    assert np.abs(back.astype(int) - rgb).mean() <= 2


@pytest.mark.parametrize("codec", [Codec.RAW, Codec.ZSTD, Codec.LZ4, Codec.JPEG, Codec.H264])
def test_every_truncation_is_refused_as_a_wire_error(make_image: MakeImage, codec: Codec) -> None:
    rgb = make_image(48, 32)
    encoder = make_encoder(codec, 48, 32, 16.0, COARSE_QUALITY)
    data = encoder.encode(rgb)
    for length in range(0, len(data) - 1, max(1, len(data) // 97)):
        with pytest.raises(WireError):
            make_decoder(codec, 48, 32).decode(data[:length], encoder.pixel_format)


@pytest.mark.parametrize("codec", Codec)
def test_garbage_is_refused_as_a_wire_error(codec: Codec) -> None:
    rng = np.random.default_rng(11)
    decoder = make_decoder(codec, 48, 32)
    for size in (0, 1, 100, 5000):
        with pytest.raises(WireError):
            decoder.decode(rng.bytes(size), PixelFormat.RGB8)


@pytest.mark.parametrize("codec", [Codec.RAW, Codec.ZSTD, Codec.LZ4])
@pytest.mark.parametrize("extra", [-1, 1, 4096])
def test_other_sizes_than_the_header_says_are_refused(codec: Codec, extra: int) -> None:
    data = pack_array(codec, np.zeros(48 * 32 * 3 + extra, np.uint8))
    with pytest.raises(WireError):
        make_decoder(codec, 48, 32).decode(data, PixelFormat.RGB8)


def test_zstd_of_unknown_size_is_taken_when_it_fits() -> None:
    values = np.arange(48 * 32 * 3, dtype=np.uint8)
    stream = zstandard.ZstdCompressor().compressobj()
    data = stream.compress(values.tobytes()) + stream.flush()
    assert zstandard.frame_content_size(data) == -1
    back = unpack_array(Codec.ZSTD, data, values.shape, np.uint8)
    np.testing.assert_array_equal(back, values)


def test_bytes_after_a_zstd_frame_are_refused() -> None:
    data = pack_array(Codec.ZSTD, np.zeros(100, np.uint8))
    with pytest.raises(WireError) as caught:
        unpack_array(Codec.ZSTD, data + b"more", (100,), np.uint8)
    assert caught.value.code is ErrorCode.MALFORMED


def zstd_bomb(*, declared: bool) -> bytes:
    compressor = zstandard.ZstdCompressor(level=1)
    stream = compressor.compressobj(size=GIB) if declared else compressor.compressobj()
    block = bytes(1 << 20)
    return b"".join(stream.compress(block) for _ in range(GIB >> 20)) + stream.flush()


def lz4_bomb() -> bytes:
    """One literal, a match of 255 bytes for each byte, the five literals that end a block."""
    return b"\x1f\x00\x01\x00" + b"\xff" * 10_240 + b"\x00" + b"\x50" + bytes(5)


def jpeg_bomb(rgb: np.ndarray) -> bytes:
    data = bytearray(simplejpeg.encode_jpeg(rgb, 90, "RGB", "420"))
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = (65000).to_bytes(2, "big") * 2
    return bytes(data)


def h264_bomb() -> bytes:
    black = np.zeros((4096, 4096, 3), np.uint8)
    return make_encoder(Codec.H264, 4096, 4096, 16.0).encode(black)


WATCH = """
import pathlib, resource, sys
from c2r.wire.codec import make_decoder
from c2r.wire.errors import WireError
from c2r.wire.formats import Codec, PixelFormat
files = [(Codec(p.name.split("-")[0]), p.read_bytes()) for p in pathlib.Path(sys.argv[1]).iterdir()]
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
def bite(codec, data):
    try:
        make_decoder(codec, 48, 32).decode(data, PixelFormat.RGB8)
    except WireError as error:
        return error.code
for codec, _ in files:
    bite(codec, b"warm the library up")
before = peak()
for codec, data in files:
    print(codec, len(data), bite(codec, data))
print("grew", (peak() - before) // 1024)
"""


def test_bombs_are_refused_without_taking_their_memory(tmp_path: Path) -> None:
    pytest.importorskip("resource")  # peak memory is read the POSIX way
    bombs = {
        "zstd-declared": zstd_bomb(declared=True),
        "zstd-streamed": zstd_bomb(declared=False),
        "lz4-match": lz4_bomb(),
        "jpeg-header": jpeg_bomb(np.zeros((32, 48, 3), np.uint8)),
        "h264-sps": h264_bomb(),
    }
    for name, data in bombs.items():
        (tmp_path / name).write_bytes(data)
    run = subprocess.run(
        [sys.executable, "-c", WATCH, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    *verdicts, grew = run.stdout.splitlines()
    assert len(verdicts) == len(bombs)
    assert not [line for line in verdicts if line.endswith("None")]
    assert int(grew.split()[1]) < 8, run.stdout


def test_bombs_would_go_off_without_the_guard() -> None:
    """The payloads above are what they claim, so that their refusal means something."""
    assert zstandard.frame_content_size(zstd_bomb(declared=True)) == GIB
    assert len(lz4.block.decompress(lz4_bomb(), uncompressed_size=4 << 20)) > 2 << 20
    height, width, *_ = simplejpeg.decode_jpeg_header(jpeg_bomb(np.zeros((32, 48, 3), np.uint8)))
    assert (width, height) == (65000, 65000)


def test_a_huge_jpeg_says_which_size_was_agreed() -> None:
    with pytest.raises(WireError, match="agreed 48x32") as caught:
        make_decoder(Codec.JPEG, 48, 32).decode(jpeg_bomb(np.zeros((32, 48, 3), np.uint8)), None)
    assert caught.value.code is ErrorCode.TOO_LARGE


def pillow_jpeg(rgb: np.ndarray, mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(rgb).convert(mode).save(file, "jpeg", **options)
    return file.getvalue()


def test_jpeg_takes_what_others_write_but_only_baseline(make_image: MakeImage) -> None:
    rgb = make_image(48, 32)
    decoder = make_decoder(Codec.JPEG, 48, 32)
    back = decoder.decode(pillow_jpeg(rgb, quality=95, comment=b"\xff\xda\xff\xc2"), None)
    assert np.abs(back.astype(int) - rgb).mean() <= 2
    grey = decoder.decode(pillow_jpeg(rgb, "L"), None)
    assert grey.shape == rgb.shape
    for refused in (pillow_jpeg(rgb, progressive=True), pillow_jpeg(rgb, "CMYK")):
        with pytest.raises(WireError) as caught:
            decoder.decode(refused, None)
        assert caught.value.code is ErrorCode.UNSUPPORTED
