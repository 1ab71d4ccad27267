# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Notifications go to public addresses and to those that are named, whatever name or form leads to another."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.crypto import Cipher
from fhir_server.outcome import Unprocessable
from fhir_server.subscriptions.deliver import Courier, client
from fhir_server.subscriptions.endpoint import check_endpoint, permitted
from fhir_server.subscriptions.settings import SubscriptionSettings
from fhir_server.subscriptions.wanted import Wanted
from tests.fhir_server.subscriptions.hospital import opened, subscription
from tests.fhir_server.subscriptions.receiving import Receiver

INTERNAL = (
    "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "10.0.0.1", "172.16.4.4", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "fe80::1", "fd00::1", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:10.0.0.1",
    "::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b::10.0.0.1", "192.0.2.1", "198.18.0.1", "240.0.0.1",
)  # fmt: skip


def settings(**given: Any) -> SubscriptionSettings:
    return SubscriptionSettings(Cipher({1: b"k" * 32}, 1), **given)


@pytest.mark.parametrize("address", INTERNAL)
def test_an_internal_address_is_refused(address: str) -> None:
    assert not permitted(ip_address(address), settings())


@pytest.mark.parametrize("address", ["193.10.1.1", "2a00:801::1", "::ffff:193.10.1.1"])
def test_a_public_address_is_taken(address: str) -> None:
    assert permitted(ip_address(address), settings())


def test_a_network_that_is_named_is_taken_and_no_other() -> None:
    ours = settings(networks=(ip_network("10.20.0.0/16"), ip_network("fd00:1::/32")))
    taken = ("10.20.3.4", "fd00:1::5", "::ffff:10.20.0.1")
    assert all(permitted(ip_address(each), ours) for each in taken)
    assert not any(permitted(ip_address(each), ours) for each in ("10.21.0.1", "fd00:2::1", "127.0.0.1"))


def test_hosts_that_are_registered_are_taken_and_no_others() -> None:
    ours = settings(hosts=frozenset({"region.example"}))
    for url in ("https://region.example/hook", "https://hooks.region.example:8443/a?b=c"):
        check_endpoint(url, ours)
    for url in ("https://notregion.example/", "https://region.example.evil.example/", "https://193.10.1.1/"):
        with pytest.raises(Unprocessable):
            check_endpoint(url, ours)


@asynccontextmanager
async def courier(**given: Any) -> AsyncIterator[Courier]:
    async with client() as http:
        yield Courier(http, settings(**given), lambda: datetime.now(UTC))


def wanted(endpoint: str) -> Wanted:
    return Wanted("urn:t", (), endpoint, "empty", (), None, None, None, None)


@pytest.mark.parametrize("host", ["localhost.", "2130706433", "0x7f.0.0.1", "017700000001", "127.1"])
async def test_a_name_that_leads_inside_is_refused_when_it_is_sent(receiver: Receiver, host: str) -> None:
    async with courier() as carrier:
        failure = await carrier.send(wanted(f"https://{host}:{receiver.port}/"), None, b"{}")
    assert failure is not None
    assert receiver.received == receiver.refused == []


async def test_what_is_not_allowed_any_more_is_not_sent(receiver: Receiver) -> None:
    async with courier(loopback=True) as carrier:
        assert await carrier.send(wanted(receiver.url), None, b"{}") is None
    async with courier() as carrier:
        failure = await carrier.send(wanted(receiver.url), None, b"{}")
    assert failure is not None and "https://" in failure.reason
    assert len(receiver.received) == 1


async def test_an_endpoint_on_this_machine_is_refused_without_the_setting(engine: AsyncEngine) -> None:
    async with opened(engine, loopback=False) as hospital:
        for url in ("http://127.0.0.1:9/", "https://localhost/", "https://[::1]/", "https://127.0.0.1/"):
            answer = await hospital.call("POST", "Subscription", subscription(url), status=422)
            assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "endpoint-not-allowed"
