"""Hypothesis strategies: any valid value of every dataclass of the contract."""

from __future__ import annotations

from hypothesis import strategies as st

from c2r.wire import events, replies
from c2r.wire.checks import MAX_SIDE, UINT32_MAX, UINT64_MAX
from c2r.wire.depth import DeviceDepth
from c2r.wire.errors import ErrorCode, Fault
from c2r.wire.formats import Codec, CodecChoice, CodecLists, SideChannel
from c2r.wire.handshake import (
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    Accepted,
    Limits,
    OpenRequest,
    ServerInfo,
)

U32 = st.integers(0, UINT32_MAX)
U32_1 = st.integers(1, UINT32_MAX)
U64 = st.integers(0, UINT64_MAX)
SIDE = st.integers(1, MAX_SIDE)
MS = st.floats(0, allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(0, allow_nan=False, allow_infinity=False, exclude_min=True)
STRENGTH = st.floats(0, 2)
TEXT = st.text(max_size=60)
NAME = st.text(max_size=30)
TOKEN = st.binary(max_size=64)
CODECS = st.lists(st.sampled_from(Codec), min_size=1, max_size=6).map(tuple)
SIDE_CHANNELS = st.lists(st.sampled_from(SideChannel), max_size=3).map(tuple)
PLANE = st.sampled_from((Codec.RAW, Codec.ZSTD, Codec.LZ4))
MINOR = st.just(PROTOCOL_MINOR)
MAJOR = st.just(PROTOCOL_MAJOR)

FAULT = st.builds(Fault, st.sampled_from(ErrorCode), TEXT, TEXT)
LISTS = st.builds(CodecLists, CODECS, CODECS)
CHOICE = st.builds(CodecChoice, st.sampled_from(Codec), PLANE, st.sampled_from(Codec))
LIMITS = st.builds(Limits, SIDE, SIDE, U32_1, POSITIVE, U32_1, U32_1, POSITIVE)
VERSION = {"protocol_major": MAJOR, "protocol_minor": MINOR}
SIZE = {"width": SIDE, "height": SIDE, "fps": POSITIVE}
OPEN = st.builds(
    OpenRequest,
    **SIZE,
    codecs=LISTS,
    prompt=TEXT,
    negative_prompt=TEXT,
    strength=STRENGTH,
    seed=st.none() | U64,
    side_channels=SIDE_CHANNELS,
    resume_token=TOKEN,
    client=NAME,
    **VERSION,
)
ACCEPTED = st.builds(
    Accepted,
    session_id=NAME,
    **SIZE,
    chunk_latents=U32_1,
    first_chunk_frames=U32_1,
    chunk_frames=U32_1,
    max_in_flight_chunks=U32_1,
    codecs=CHOICE,
    limits=LIMITS,
    side_channels=SIDE_CHANNELS,
    strength=STRENGTH,
    seed=U64,
    resume_token=TOKEN,
    resume_grace_s=MS,
    resumed=st.booleans(),
    server=NAME,
    **VERSION,
)
INFO = st.builds(
    ServerInfo,
    preset=NAME,
    **SIZE,
    chunk_latents=U32_1,
    codecs=LISTS,
    limits=LIMITS,
    side_channels=SIDE_CHANNELS,
    ready=st.booleans(),
    random_weights=st.booleans(),
    device=NAME,
    sessions=U32,
    max_sessions=U32_1,
    server=NAME,
    **VERSION,
)
CONTROL = st.builds(
    events.ControlChange,
    U64,
    st.none() | TEXT,
    st.none() | TEXT,
    STRENGTH,
    st.none() | U64,
    st.none() | st.integers(1, 64),
)
ACK = st.one_of(
    st.builds(events.ControlAck, U64, U64, U32),
    st.builds(events.ControlAck, U64, st.none(), U32, FAULT),
)
FLOW = st.builds(events.Flow, U32, U32, U32, st.booleans())
FEEDBACK = st.builds(events.Feedback, st.none() | U64, MS, MS, MS, U64, st.booleans())
WARNING = st.builds(events.SessionWarning, st.sampled_from(events.WarningCode), TEXT)
KEEPALIVE = st.builds(events.Keepalive, U64)
END = st.builds(events.EndRequest, st.booleans())
STATISTICS = st.builds(events.SessionStatistics, U64, U64, U64, U64, U64, MS, MS, MS, MS)
ENDED = st.builds(events.Ended, st.sampled_from(events.EndReason), TEXT, st.booleans(), STATISTICS)
STAGES = st.builds(replies.StageTimes, *[MS] * 9)
DEVICE = st.one_of(
    st.builds(DeviceDepth, st.floats(0.01, 1), st.floats(2, 1e6), POSITIVE, st.booleans()),
    st.builds(DeviceDepth, POSITIVE, st.just(0.0), POSITIVE, st.booleans(), st.just(True)),
)
EVERY = {
    Accepted: ACCEPTED,
    CodecChoice: CHOICE,
    CodecLists: LISTS,
    DeviceDepth: DEVICE,
    Fault: FAULT,
    Limits: LIMITS,
    OpenRequest: OPEN,
    ServerInfo: INFO,
    events.ControlAck: ACK,
    events.ControlChange: CONTROL,
    events.EndRequest: END,
    events.Ended: ENDED,
    events.Feedback: FEEDBACK,
    events.Flow: FLOW,
    events.Keepalive: KEEPALIVE,
    events.SessionStatistics: STATISTICS,
    events.SessionWarning: WARNING,
    replies.StageTimes: STAGES,
}
