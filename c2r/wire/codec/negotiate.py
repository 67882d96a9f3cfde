"""Which codecs a session uses: what is installed here, what the other side accepts."""

from __future__ import annotations

from collections.abc import Callable

from c2r.wire.codec.registry import CODECS, CodecRow
from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.formats import Codec, CodecChoice, CodecLists


def available_codecs() -> frozenset[Codec]:
    """The codecs whose libraries are installed; raw always is."""
    return frozenset(codec for codec, row in CODECS.items() if row.installed)


def default_codecs(*, loopback: bool) -> CodecLists:
    """What this side accepts, best first; `loopback`: both sides are on one machine."""
    if loopback:
        order = _ranked(lambda row: row.preference.local)
        return CodecLists(coarse=order, picture=order)
    return CodecLists(
        coarse=_ranked(lambda row: row.preference.coarse),
        picture=_ranked(lambda row: row.preference.rendered),
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


def _ranked(rank: Callable[[CodecRow], int]) -> tuple[Codec, ...]:
    return tuple(row.codec for row in sorted(CODECS.values(), key=rank) if row.installed)


def _first(wanted: tuple[Codec, ...], offered: tuple[Codec, ...], name: str) -> Codec:
    for codec in wanted:
        if codec in offered:
            return codec
    message = f"has none of what the server offers: {', '.join(offered)}"
    raise WireError(ErrorCode.UNSUPPORTED, message, f"open.codecs.{name}")
