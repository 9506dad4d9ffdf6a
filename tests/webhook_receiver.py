"""A webhook receiver: a real HTTPS server on loopback, which records requests and verifies their signatures."""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook

from activities.webhooks import WebhookSender
from byok.domain.notifications import WebhookEndpoint

HOST: Final = "receiver.test"
SILENCE: Final = 0
SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW_SECRET: Final = "whsec_bmV3LXNlY3JldC1vZi10aGUtcmVjZWl2ZXI="


@dataclass
class ReceivedRequest:
    """A request that the receiver received.

    Attributes:
        status: The status with which the receiver answered; `SILENCE` if it did not respond.
    """

    target: str
    headers: dict[str, str]
    body: str
    status: int

    def verify(self, secret: str = SECRET) -> Any:
        """Verify the signature as a receiver does, and return the event."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class WebhookReceiver:
    """Answers requests.

    Attributes:
        port: The port on 127.0.0.1.
        certificate: The file with the server's certificate, for `SSL_CERT_FILE`.
        answers: The status and the headers of the next responses, in order; 204 once there are no more. If the status
            is `SILENCE`, the receiver does not respond.
        requests: The received requests, in order.
        resolved: The hosts that the sender resolved, in order.
    """

    port: int
    certificate: Path
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    requests: list[ReceivedRequest] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)

    def build_endpoint(self, name: str = "portal", **changes: Any) -> WebhookEndpoint:
        """Build an endpoint whose URL is this receiver's."""
        values = {"name": name, "url": f"https://{HOST}:{self.port}/hooks?token=hunter2", "secrets": [SECRET]}
        return WebhookEndpoint.model_validate(values | changes)

    def make_sender(self, *, allow_private_addresses: bool = True, addresses: Sequence[str] = ()) -> WebhookSender:
        """Build a sender that resolves every host to the given addresses; by default, to the receiver's address."""

        async def resolve(host: str, _: int) -> Sequence[str]:
            self.resolved.append(host)
            return addresses or ["127.0.0.1"]

        return WebhookSender(allow_private_addresses=allow_private_addresses, resolve=resolve)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read a request, and write the next response."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
            body = (await reader.readexactly(int(headers["content-length"]))).decode()
            status, more = self.answers.pop(0) if self.answers else (204, {})
            self.requests.append(ReceivedRequest(head[0].split(" ")[1], headers, body, status))
            if status == SILENCE:
                await reader.read()
                return
            lines = [f"HTTP/1.1 {status} Status", "content-length: 6", *(f"{key}: {more[key]}" for key in more)]
            writer.write("\r\n".join([*lines, "", "secret"]).encode())
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):  # the sender gave up
            pass
        finally:
            writer.close()


def write_certificate(path: Path) -> None:
    """Write a self-signed certificate for the receiver, and its private key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(HOST), x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(pem) + private)


@asynccontextmanager
async def run_receiver(certificate: Path) -> AsyncIterator[WebhookReceiver]:
    """Run a receiver on a free port."""
    write_certificate(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    received = WebhookReceiver(0, certificate)
    server = await asyncio.start_server(received.handle, "127.0.0.1", 0, ssl=context)
    received.port = server.sockets[0].getsockname()[1]
    async with server:
        yield received


@pytest_asyncio.fixture
async def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WebhookReceiver]:
    """A receiver whose certificate the senders of this test trust."""
    async with run_receiver(tmp_path / "receiver.pem") as running:
        monkeypatch.setenv("SSL_CERT_FILE", str(running.certificate))
        yield running
