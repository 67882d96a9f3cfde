"""gRPC channels to an endpoint, what their errors mean, and the one call without a session."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio

from c2r.wire import ServerInfo, WireError
from c2r.wire.convert import from_message
from c2r.wire.v1 import renderer_pb2 as pb
from engine_bridge.client.endpoint import Endpoint, as_endpoint
from engine_bridge.client.status import Broken, Refused

SERVICE = "c2r.wire.v1.RenderService"
RENDER_STREAM = f"/{SERVICE}/RenderStream"
GET_SERVER_INFO = f"/{SERVICE}/GetServerInfo"
KEEPALIVE_MS = 20_000
KEEPALIVE_TIMEOUT_MS = 10_000
MESSAGE_SPARE = 1 << 20

_CODE = grpc.StatusCode
_TOKEN = "give the token that the server was started with"
_REFUSALS = {
    _CODE.UNAUTHENTICATED: _TOKEN,
    _CODE.PERMISSION_DENIED: _TOKEN,
    _CODE.UNIMPLEMENTED: "check the address; it answers, but offers no c2r.wire.v1.RenderService",
}
"""Statuses that retrying does not change, and what to do about them."""
_OPENING_REFUSALS = (
    _CODE.INVALID_ARGUMENT,
    _CODE.FAILED_PRECONDITION,
    _CODE.OUT_OF_RANGE,
    _CODE.RESOURCE_EXHAUSTED,
)
"""Final in answer to `open`; later in a session they are faults that a new session may not have."""
_HANDSHAKE = ("CERTIFICATE_VERIFY_FAILED", "Peer name", "Ssl handshake failed")
_TOO_LARGE = "larger than max"
_CROWDED = "Concurrent RPC limit exceeded"
"""gRPC's own refusal, before any handler: as many calls as it takes at once. It passes."""


def channel_options(largest_message: int) -> list[tuple[str, Any]]:
    """`largest_message`: bytes of a received one. Pings find a dead connection without traffic."""
    return [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", largest_message),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        # The client backs off itself: a new channel must not inherit the back-off of an old one.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_retries", 0),
    ]


def open_channel(endpoint: Endpoint, width: int, height: int) -> grpc.aio.Channel:
    """A channel for frames of width x height pixels, in the running event loop."""
    options = channel_options(2 * width * height * 3 + MESSAGE_SPARE)
    credentials, names = _credentials(endpoint)
    if credentials is None:
        return grpc.aio.insecure_channel(endpoint.address, options)
    return grpc.aio.secure_channel(endpoint.address, credentials, [*options, *names])


def call_metadata(endpoint: Endpoint) -> tuple[tuple[str, str], ...]:
    """Metadata of every call."""
    if endpoint.token is None:
        return ()
    return (("authorization", f"Bearer {endpoint.token}"),)


def server_info(server: Endpoint | str, timeout_s: float = 5.0) -> ServerInfo:
    """What the server is and offers. ConnectionError when it does not answer or refuses."""
    endpoint = as_endpoint(server)
    with _blocking_channel(endpoint) as channel:
        ask = channel.unary_unary(
            GET_SERVER_INFO,
            request_serializer=pb.GetServerInfoRequest.SerializeToString,
            response_deserializer=pb.GetServerInfoResponse.FromString,
        )
        try:
            answer = ask(
                pb.GetServerInfoRequest(), timeout=timeout_s, metadata=call_metadata(endpoint)
            )
        except grpc.RpcError as error:
            reason = judge(error, accepted=False)
            text = f"no answer from {endpoint.address}: {reason}"
            if isinstance(reason, Broken):
                text += "; does the server run there (c2r serve)?"
            raise ConnectionError(text) from error
    return from_message(ServerInfo, answer)


def judge(error: grpc.RpcError, *, accepted: bool) -> Broken | Refused:
    """What a gRPC status means for a session that was, or was not yet, accepted."""
    code, details = error.code(), error.details() or ""
    text = f"{code.name}: {details}" if details else code.name
    if code in _REFUSALS:
        return Refused(f"the server refuses: {text} ({_REFUSALS[code]})")
    if code is _CODE.RESOURCE_EXHAUSTED and _CROWDED in details:
        return Broken(f"the server has too many calls: {text}")
    if code in _OPENING_REFUSALS and not accepted:
        return Refused(f"the server refuses the session: {text}")
    if code is _CODE.UNAVAILABLE and any(sign in details for sign in _HANDSHAKE):
        advice = "check the CA, the certificate's dates and its name, and that the server uses TLS"
        return Refused(f"TLS fails: {text} ({advice})")
    if code is _CODE.RESOURCE_EXHAUSTED and _TOO_LARGE in details:
        return Refused(f"a message is too large: {text} (use a smaller frame or another codec)")
    return Broken(text)


def judge_wire(error: WireError, *, accepted: bool) -> Broken | Refused:
    """What a message that breaks the contract means: before `Accepted` it will be no better."""
    if not accepted:
        return Refused(f"the server answers what this client cannot use: {error}")
    return Broken(f"the server sent what the contract does not allow: {error}")


def _blocking_channel(endpoint: Endpoint) -> grpc.Channel:
    options = channel_options(MESSAGE_SPARE)
    credentials, names = _credentials(endpoint)
    if credentials is None:
        return grpc.insecure_channel(endpoint.address, options)
    return grpc.secure_channel(endpoint.address, credentials, [*options, *names])


def _credentials(
    endpoint: Endpoint,
) -> tuple[grpc.ChannelCredentials | None, list[tuple[str, Any]]]:
    if not endpoint.tls:
        return None, []
    credentials = grpc.ssl_channel_credentials(
        endpoint.root_ca, endpoint.client_key, endpoint.client_cert
    )
    if endpoint.server_name is None:
        return credentials, []
    names = ("grpc.ssl_target_name_override", "grpc.default_authority")
    return credentials, [(name, endpoint.server_name) for name in names]
