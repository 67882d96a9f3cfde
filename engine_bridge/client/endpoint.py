"""Where a server is and how to reach it: address, TLS, token."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from c2r.wire.address import check_address, is_loopback

DEFAULT_ADDRESS = "127.0.0.1:50051"


@dataclass(frozen=True)
class Endpoint:
    """A server: host:port, [IPv6]:port or unix:path, and how to reach it.

    `root_ca`, `client_cert` and `client_key` are PEM; `tls` without `root_ca` trusts the system's
    authorities. `server_name`: the name in the server's certificate where it is not the host.
    `token` is sent with every call, over TLS or to this machine only. ValueError says what to fix.
    """

    address: str = DEFAULT_ADDRESS
    tls: bool = False
    root_ca: bytes | None = field(default=None, repr=False)
    client_cert: bytes | None = field(default=None, repr=False)
    client_key: bytes | None = field(default=None, repr=False)
    server_name: str | None = None
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.address.startswith("unix:"):
            check_address(self.address, DEFAULT_ADDRESS)
        if (self.client_cert is None) != (self.client_key is None):
            raise ValueError("a client certificate and its key go together; give both or neither")
        if not self.tls and (self.root_ca or self.client_cert or self.server_name):
            raise ValueError("certificates need TLS; set tls=True")
        if self.token is not None:
            self._check_token(self.token)

    @property
    def host(self) -> str:
        """The address without its port."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def loopback(self) -> bool:
        """The server runs on this machine."""
        return self.address.startswith("unix:") or is_loopback(self.host)

    def _check_token(self, token: str) -> None:
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError("the token is empty or holds spaces or signs beyond ASCII")
        if not self.tls and not self.loopback:
            raise ValueError(
                f"the token would travel to {self.host} in the clear; use TLS (tls=True, or "
                "--tls-ca FILE)"
            )


def as_endpoint(server: Endpoint | str) -> Endpoint:
    """An endpoint as it is, or one without TLS and token for an address; ValueError if bad."""
    return server if isinstance(server, Endpoint) else Endpoint(server)


def endpoint_from_files(
    address: str,
    *,
    token_file: Path | None = None,
    tls: bool = False,
    tls_ca: Path | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    tls_name: str | None = None,
) -> Endpoint:
    """An endpoint whose secrets and certificates are read from files; any of them turns TLS on.

    OSError names a file that cannot be read.
    """
    root, cert, key = (path.read_bytes() if path else None for path in (tls_ca, tls_cert, tls_key))
    return Endpoint(
        address,
        tls=tls or any((root, cert, key, tls_name)),
        root_ca=root,
        client_cert=cert,
        client_key=key,
        server_name=tls_name,
        token=token_file.read_text(encoding="utf-8").strip() if token_file else None,
    )
