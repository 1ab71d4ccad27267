# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What arrives: handshake, heartbeat and events in each level of content, held against the published examples."""

import hmac
from pathlib import Path
from typing import Any

import orjson
import pytest

from fhir_server.validation import validate
from tests.fhir_server.clinic import observation
from tests.fhir_server.subscriptions.hospital import ASTRID, SECRET, TOPIC, Hospital, organization, subscription
from tests.fhir_server.subscriptions.receiving import Received, Receiver, until


def shape(value: Any) -> Any:
    """A value without what differs from notification to notification; of a told resource only that it is there."""
    match value:
        case {"resourceType": kind} if kind not in ("Bundle", "Parameters"):
            return "a resource"
        case {"type": "history" | "handshake" as kind, **rest}:
            return {"type": kind, **{name: shape(each) for name, each in rest.items()}}
        case dict():
            fixed = ("name", "method", "status", "valueCode", "profile", "resourceType")
            return {name: each if name in fixed else shape(each) for name, each in value.items()}
        case list():
            return [shape(each) for each in value]
        case _:
            return type(value).__name__


def example(shared: Path, name: str, content: str = "") -> Any:
    """The shape of a published example, as its subscription would be told here."""
    file = shared / "transfer" / "subscriptions-backport" / f"Bundle-r4-notification-{name}.json"
    bundle = orjson.loads(file.read_bytes())
    status = bundle["entry"][0]["resource"]
    if content == "empty":  # the profile says of the topic: "SHOULD NOT be present when using empty payloads"
        status["parameter"] = [each for each in status["parameter"] if each["name"] != "topic"]
    return shape(bundle)


async def test_from_subscription_to_notification(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url))
    (handshake,) = receiver.received
    assert (handshake.kind, handshake.parameter("status")) == ("handshake", "requested")
    assert handshake.parameter("events-since-subscription-start") == "0"
    await hospital.put(observation("o1", ASTRID))
    await until(lambda: receiver.of(identity))
    (notification,) = receiver.of(identity)
    (event,) = notification.events
    assert event["event-number"] == "1"
    assert event["focus"]["reference"].endswith("/hospital/fhir/Observation/o1")
    assert notification.parameter("events-since-subscription-start") == "1"
    assert notification.parameter("topic") == f"{TOPIC}observation"


@pytest.mark.parametrize("content", ["empty", "id-only", "full-resource"])
async def test_each_content_has_the_shape_of_the_published_example(
    hospital: Hospital, receiver: Receiver, shared: Path, content: str
) -> None:
    identity = await hospital.subscribe(subscription(receiver.url, "observation", content, heartbeat_period=1))
    await hospital.call("POST", "Observation", observation("x", ASTRID))
    await until(lambda: receiver.of(identity) and receiver.of(identity, "heartbeat"))
    (notification,) = receiver.of(identity)
    (handshake,) = receiver.of(identity, "handshake")
    heartbeat = receiver.of(identity, "heartbeat")[0]
    assert shape(notification.bundle) == example(shared, content, content)
    assert shape(handshake.bundle) == example(shared, "handshake", content)
    assert shape(heartbeat.bundle) == example(shared, "heartbeat", content)
    for each in receiver.received:
        validate(each.body)


async def test_a_resource_is_told_as_it_was_written(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url, "observation", "full-resource"))
    body = orjson.dumps(observation("o1", ASTRID))[:-1] + b',"valueQuantity":{"value":1.500,"unit":"mmol/l"}}'
    await hospital.call("PUT", "Observation/o1", body)
    await until(lambda: receiver.of(identity))
    (notification,) = receiver.of(identity)
    assert b'"value":1.500,' in notification.body
    resource = notification.bundle["entry"][1]["resource"]
    assert (resource["id"], resource["meta"]["versionId"]) == ("o1", "1")


async def test_creation_correction_and_deletion_notify(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url, "observation", "full-resource"))
    await hospital.put(observation("o1", ASTRID))
    await hospital.put({**observation("o1", ASTRID), "status": "entered-in-error"})
    await hospital.call("DELETE", "Observation/o1")
    await hospital.put(observation("o1", ASTRID))
    await until(lambda: len(receiver.numbers(identity)) == 4)
    entries = [each for part in receiver.of(identity) for each in part.bundle["entry"][1:]]
    assert [(each["request"]["method"], each["response"]["status"]) for each in entries] == [
        ("POST", "201"), ("PUT", "200"), ("DELETE", "204"), ("POST", "201"),
    ]  # fmt: skip
    assert [each.get("resource", {}).get("status") for each in entries] == ["final", "entered-in-error", None, "final"]
    assert receiver.told(identity) == ["Observation/o1"] * 4


async def test_a_patch_and_a_transaction_notify(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url, "organization"))
    await hospital.put(organization("a"))
    await hospital.call("PATCH", "Organization/a", [{"op": "add", "path": "/active", "value": True}],
                        kind="application/json-patch+json")  # fmt: skip
    entries = [
        {"resource": organization(name), "request": {"method": "PUT", "url": f"Organization/{name}"}} for name in "bc"
    ]
    await hospital.call("POST", "/hospital/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    await until(lambda: len(receiver.numbers(identity)) == 4)
    assert receiver.told(identity) == ["Organization/a", "Organization/a", "Organization/b", "Organization/c"]


async def test_what_a_transaction_rolls_back_is_not_told(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url, "organization"))
    entries = [
        {"resource": organization("gone"), "request": {"method": "PUT", "url": "Organization/gone"}},
        {"request": {"method": "PUT", "url": "Organization/bad"}, "resource": {**organization("bad"), "active": "no"}},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    await hospital.call("POST", "/hospital/fhir", bundle, status=422)
    await hospital.put(organization("there"))
    await until(lambda: receiver.numbers(identity))
    assert receiver.told(identity) == ["Organization/there"]


async def test_nothing_that_was_before_is_told(hospital: Hospital, receiver: Receiver) -> None:
    await hospital.put(organization("before"))
    identity = await hospital.subscribe(subscription(receiver.url, "organization"))
    await hospital.put(organization("after"))
    await until(lambda: receiver.numbers(identity))
    assert receiver.told(identity) == ["Organization/after"]


async def test_the_receiver_can_hold_a_notification_to_its_signature(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url))
    await hospital.put(observation("o1", ASTRID))
    await until(lambda: receiver.of(identity))
    for each in receiver.received:
        assert signed(each, SECRET)
        assert not signed(each, SECRET + "x")


async def test_a_new_secret_signs_from_then_on_and_none_keeps_it(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url))
    await hospital.call("PUT", f"Subscription/{identity}", {**await hospital.read(identity), "reason": "same secret"})
    await hospital.becomes(identity, "active")
    assert signed(receiver.received[-1], SECRET)
    other = "another-" + SECRET
    await hospital.call("PUT", f"Subscription/{identity}", {**subscription(receiver.url, secret=other), "id": identity})
    await hospital.becomes(identity, "active")
    assert signed(receiver.received[-1], other)


async def test_headers_are_sent_along(hospital: Hospital, receiver: Receiver) -> None:
    await hospital.subscribe(subscription(receiver.url, header=["X-Route: ward 7", "X-Tenant:a"]))
    (handshake,) = receiver.received
    assert (handshake.headers["x-route"], handshake.headers["x-tenant"]) == ("ward 7", "a")
    assert handshake.headers["content-type"] == "application/fhir+json"
    assert handshake.headers["host"] == f"127.0.0.1:{receiver.port}"


async def test_events_come_together_up_to_the_number_asked_for(hospital: Hospital, receiver: Receiver) -> None:
    receiver.gate.clear()
    identity = await hospital.call("POST", "Subscription", subscription(receiver.url, "organization", max_count=3))
    identity = identity.json()["id"]
    await until(lambda: receiver.received)
    for number in range(7):
        await hospital.put(organization(f"o{number}"))
    receiver.gate.set()
    await until(lambda: len(receiver.numbers(str(identity))) == 7)
    found = receiver.of(str(identity))
    assert [len(each.events) for each in found] == [3, 3, 1]
    assert [each.parameter("events-since-subscription-start") for each in found] == ["3", "6", "7"]


async def test_no_more_come_together_when_a_filter_left_out_many(hospital: Hospital, receiver: Receiver) -> None:
    wanted = subscription(receiver.url, "organization", "id-only", "Organization?active=true", max_count=2)
    receiver.gate.clear()
    identity = str((await hospital.call("POST", "Subscription", wanted)).json()["id"])
    await until(lambda: receiver.received)
    for number in range(20):
        await hospital.put(organization(f"o{number}", active=number > 8))
    receiver.gate.set()
    await until(lambda: len(receiver.numbers(identity)) == 11)
    assert [len(each.events) for each in receiver.of(identity)] == [2, 2, 2, 2, 2, 1]
    assert receiver.told(identity) == [f"Organization/o{number}" for number in range(9, 20)]


def signed(received: Received, secret: str) -> bool:
    """As a receiver checks it."""
    parts = dict(each.split("=") for each in received.headers["ndi-signature"].split(","))
    made = hmac.digest(secret.encode(), parts["t"].encode() + b"." + received.body, "sha256").hex()
    return hmac.compare_digest(made, parts["v1"])
