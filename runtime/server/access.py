"""Who may connect: where the server listens, its TLS certificates, its bearer token."""

from __future__ import annotations

import errno
import hmac
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import grpc
import grpc.aio

from c2r.wire.address import is_loopback
from runtime.session.settings import ServeSettings, TLSFiles

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_BIND_ERRORS = {
    errno.EADDRINUSE: "the port is taken; --port 0 finds a free one",
    errno.EADDRNOTAVAIL: "this machine has no such address; 127.0.0.1 is always there",
    errno.EACCES: "this port needs privileges; give one from 1024 on",
}
LEAST_TOKEN = 16
"""Characters; anything shorter is guessed."""
_OPEN_TO_ALL = "/grpc.health.v1.Health/"
"""Probes carry no token, and learn nothing but whether the server is up."""


def check_bind(settings: ServeSettings) -> None:
    """`ValueError` for an address that others could reach without TLS."""
    if settings.tls is None and not is_loopback(settings.host):
        raise ValueError(
            f"host {settings.host} can be reached from other machines, and frames would travel in "
            "the clear: give --tls-cert and --tls-key, or listen on 127.0.0.1"
        )


def address_of(host: str, port: int) -> str:
    """`host:port`, with the brackets that IPv6 needs."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def why_not_listening(host: str, port: int) -> str:
    """Why gRPC could not bind the address, in words; "" when the system sees no reason."""
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        return f"the host {host} cannot be resolved; give an IP address, such as 127.0.0.1"
    try:
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, os.name == "posix")
            probe.bind(address)
    except OSError as error:
        return _BIND_ERRORS.get(error.errno or 0, str(error))
    return ""


def read_token(path: Path) -> bytes:
    """The bearer token in a file; `ValueError` for one that is too short or no header value."""
    token = path.read_text(encoding="utf-8").strip()
    if len(token) < LEAST_TOKEN:
        raise ValueError(
            f"{path}: the token has {len(token)} characters, it needs {LEAST_TOKEN} or more; "
            'make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError(f"{path}: the token must be printable ASCII without spaces, on one line")
    return token.encode()


def server_credentials(files: TLSFiles) -> grpc.ServerCredentials:
    """TLS from PEM files; `ValueError` when they do not belong together, `OSError` unread."""
    key, certificate = files.key.read_bytes(), files.certificate.read_bytes()
    client_ca = None if files.client_ca is None else files.client_ca.read_bytes()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
        if files.client_ca is not None:
            context.load_verify_locations(files.client_ca)
    except ssl.SSLError as error:
        raise ValueError(
            f"TLS files {files.certificate}, {files.key}"
            f"{'' if files.client_ca is None else f', {files.client_ca}'} cannot be used: {error}; "
            "give a PEM certificate, its unencrypted PEM key, and the client CA as PEM"
        ) from error
    return grpc.ssl_server_credentials([(key, certificate)], client_ca, client_ca is not None)


def _no_password() -> NoReturn:
    raise ValueError("the TLS key is encrypted; give an unencrypted one")


class BearerGate(grpc.aio.ServerInterceptor):
    """Refuses calls without the token, `authorization: Bearer TOKEN`; compares in constant time."""

    def __init__(self, token: bytes) -> None:
        self._wanted = b"Bearer " + token

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Let the call through, or answer it with UNAUTHENTICATED."""
        details = handler_call_details
        if details.method.startswith(_OPEN_TO_ALL) or self._known(details.invocation_metadata):
            return await continuation(details)
        return grpc.stream_stream_rpc_method_handler(_refuse)

    def _known(self, metadata: Any) -> bool:
        found = [value for key, value in metadata or () if key == "authorization"]
        given = found[0] if len(found) == 1 else ""
        return hmac.compare_digest(
            given.encode() if isinstance(given, str) else given, self._wanted
        )


async def _refuse(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    message = "this server wants a token: send metadata 'authorization: Bearer TOKEN'"
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, message)
