# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Where notifications may go: an endpoint must not lead a request of ours to what stands behind the firewall.

The name is resolved once for each notification, and the connection goes to the very address that was checked: a name
that leads elsewhere a moment later leads nowhere.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
import socket
from typing import Final

import httpx2

from fhir_server.outcome import Unprocessable
from fhir_server.subscriptions.settings import SubscriptionSettings

_NAT64: Final = ip_network("64:ff9b::/96")
_MAX_LENGTH: Final = 1000

Address = IPv4Address | IPv6Address


class Refused(Exception):
    """The endpoint leads where notifications may not go; the text says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a notification is sent: the address that was checked, the name it is asked for."""

    url: httpx2.URL
    host: str
    """For the header."""
    name: str
    """Which certificate is expected."""


def check_endpoint(endpoint: str, settings: SubscriptionSettings) -> httpx2.URL:
    """The endpoint of a Subscription, as far as it can be judged without asking for its name.

    Raises `Unprocessable`.
    """
    try:
        url = httpx2.URL(endpoint)
    except (httpx2.InvalidURL, ValueError):
        raise _unprocessable("channel.endpoint is no address") from None
    if len(endpoint) > _MAX_LENGTH or not url.host or url.fragment or url.userinfo:
        raise _unprocessable("channel.endpoint must be an address without credentials and fragment")
    here = _literal(url.host)
    local = url.host == "localhost" or (here is not None and here.is_loopback)
    if url.scheme != "https" and not (url.scheme == "http" and local and settings.loopback):
        raise _unprocessable(
            "channel.endpoint must begin with https://, so that notifications go encrypted to a known receiver"
        )
    if settings.hosts and not any(url.host == each or url.host.endswith(f".{each}") for each in settings.hosts):
        raise _unprocessable("notifications are sent to the hosts that are registered here, and this is none of them")
    if (local and not settings.loopback) or (here is not None and not permitted(here, settings)):
        raise _unprocessable("channel.endpoint leads to an internal address, where no notifications are sent")
    return url


async def target(url: httpx2.URL, settings: SubscriptionSettings) -> Target:
    """Where to connect. Raises `Refused`, `OSError` if the name leads nowhere."""
    found = await asyncio.get_running_loop().getaddrinfo(
        url.host, url.port or {"https": 443, "http": 80}[url.scheme], type=socket.SOCK_STREAM
    )
    addresses = [ip_address(each[4][0].partition("%")[0]) for each in found]  # type: ignore[union-attr]  # of AF_INET*
    for address in addresses:
        # One among several is enough to refuse: who answers for the name could choose by turns.
        if not permitted(address, settings):
            raise Refused("the endpoint leads to an internal address")
    return Target(url.copy_with(host=str(addresses[0])), url.netloc.decode(), url.host)


def permitted(address: Address, settings: SubscriptionSettings) -> bool:
    """Whether notifications may be sent to the address: a public one, or one that is named."""
    return all(_one_permitted(each, settings) for each in _meanings(address))


def _one_permitted(address: Address, settings: SubscriptionSettings) -> bool:
    if address.is_loopback:
        return settings.loopback
    if any(address.version == each.version and address in each for each in settings.networks):
        return True
    return address.is_global and not address.is_multicast and not address.is_reserved


def _meanings(address: Address) -> Sequence[Address]:
    """The address and what is reached through it where it stands for another."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    others = [address.sixtofour, address.teredo[1] if address.teredo else None]
    if address in _NAT64:
        others.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [address, *(each for each in others if each is not None)]


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _unprocessable(message: str) -> Unprocessable:
    return Unprocessable(message, expression="Subscription.channel.endpoint", code="endpoint-not-allowed")
