"""Sends one signed request to the URL of an endpoint, unless the URL leads to an address that byok must not reach.

No error in this module contains the URL, the secrets or the response's body.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

import httpx
from pydantic import SecretStr
from standardwebhooks import Webhook

from byok import __version__
from byok.domain.notifications import parse_retry_after

CONNECT_TIMEOUT: Final = timedelta(seconds=5)
REQUEST_TIMEOUT: Final = timedelta(seconds=20)
"""The maximum duration of one delivery, from the DNS lookup to the response headers. Standard Webhooks recommends 15 to
30 seconds.
"""

_NAT64: Final = IPv6Network("64:ff9b::/96")
"""The prefix under which an IPv6-only network reaches IPv4 addresses (RFC 6052 §2.1)."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class AddressNotAllowedError(Exception):
    """The host name of an endpoint does not resolve to any address to which byok is allowed to deliver."""


class EndpointUnreachableError(Exception):
    """An endpoint did not respond. The message gives the reason."""


@dataclass(frozen=True)
class WebhookResponse:
    """What byok reads from a response: the status and `Retry-After`, but never the body.

    Attributes:
        status: The HTTP status.
        retry_after: How long the endpoint asks byok to wait.
    """

    status: int
    retry_after: timedelta | None = None


def sign_webhook(secrets: Sequence[SecretStr], webhook_id: str, now: datetime, body: str) -> dict[str, str]:
    """Return the headers that the Standard Webhooks specification requires, with one signature for each secret.

    Args:
        secrets: The secrets, newest first.
        webhook_id: The id of the notification, which is the same for each attempt.
        now: The time of the attempt, which must be in UTC, because `standardwebhooks` does not convert time zones.
        body: The body, exactly as it is sent.
    """
    signatures = [Webhook(secret.get_secret_value()).sign(webhook_id, now, body) for secret in secrets]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def may_deliver_to(address: str, *, allow_private: bool) -> bool:
    """Return whether byok is allowed to deliver to an IP address.

    Link-local addresses are never allowed, because the instance metadata service has a link-local address and returns
    the worker's AWS credentials. Multicast and unspecified addresses are never allowed either.

    Args:
        address: The IP address.
        allow_private: Whether loopback, private and reserved addresses are allowed.
    """
    found = _unwrap(ip_address(address))
    if found.is_link_local or found.is_multicast or found.is_unspecified:
        return False
    return allow_private or (found.is_global and not found.is_reserved)


def _unwrap(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


async def resolve_host(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host.

    Raises:
        EndpointUnreachableError: The name cannot be resolved.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise EndpointUnreachableError(f"the host name cannot be resolved ({reason or 'invalid name'})") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class WebhookSender:
    """Sends requests to endpoints over new connections. Redirects are not followed, and no proxy is used.

    A request is sent to exactly the address that was checked, so an attacker cannot bypass the check by changing the
    DNS record between the check and the connection. TLS still verifies the host name.

    Args:
        allow_private_addresses: Whether loopback and private addresses are allowed.
        resolve: Returns the IP addresses of a host.
    """

    def __init__(self, *, allow_private_addresses: bool = False, resolve: Resolve = resolve_host) -> None:
        self._allow_private = allow_private_addresses
        self._resolve = resolve

    async def post(self, url: str, headers: Mapping[str, str], body: str) -> WebhookResponse:
        """Send a request, and return the response's status.

        Raises:
            AddressNotAllowedError: byok is not allowed to deliver to any address of the host.
            EndpointUnreachableError: There was no response within `REQUEST_TIMEOUT`.
        """
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT.total_seconds()):
                return await self._post(httpx.URL(url), headers, body)
        except httpx.InvalidURL:
            raise EndpointUnreachableError("its URL is invalid") from None
        except TimeoutError:
            seconds = int(REQUEST_TIMEOUT.total_seconds())
            raise EndpointUnreachableError(f"there was no response within {seconds} s") from None

    async def _post(self, url: httpx.URL, headers: Mapping[str, str], body: str) -> WebhookResponse:
        host, port = url.raw_host.decode(), url.port or 443
        found = await self._resolve(host, port)
        allowed = [one for one in found if may_deliver_to(one, allow_private=self._allow_private)]
        if not allowed:
            raise AddressNotAllowedError(f"its host resolves to {', '.join(found) or 'no address'}")
        error: httpx.TransportError | None = None
        async with httpx.AsyncClient(
            verify=self._tls, trust_env=False, timeout=REQUEST_TIMEOUT.total_seconds()
        ) as client:
            for address in allowed:
                try:
                    return await self._post_to(client, address, url, headers, body)
                except (httpx.ConnectError, httpx.ConnectTimeout) as failed:
                    error = failed  # try the next address, as browsers do
                except httpx.TransportError as failed:
                    error = failed
                    break
        raise EndpointUnreachableError(_describe(error)) from None

    async def _post_to(
        self, client: httpx.AsyncClient, address: str, url: httpx.URL, headers: Mapping[str, str], body: str
    ) -> WebhookResponse:
        request = client.build_request(
            "POST",
            url.copy_with(host=address),
            headers={**headers, "host": url.netloc.decode(), "user-agent": f"byok/{__version__}"},
            content=body.encode(),
            timeout=httpx.Timeout(REQUEST_TIMEOUT.total_seconds(), connect=CONNECT_TIMEOUT.total_seconds()),
            extensions={"sni_hostname": url.raw_host.decode()},
        )
        response = await client.send(request, stream=True)  # the body is not read
        await response.aclose()
        retry_after = parse_retry_after(response.headers.get("retry-after"), datetime.now(UTC))
        return WebhookResponse(response.status_code, retry_after)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """The trusted certificates: those in `SSL_CERT_FILE` or `SSL_CERT_DIR`, or else certifi's."""
        return httpx.create_ssl_context()


def _describe(error: httpx.TransportError | None) -> str:
    """Describe why a request failed.

    The error message is included only for connection errors, because the messages of other errors could contain the
    URL.
    """
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, httpx.ConnectError) else name
