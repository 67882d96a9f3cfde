"""Addresses of servers as clients write them, and loopback: there TLS is not needed."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether the host is this machine; names other than localhost count as remote."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(address: str, example: str = "127.0.0.1:50051") -> None:
    """`ValueError`, with the fix, for what is not host:port or [IPv6]:port.

    gRPC would take a port beyond 65535 modulo 65536, and call somebody else.
    """
    fix = f"; write host:port, for example {example}"
    if "://" in address or "/" in address or address != address.strip():
        raise ValueError(f"server address {address!r} is no host and port{fix}")
    host, _, port = address.rpartition(":")
    # A bare IPv6 address ends in digits too, but they are no port.
    if not host or (":" in host and not host.endswith("]")) or not port.isdecimal():
        raise ValueError(f"server address {address!r} has no port{fix}")
    if not 1 <= int(port) <= 65535:
        raise ValueError(f"server address {address!r}: ports are 1 to 65535{fix}")
