"""Which codecs a session uses: what is installed here, what the other side accepts."""

from __future__ import annotations

from c2r.wire.codec.libraries import has_library
from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.formats import Codec, CodecChoice, CodecLists

_BARE = (Codec.RAW, Codec.ZSTD, Codec.LZ4, Codec.JPEG, Codec.H264)
_COARSE = (Codec.ZSTD, Codec.LZ4, Codec.RAW, Codec.JPEG, Codec.H264)
_PICTURE = (Codec.JPEG, Codec.H264, Codec.ZSTD, Codec.LZ4, Codec.RAW)


def available_codecs() -> frozenset[Codec]:
    """The codecs whose libraries are installed; raw always is."""
    return frozenset(codec for codec in Codec if has_library(codec))


def default_codecs(*, loopback: bool) -> CodecLists:
    """What this side accepts, best first.

    Over a network: lossless compression for coarse frames, JPEG for pictures. On one machine
    (`loopback`) raw in both directions: copying costs less than any codec.
    """
    here = available_codecs()
    coarse, picture = (_BARE, _BARE) if loopback else (_COARSE, _PICTURE)
    return CodecLists(
        coarse=tuple(codec for codec in coarse if codec in here),
        picture=tuple(codec for codec in picture if codec in here),
    )


def negotiate(wanted: CodecLists, offered: CodecLists) -> CodecChoice:
    """The client's first codecs that the server offers; `UNSUPPORTED` when there are none.

    Depth and motion take the first lossless one of `wanted.coarse` that is offered, or raw, which
    every side knows.
    """
    lossless = (codec for codec in wanted.coarse if codec.lossless and codec in offered.coarse)
    return CodecChoice(
        coarse=_first(wanted.coarse, offered.coarse, "coarse"),
        plane=next(lossless, Codec.RAW),
        picture=_first(wanted.picture, offered.picture, "picture"),
    )


def _first(wanted: tuple[Codec, ...], offered: tuple[Codec, ...], name: str) -> Codec:
    for codec in wanted:
        if codec in offered:
            return codec
    message = f"has none of what the server offers: {', '.join(offered)}"
    raise WireError(ErrorCode.UNSUPPORTED, message, f"open.codecs.{name}")
