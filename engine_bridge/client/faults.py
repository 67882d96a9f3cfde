"""What ends a connection: breaks that another attempt may mend, and refusals that it will not."""

from __future__ import annotations

import grpc

from c2r.wire import WireError

_CODE = grpc.StatusCode
_TOKEN = "give the token that the server was started with"
_REFUSALS = {
    _CODE.UNAUTHENTICATED: _TOKEN,
    _CODE.PERMISSION_DENIED: _TOKEN,
    _CODE.UNIMPLEMENTED: "check the address; it answers, but offers no c2r.wire.v1.RenderService",
}
"""Statuses that come again however often one tries, and what to do."""
_OPENING_REFUSALS = (
    _CODE.INVALID_ARGUMENT,
    _CODE.FAILED_PRECONDITION,
    _CODE.OUT_OF_RANGE,
    _CODE.RESOURCE_EXHAUSTED,
)
"""Statuses that say the same in answer to `open`, and later on that something went astray."""
_HANDSHAKE = ("CERTIFICATE_VERIFY_FAILED", "Peer name", "Ssl handshake failed")
_TOO_LARGE = "larger than max"


class Broken(Exception):
    """The connection is gone; another attempt may succeed."""


class Refused(Exception):
    """The server will not have this session; the message says what to change."""


def judge(error: grpc.RpcError, *, accepted: bool) -> Broken | Refused:
    """What a gRPC status means for a session that was, or was not yet, accepted."""
    code, details = error.code(), error.details() or ""
    text = f"{code.name}: {details}" if details else code.name
    if code in _REFUSALS:
        return Refused(f"the server refuses: {text} ({_REFUSALS[code]})")
    if code in _OPENING_REFUSALS and not accepted:
        return Refused(f"the server refuses the session: {text}")
    if code is _CODE.UNAVAILABLE and any(sign in details for sign in _HANDSHAKE):
        advice = "check the CA, the certificate's dates and its name, and that the server uses TLS"
        return Refused(f"TLS fails: {text} ({advice})")
    if code is _CODE.RESOURCE_EXHAUSTED and _TOO_LARGE in details:
        return Refused(f"a message is too large: {text} (use a smaller frame or another codec)")
    return Broken(text)


def refused_by_wire(error: WireError) -> Refused:
    """The server's greeting breaks the contract."""
    return Refused(f"the server answers what this client cannot take: {error}")
