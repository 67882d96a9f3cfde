"""Mutated messages, on bytes and on fields: each is good or refused, never anything else."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from google.protobuf.message import Message

from c2r.wire.coarse_stream import CoarseDecoder, CoarseEncoder
from c2r.wire.convert import (
    pack_request,
    pack_response,
    parse_request,
    parse_response,
    unpack_request,
    unpack_response,
)
from c2r.wire.errors import ErrorCode, Fault, WireError
from c2r.wire.events import (
    ControlAck,
    ControlChange,
    Ended,
    EndReason,
    EndRequest,
    Feedback,
    Flow,
    Keepalive,
    SessionWarning,
    WarningCode,
)
from c2r.wire.formats import Codec, CodecLists
from c2r.wire.frames import CoarseFrame, ResetReason
from c2r.wire.handshake import Accepted, OpenRequest
from c2r.wire.rendered_stream import RenderedDecoder, RenderedEncoder
from c2r.wire.replies import DroppedFrame, DropReason, FailedFrame, RenderedFrame
from c2r.wire.v1 import renderer_pb2 as pb

MakeAccepted = Callable[..., Accepted]
Outcomes = Counter[str]
NASTY = (0, 1, -1, 2**31 - 1, 2**32 - 1, 2**63, 2**64 - 1, 0.0, -0.5, 1e308, 5e-324)
ODD = (float("nan"), float("inf"), float("-inf"), True, False, "", "\x00é", b"", b"\xff" * 9)


def requests(accepted: Accepted, frame: CoarseFrame) -> list[pb.RenderStreamRequest]:
    """One of everything that a client sends; several frames, so that H.264 has P frames."""
    lists = CodecLists(tuple(Codec), tuple(Codec))
    encoder = CoarseEncoder(accepted)
    resets = (None, ResetReason.CUT, None)
    frames = [
        encoder.encode(dataclasses.replace(frame, frame_id=at, reset=reset))
        for at, reset in enumerate(resets)
    ]
    return [
        *frames,
        pack_request(OpenRequest(256, 144, 16.0, lists, "a street", "blur", 0.5, 3)),
        pack_request(ControlChange(1, "night", "day", 1.5, 9, 3)),
        pack_request(Feedback(3, 1.0, 2.0, 3.0, 4)),
        pack_request(EndRequest(discard_pending=True)),
    ]


def responses(accepted: Accepted, frame: CoarseFrame) -> list[pb.RenderStreamResponse]:
    """One of everything that a server sends."""
    encoder = RenderedEncoder(accepted)
    fault = Fault(ErrorCode.INVALID, "is bad", "camera")
    return [
        encoder.encode(RenderedFrame(1, 2, frame.rgb)),
        encoder.encode(RenderedFrame(2, 3, frame.rgb)),
        encoder.encode(DroppedFrame(3, 4, DropReason.RESET)),
        encoder.encode(FailedFrame(4, 5, fault)),
        pack_response(accepted),
        pack_response(ControlAck(1, 30, 3)),
        pack_response(ControlAck(2, None, 1, fault)),
        pack_response(Flow(24, 1, 3)),
        pack_response(SessionWarning(WarningCode.SLOW, "slow")),
        pack_response(Keepalive(12)),
        pack_response(Ended(EndReason.SHUTDOWN, "bye", resumable=True)),
    ]


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """One to four flips, cuts, insertions, repeats and truncations."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        # Half of the time near the start, where the structure is; payloads are long.
        at = rng.randrange(max(1, len(out) if rng.random() < 0.5 else min(80, len(out))))
        length = rng.randint(1, 12)
        kind = rng.randrange(5)
        if kind == 0 and out:
            out[at % len(out)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del out[at : at + length]
        elif kind == 2:
            out[at:at] = rng.randbytes(length)
        elif kind == 3:
            out[at:at] = out[at : at + length]
        else:
            del out[len(out) - rng.randrange(max(1, len(out))) // 4 :]
    return bytes(out)


def messages_in(message: Message) -> Iterator[Message]:
    yield message
    for _, value in message.ListFields():
        if isinstance(value, Message):
            yield from messages_in(value)


def mutate_fields(message: Message, rng: random.Random) -> None:
    """Give one to three fields, at any depth, a value that is nasty, absent or too much."""
    for _ in range(rng.randint(1, 3)):
        target = rng.choice(list(messages_in(message)))
        names = list(target.DESCRIPTOR.fields_by_name)
        if not names:
            continue
        name = rng.choice(names)
        try:
            current = getattr(target, name)
            if isinstance(current, Message):
                rng.choice((current.Clear, current.SetInParent))()
            elif hasattr(current, "append"):
                current.append(rng.choice(NASTY + ODD))
            elif rng.random() < 0.2:
                target.ClearField(name)
            else:
                setattr(target, name, rng.choice(NASTY + ODD))
        except (TypeError, ValueError, OverflowError):
            continue  # protobuf itself does not let this value into this field


def mutants(originals: list[Message], count: int, seed: int) -> Iterator[bytes]:
    rng = random.Random(seed)
    serialised = [message.SerializeToString() for message in originals]
    for at in range(count):
        which = rng.randrange(len(originals))
        if at % 2:
            yield mutate_bytes(serialised[which], rng)
        else:
            copy = type(originals[which]).FromString(serialised[which])
            mutate_fields(copy, rng)
            yield copy.SerializeToString()


def verdict(error: WireError) -> str:
    assert error.message
    return error.code.value


def serve(decoder: CoarseDecoder, data: bytes) -> str:
    """Take one message as a server does; the kind of thing it turned out to be."""
    try:
        body = unpack_request(parse_request(data))
        good = decoder.decode(body) if isinstance(body, pb.CoarseFrame) else body
    except WireError as error:
        return verdict(error)
    return type(good).__name__


def receive(decoder: RenderedDecoder, data: bytes) -> str:
    """Take one message as a client does."""
    try:
        body = unpack_response(parse_response(data))
        good = decoder.decode(body) if isinstance(body, pb.FrameReply) else body
    except WireError as error:
        return verdict(error)
    return type(good).__name__


@pytest.mark.parametrize(("seed", "codec"), list(enumerate(Codec)))
def test_two_thousand_mutated_requests_and_the_stream_lives_on(
    seed: int, codec: Codec, make_accepted: MakeAccepted, full_frame: CoarseFrame
) -> None:
    plane = codec if codec.lossless else Codec.ZSTD
    accepted = make_accepted(coarse=codec, plane=plane)
    outcomes: Outcomes = Counter()
    decoder = CoarseDecoder(accepted)
    for data in mutants(list(requests(accepted, full_frame)), 400, seed):
        outcomes[serve(decoder, data)] += 1
        decoder._last_id = -1  # so that the originals' ids are good again
    assert sum(outcomes.values()) == 400
    assert outcomes["CoarseFrame"] > 5
    assert outcomes["OpenRequest"] > 5
    assert outcomes["malformed"] + outcomes["invalid"] + outcomes["unsupported"] > 100
    fresh = dataclasses.replace(full_frame, frame_id=7)
    assert (
        serve(decoder, CoarseEncoder(accepted).encode(fresh).SerializeToString()) == "CoarseFrame"
    )


@pytest.mark.parametrize(("seed", "codec"), list(enumerate(Codec)))
def test_mutated_responses_do_not_break_a_client(
    seed: int, codec: Codec, make_accepted: MakeAccepted, full_frame: CoarseFrame
) -> None:
    accepted = make_accepted(picture=codec)
    decoder = RenderedDecoder(accepted)
    outcomes: Outcomes = Counter()
    for data in mutants(list(responses(accepted, full_frame)), 300, 100 + seed):
        outcomes[receive(decoder, data)] += 1
    assert sum(outcomes.values()) == 300
    assert outcomes["RenderedFrame"] > 3
    assert outcomes["malformed"] > 10
    reply = RenderedEncoder(accepted).encode(RenderedFrame(9, 9, full_frame.rgb))
    assert receive(decoder, reply.SerializeToString()) == "RenderedFrame"


def test_random_bytes_are_never_anything_but_refused_or_understood(
    make_accepted: MakeAccepted,
) -> None:
    rng = np.random.default_rng(17)
    decoder = CoarseDecoder(make_accepted())
    outcomes = Counter(serve(decoder, rng.bytes(int(size))) for size in rng.integers(0, 300, 500))
    assert outcomes["malformed"] > 400
