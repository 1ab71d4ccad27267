# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The resource: what is refused and how that is told, whose it is, and that its secret is never shown."""

from dataclasses import replace
from typing import Any

import httpx2
import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.app import create_app
from fhir_server.crypto import Cipher
from fhir_server.endpoint import KernelSettings
from fhir_server.outcome import FhirError
from fhir_server.service import Service
from fhir_server.subscriptions.settings import SubscriptionSettings
from fhir_server.subscriptions.topics import Criteria, FilterBy, Topic
from fhir_server.subscriptions.wanted import GUIDE, KEY
from tests.fhir_server.subscriptions.hospital import (
    OTHER,
    SECRET,
    TOPIC,
    WARD,
    Hospital,
    hospital_service,
    opened,
    organization,
    subscription,
)
from tests.fhir_server.subscriptions.receiving import Receiver, until
from tests.support.callers import OPERATOR, ListAudit, TestAuthenticator

APPROX = frozenset({"ap"})
URL = "http://127.0.0.1:1/hook"
CHANNEL_TYPE = f"{GUIDE}StructureDefinition/backport-channel-type"


def changed(path: str, value: Any, *filters: str) -> dict[str, Any]:
    """A Subscription with one element changed; a value None takes it out."""
    made = subscription(URL, "observation", "id-only", *filters)
    *steps, last = path.split(".") if path else [""]
    place = made
    for each in steps:
        place = place[each]
    place.pop(last, None)
    if value is not None:
        place[last] = value
    return made


REFUSED = [
    (changed("criteria", f"{TOPIC}nothing"), "unknown-topic", "capabilitystatement-subscriptiontopic-canonical"),
    (changed("criteria", "Observation?status=final"), "unknown-topic", "canonical URL of a topic"),
    (changed("channel.type", "websocket"), "unsupported-channel", "websocket is not offered; offered: rest-hook"),
    (changed("channel.type", "email"), "unsupported-channel", "email is not offered"),
    (changed("channel._type", {"extension": [{"url": CHANNEL_TYPE, "valueCoding": {"code": "zulip"}}]}),
     "unsupported-channel", "offered: rest-hook"),
    (changed("channel.payload", "application/fhir+xml"), "unprocessable", "application/fhir+json"),
    (changed("channel._payload", None), "unprocessable", "backport-payload-content"),
    (changed("channel.endpoint", None), "unprocessable", "channel.endpoint"),
    (changed("channel.endpoint", "http://receiver.example/hook"), "endpoint-not-allowed", "https://"),
    (changed("channel.endpoint", "ftp://receiver.example/hook"), "endpoint-not-allowed", "https://"),
    (changed("channel.endpoint", "https://user:word@receiver.example/"), "endpoint-not-allowed", "credentials"),
    (changed("channel.endpoint", "https://10.0.0.7/hook"), "endpoint-not-allowed", "internal address"),
    (changed("channel.endpoint", "https://169.254.169.254/latest"), "endpoint-not-allowed", "internal address"),
    (changed("channel.endpoint", "https://[fd00::1]/hook"), "endpoint-not-allowed", "internal address"),
    (changed("channel.header", ["Authorization: Bearer abcdef"]), "credentials-in-header", "signature"),
    (changed("channel.header", ["X-Api-Key: abcdef"]), "credentials-in-header", "signature"),
    (changed("channel.header", ["no header"]), "unprocessable", "Name: value"),
    (changed("channel.header", ["X-A: b\r\nX-C: d"]), "unprocessable", "Name: value"),
    (changed("channel.header", ["Content-Length: 3"]), "unprocessable", "set by the server"),
    (changed("channel.extension", [{"url": KEY, "valueString": "too short"}]), "unprocessable", "32 to 256"),
    (changed("channel.extension", None), "secret-required", KEY),
    (changed("end", "2001-01-01T00:00:00Z"), "unprocessable", "has ended"),
    (changed("reason", "r", "Observation?category=x"), "filter-not-allowed", "filters by status, subject, code, date"),
    (changed("reason", "r", "Observation?status:in=x"), "filter-not-allowed", "it takes :not"),
    (changed("reason", "r", "Observation?subject.name=x"), "filter-not-allowed", "filters by"),
    (changed("reason", "r", "Observation?_has:Provenance:target:agent=x"), "filter-not-allowed", "filters by"),
    (changed("reason", "r", "Patient?_id=x"), "filter-not-allowed", "Observation?parameter=value"),
    (changed("reason", "r", "status=final"), "filter-not-allowed", "Observation?parameter=value"),
    (changed("reason", "r", "Observation?date=ap2026"), "filter-not-allowed", "compares date by"),
    (changed("reason", "r", "Observation?date=yesterday"), "filter-not-allowed", "must be a date"),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "code", "said"), REFUSED)
async def test_what_cannot_be_done_is_refused(hospital: Hospital, resource: Any, code: str, said: str) -> None:
    answer = await hospital.call("POST", "Subscription", resource, status=422)
    (issue,) = answer.json()["issue"]
    assert issue["details"]["coding"][0]["code"] == code
    assert said in issue["details"]["text"]
    assert issue["expression"][0].startswith("Subscription.")
    assert "abcdef" not in answer.text and SECRET not in answer.text


@pytest.mark.parametrize("name", ["admission", "zulip", "multi-resource"])
async def test_the_published_subscriptions_are_understood(hospital: Hospital, shared: Any, name: str) -> None:
    """They ask for a topic that is not ours; with one of ours, their extensions are what is honoured or refused."""
    file = shared / "transfer" / "subscriptions-backport" / f"Subscription-subscription-{name}.json"
    resource = orjson.loads(file.read_bytes())
    del resource["id"], resource["end"]
    answer = await hospital.call("POST", "Subscription", resource, status=422)
    wanted = "unsupported-channel" if name == "zulip" else "unknown-topic"
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == wanted
    if name == "admission":
        resource["criteria"], resource["channel"]["endpoint"] = f"{TOPIC}encounter", URL
        resource["channel"]["extension"].append({"url": KEY, "valueString": SECRET})
        answer = await hospital.call("POST", "Subscription", resource, status=422)
        assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "filter-not-allowed"
        del resource["_criteria"]
        assert (await hospital.call("POST", "Subscription", resource)).json()["status"] == "requested"


async def test_the_secret_is_never_shown(hospital: Hospital, receiver: Receiver) -> None:
    created = await hospital.call("POST", "Subscription", subscription(receiver.url))
    identity = created.json()["id"]
    await hospital.becomes(identity, "active")
    await hospital.put(organization("o1"))
    patched = await hospital.call(
        "PATCH", f"Subscription/{identity}", [{"op": "replace", "path": "/reason", "value": "other"}],
        kind="application/json-patch+json",
    )  # fmt: skip
    answers = [created, patched]
    for path in ("", "/_history", "/_history/1", "/$status", "/$events", "/$meta"):
        answers.append(await hospital.call("GET", f"Subscription/{identity}{path}"))
    for path in ("Subscription", "Subscription/_history", "_history", "Subscription/$status"):
        answers.append(await hospital.call("GET", path))
    assert all(SECRET not in each.text and KEY not in each.text for each in answers)
    assert SECRET.encode() not in await hospital.column(identity, "secret")
    assert not any(SECRET in repr(entry) for entry in hospital.audit.entries)


async def test_anothers_is_as_if_it_did_not_exist(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url))
    body = await hospital.read(identity)
    path = f"Subscription/{identity}"
    for method, place, given in (
        ("GET", path, None), ("GET", f"{path}/_history", None), ("GET", f"{path}/_history/1", None),
        ("GET", f"{path}/$status", None), ("GET", f"{path}/$events", None),
        ("PUT", path, subscription(receiver.url) | {"id": identity}), ("DELETE", path, None),
    ):  # fmt: skip
        answer = await hospital.call(method, place, given, OTHER, 404)
        assert answer.json()["issue"][0]["code"] == "not-found"
    for place in ("Subscription", f"Subscription?_id={identity}", "Subscription/$status", "Subscription/_history"):
        assert "entry" not in (await hospital.call("GET", place, caller=OTHER)).json()
    assert await hospital.read(identity) == body
    assert identity in (await hospital.call("GET", "Subscription?status=active")).text


async def test_an_owner_cannot_be_named_by_another(hospital: Hospital, receiver: Receiver) -> None:
    """The digest of the owner is set by the server: naming another's gives one nothing."""
    theirs = await hospital.subscribe(subscription(receiver.url), OTHER)
    extension = (await hospital.read(theirs, OTHER))["extension"]
    made = await hospital.subscribe({**subscription(receiver.url), "extension": extension})
    assert (await hospital.read(made))["extension"] != extension
    await hospital.call("GET", f"Subscription/{made}", caller=OTHER, status=404)


async def test_an_operator_sees_it_and_leaves_it_to_its_owner(hospital: Hospital, receiver: Receiver) -> None:
    receiver.status = 500
    identity = (await hospital.call("POST", "Subscription", subscription(receiver.url))).json()["id"]
    await hospital.becomes(identity, "error")
    found = (await hospital.call("GET", "Subscription?status=error", caller=OPERATOR)).json()["entry"]
    assert [each["resource"]["id"] for each in found] == [identity]
    receiver.status = 200
    body = {**found[0]["resource"], "status": "requested"}
    await hospital.call("PUT", f"Subscription/{identity}", body, OPERATOR)
    await hospital.becomes(identity, "active", WARD)
    caller = await hospital.column(identity, "caller")
    assert caller["client_id"] == "ward"


async def test_it_is_found_by_what_it_is(hospital: Hospital, receiver: Receiver) -> None:
    one = await hospital.subscribe(subscription(receiver.url, "observation"))
    two = await hospital.subscribe(subscription(receiver.url, "encounter", header=["X-A: b"]))
    for search, found in (
        (f"criteria={TOPIC}encounter", [two]),
        (f"topic={TOPIC}observation", [one]),
        (f"url={receiver.url}", [one, two]),
        ("type=rest-hook&status=active", [one, two]),
        ("status=off", []),
        ("payload=application/fhir%2Bjson", [one, two]),
    ):
        entries = (await hospital.call("GET", f"Subscription?{search}")).json().get("entry", [])
        assert sorted(each["resource"]["id"] for each in entries) == sorted(found), search


async def test_status_of_all_that_are_mine(hospital: Hospital, receiver: Receiver) -> None:
    one, two = [await hospital.subscribe(subscription(receiver.url)) for _ in range(2)]
    await hospital.subscribe(subscription(receiver.url), OTHER)
    off = {**await hospital.read(two), "status": "off"}
    await hospital.call("PUT", f"Subscription/{two}", off)

    def ids(answer: httpx2.Response) -> set[str]:
        bundle = answer.json()
        assert bundle["type"] == "searchset"
        listed = [each["resource"]["parameter"][0]["valueReference"]["reference"] for each in bundle.get("entry", [])]
        return {each.rpartition("/")[2] for each in listed}

    assert ids(await hospital.call("GET", "Subscription/$status")) == {one, two}
    assert ids(await hospital.call("GET", "Subscription/$status?status=off")) == {two}
    assert ids(await hospital.call("GET", f"Subscription/$status?id={one}&id=other")) == {one}
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "id", "valueId": two}]}
    assert ids(await hospital.call("POST", "Subscription/$status", parameters)) == {two}
    await hospital.call("GET", "Subscription/$status?status=wrong", status=400)
    await hospital.call("GET", "Subscription/$status?color=red", status=400)


async def test_events_can_be_asked_for_again(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url, "organization", "empty"))
    for number in range(1, 6):
        await hospital.put(organization(f"o{number}"))
    await until(lambda: len(receiver.numbers(identity)) == 5)

    async def asked(query: str) -> tuple[list[str], int]:
        bundle = (await hospital.call("GET", f"Subscription/{identity}/$events{query}")).json()
        status = bundle["entry"][0]["resource"]["parameter"]
        assert next(each["valueCode"] for each in status if each["name"] == "type") == "query-event"
        numbers = [each["part"][0]["valueString"] for each in status if each["name"] == "notification-event"]
        return numbers, len(bundle["entry"]) - 1

    assert await asked("") == (["1", "2", "3", "4", "5"], 0)
    assert await asked("?eventsSinceNumber=2&eventsUntilNumber=3") == (["2", "3"], 0)
    assert await asked("?eventsSinceNumber=4&content=full-resource") == (["4", "5"], 2)
    assert await asked("?eventsSinceNumber=6") == ([], 0)
    for wrong in ("?eventsSinceNumber=x", "?content=everything", "?eventsSinceInstant=2026"):
        await hospital.call("GET", f"Subscription/{identity}/$events{wrong}", status=400)


async def test_the_capability_statement_tells_the_topics(hospital: Hospital) -> None:
    statement = (await hospital.call("GET", "metadata")).json()
    assert f"{GUIDE}CapabilityStatement/backport-subscription-server-r4" in statement["instantiates"]
    (resource,) = [each for each in statement["rest"][0]["resource"] if each["type"] == "Subscription"]
    url = f"{GUIDE}StructureDefinition/capabilitystatement-subscriptiontopic-canonical"
    assert {each["valueCanonical"] for each in resource["extension"] if each["url"] == url} == {
        f"{TOPIC}{name}" for name in ("observation", "final", "organization", "new", "encounter")
    }
    assert {each["name"] for each in resource["operation"]} == {"events", "status", "meta", "validate"}
    assert f"`{TOPIC}new`: New organisations, on create; filters by nothing" in resource["documentation"]


async def test_an_owner_has_so_many_and_no_more(engine: AsyncEngine, receiver: Receiver) -> None:
    async with opened(engine, per_owner=2) as hospital:
        made = [await hospital.subscribe(subscription(receiver.url)) for _ in range(2)]
        answer = await hospital.call("POST", "Subscription", subscription(receiver.url), status=429)
        assert "delete one" in answer.text
        await hospital.call("DELETE", f"Subscription/{made[0]}")
        await hospital.subscribe(subscription(receiver.url))


@pytest.mark.parametrize(
    "topic",
    [
        Topic("urn:x", "not served", "Device"),
        Topic("urn:x", "of itself", "Subscription"),
        Topic("urn:x", "no parameter", "Organization", filters=(FilterBy("colour"),)),
        Topic("urn:x", "asks a terminology", "Organization", filters=(FilterBy("type", frozenset({"in"})),)),
        Topic("urn:x", "means another thing tomorrow", "Organization", filters=(FilterBy("name", comparators=APPROX),)),
    ],
    ids=lambda topic: topic.title,
)
async def test_a_topic_that_cannot_be_served_is_found_at_start(engine: AsyncEngine, topic: Topic) -> None:
    with pytest.raises(ValueError, match="urn:x"):
        made(engine, replace(hospital_service(), topics=(topic,)))


async def test_criteria_that_follow_references_are_found_at_start(engine: AsyncEngine) -> None:
    topic = Topic("urn:x", "follows", "Organization", criteria=Criteria(current="partof.name=x"))
    with pytest.raises((ValueError, FhirError)):
        made(engine, replace(hospital_service(), topics=(topic,)))


async def test_a_service_with_topics_needs_settings(engine: AsyncEngine) -> None:
    with pytest.raises(ValueError, match=r"needs KernelSettings\.subscriptions"):
        create_app(hospital_service(), engine=engine, authenticator=TestAuthenticator(), audit=ListAudit())


def made(engine: AsyncEngine, service: Service) -> None:
    kernel = KernelSettings(subscriptions=SubscriptionSettings(Cipher({1: b"k" * 32}, 1)))
    create_app(service, engine=engine, authenticator=TestAuthenticator(), audit=ListAudit(), settings=kernel)
