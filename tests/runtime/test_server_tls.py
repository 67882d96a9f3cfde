"""Who may connect over TLS: certificates made here, good ones and bad ones."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from c2r.wire.address import is_loopback
from runtime.server.access import check_bind, read_token
from runtime.server.server import start_server
from runtime.session.settings import TLSFiles
from tests.runtime.bare_client import OPTIONS, stream
from tests.runtime.serving import FIRST, SETTINGS, frames, pipeline, request, run, serving

NOW = dt.datetime.now(dt.UTC)


def name_of(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """Signs certificates for 127.0.0.1, into a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name_of(name)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}.pem"
        certificate = self._builder(self.name, self.key, days=1).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self._write(self.file, certificate.sign(self.key, hashes.SHA256()))

    def _builder(self, subject: x509.Name, key: Any, days: int) -> x509.CertificateBuilder:
        begun = NOW - dt.timedelta(days=10)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begun)
            .not_valid_after(NOW + dt.timedelta(days=days))
        )

    def _write(self, path: Path, certificate: x509.Certificate) -> None:
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, days: int = 1) -> TLSFiles:
        key = ec.generate_private_key(ec.SECP256R1())
        where = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = self._builder(name_of(name), key, days).add_extension(where, critical=False)
        files = TLSFiles(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        self._write(files.certificate, builder.sign(self.key, hashes.SHA256()))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return files


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "authority")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("other"), "stranger")


def trusting(ca: Path, own: TLSFiles | None = None) -> grpc.ChannelCredentials:
    if own is None:
        return grpc.ssl_channel_credentials(ca.read_bytes())
    key, chain = own.key.read_bytes(), own.certificate.read_bytes()
    return grpc.ssl_channel_credentials(ca.read_bytes(), key, chain)


async def rendered(address: str, credentials: grpc.ChannelCredentials) -> bool:
    """Whether a session is served; False when the connection is refused."""
    async with (
        grpc.aio.secure_channel(address, credentials, OPTIONS) as channel,
        stream(address, channel=channel) as client,
    ):
        try:
            await client.send(request())
            await client.until(lambda: client.accepted, timeout_s=10)
            await client.render(frames(FIRST))
        except (AssertionError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
            assert await client.over() is grpc.StatusCode.UNAVAILABLE
            return False
        return True


def test_tls_serves_who_trusts_it(authority, stranger):
    async def test() -> None:
        async with serving(tls=authority.issue("server"), host="0.0.0.0") as server:
            address = server.address.replace("0.0.0.0", "127.0.0.1")
            assert await rendered(address, trusting(authority.file))
            assert not await rendered(address, trusting(stranger.file))
            async with (
                grpc.aio.insecure_channel(address) as channel,
                stream(address, channel=channel) as client,
            ):
                assert await client.over() is grpc.StatusCode.UNAVAILABLE

    run(test())


def test_an_expired_certificate_is_refused_by_the_client(authority):
    async def test() -> None:
        async with serving(tls=authority.issue("old", days=-1)) as server:
            assert not await rendered(server.address, trusting(authority.file))

    run(test())


def test_mutual_tls_serves_who_has_a_good_certificate(authority, stranger):
    async def test() -> None:
        files = replace(authority.issue("mutual"), client_ca=authority.file)
        async with serving(tls=files) as server:
            good, expired = authority.issue("player"), authority.issue("late", days=-1)
            forged = stranger.issue("forged")
            assert await rendered(server.address, trusting(authority.file, good))
            for bad in (None, expired, forged):
                assert not await rendered(server.address, trusting(authority.file, bad))
            assert await rendered(server.address, trusting(authority.file, good))

    run(test())


def test_a_client_without_alpn_is_turned_away_and_others_stay(authority):
    async def test() -> None:
        async with serving(tls=authority.issue("alpn")) as server:
            host, _, port = server.address.rpartition(":")
            context = ssl.create_default_context(cafile=str(authority.file))
            try:
                async with asyncio.timeout(10):
                    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
                    assert await reader.read() == b"", "closed without a word of HTTP/2"
                    writer.close()
            except (ssl.SSLError, ConnectionError):
                pass  # refused in the handshake: as good
            assert await rendered(server.address, trusting(authority.file))

    run(test())


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.20", "::", "example.org", ""])
def test_an_address_that_others_reach_needs_tls(host):
    assert not is_loopback(host)
    with pytest.raises(ValueError, match="--tls-cert"):
        check_bind(replace(SETTINGS, host=host))

    async def test() -> None:
        with pytest.raises(ValueError, match="--tls-cert"):
            await start_server(pipeline(), replace(SETTINGS, host=host))

    run(test())


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_loopback_needs_none(host):
    check_bind(replace(SETTINGS, host=host))


def test_files_that_do_not_belong_together_are_refused(authority, tmp_path):
    one, two = authority.issue("one"), authority.issue("two")
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("hello", encoding="utf-8")
    bad = [
        TLSFiles(one.certificate, two.key),
        TLSFiles(nonsense, one.key),
        TLSFiles(one.certificate, one.key, nonsense),
    ]

    async def test() -> None:
        for files in bad:
            with pytest.raises(ValueError, match="cannot be used"):
                await start_server(pipeline(), replace(SETTINGS, tls=files))
        files = TLSFiles(tmp_path / "absent.pem", one.key)
        with pytest.raises(OSError, match=r"absent\.pem"):
            await start_server(pipeline(), replace(SETTINGS, tls=files))

    run(test())


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("nowhere.invalid", r"the host nowhere\.invalid cannot be resolved"),
        ("192.0.2.1", "this machine has no such address"),
    ],
)
def test_a_host_that_is_not_here_is_no_port_that_is_taken(authority, host, words):
    async def test() -> None:
        settings = replace(SETTINGS, host=host, tls=authority.issue("server"))
        with pytest.raises(OSError, match=words):
            await start_server(pipeline(), settings)

    run(test())


def test_tokens_are_read_from_files(tmp_path):
    file = tmp_path / "token"
    file.write_text("correct-horse-battery\n", encoding="utf-8")
    assert read_token(file) == b"correct-horse-battery"
    for text, words in (("short", "16 or more"), ("two words, and many more", "without spaces")):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=words):
            read_token(file)
