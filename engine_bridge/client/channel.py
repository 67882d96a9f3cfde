"""gRPC channels to an endpoint, and the one call that needs no session."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio

from c2r.wire import ServerInfo
from c2r.wire.convert import from_message
from c2r.wire.v1 import renderer_pb2 as pb
from engine_bridge.client.endpoint import Endpoint
from engine_bridge.client.faults import Broken, judge

SERVICE = "c2r.wire.v1.RenderService"
RENDER_STREAM = f"/{SERVICE}/RenderStream"
GET_SERVER_INFO = f"/{SERVICE}/GetServerInfo"
KEEPALIVE_MS = 20_000
KEEPALIVE_TIMEOUT_MS = 10_000
MESSAGE_SPARE = 1 << 20


def channel_options(largest_message: int) -> list[tuple[str, Any]]:
    """Messages of up to so many bytes may come; pings find a dead connection without traffic."""
    return [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", largest_message),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        # The client has a back-off of its own: a new channel must not wait for an old one's.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_retries", 0),
    ]


def open_channel(endpoint: Endpoint, width: int, height: int) -> grpc.aio.Channel:
    """A channel for pictures of this size, in the running event loop."""
    options = channel_options(2 * width * height * 3 + MESSAGE_SPARE)
    credentials, names = _credentials(endpoint)
    if credentials is None:
        return grpc.aio.insecure_channel(endpoint.address, options)
    return grpc.aio.secure_channel(endpoint.address, credentials, [*options, *names])


def call_metadata(endpoint: Endpoint) -> tuple[tuple[str, str], ...]:
    """What goes with every call."""
    if endpoint.token is None:
        return ()
    return (("authorization", f"Bearer {endpoint.token}"),)


def server_info(endpoint: Endpoint, timeout_s: float = 5.0) -> ServerInfo:
    """What the server is and offers. ConnectionError when it does not answer or refuses."""
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
