# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Order, numbers without gaps, receivers that are down, dead letters and their end."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
import time

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.retry import Backoff
from fhir_server.subscriptions.store import SubscriptionStore
from tests.fhir_server.clinic import observation
from tests.fhir_server.subscriptions.hospital import ASTRID, SCHEMA, Hospital, opened, organization, subscription
from tests.fhir_server.subscriptions.receiving import Receiver, until


async def test_concurrent_writers_lose_nothing(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url, "organization", "full-resource"))

    async def write(name: str) -> None:
        for number in range(10):
            await hospital.put(organization(name, alias=[str(number)]))

    await asyncio.gather(*(write(f"w{number}") for number in range(12)))
    await until(lambda: len(receiver.numbers(identity)) == 120)
    assert receiver.numbers(identity) == list(range(1, 121))
    versions: dict[str, list[int]] = {}
    for part in receiver.of(identity):
        for entry in part.bundle["entry"][1:]:
            versions.setdefault(entry["resource"]["id"], []).append(int(entry["resource"]["meta"]["versionId"]))
    assert versions == {f"w{number}": list(range(1, 11)) for number in range(12)}


async def test_a_slow_transaction_is_waited_for(hospital: Hospital, receiver: Receiver) -> None:
    """What it has written sorts before what others wrote and committed since; nobody is told of that too early."""
    identity = await hospital.subscribe(subscription(receiver.url, "organization"))
    async with hospital.engine.connect() as slow:
        await slow.execute(
            text(f"INSERT INTO {SCHEMA}.subscription_event (type, id, version, change, occurred) "
                 "VALUES ('Organization', 'slow', 1, 'create', now())")
        )  # fmt: skip
        await slow.execute(
            text(f"INSERT INTO {SCHEMA}.resource_history (type, id, version, last_updated, deleted, body, method) "
                 "VALUES ('Organization', 'slow', 1, now(), false, "
                 "'{\"resourceType\":\"Organization\",\"id\":\"slow\"}', 'PUT')")
        )  # fmt: skip
        await hospital.put(organization("quick"))
        await asyncio.sleep(0.2)
        assert receiver.numbers(identity) == []
        await slow.commit()
    await until(lambda: len(receiver.numbers(identity)) == 2)
    assert receiver.told(identity) == ["Organization/slow", "Organization/quick"]


async def test_what_was_committed_before_is_not_told_though_others_were_at_work(
    hospital: Hospital, receiver: Receiver
) -> None:
    """While an older transaction runs, the oldest that is handed out is older than the Subscription."""
    async with hospital.engine.connect() as early:
        await early.execute(text("SELECT pg_current_xact_id()"))
        await hospital.put(organization("before"))
        identity = await hospital.subscribe(subscription(receiver.url, "organization"))
        await early.commit()
    await hospital.put(organization("after"))
    await until(lambda: receiver.numbers(identity))
    assert receiver.told(identity) == ["Organization/after"]


async def test_a_failure_of_before_does_not_judge_what_the_owner_changed(
    engine: AsyncEngine, receiver: Receiver
) -> None:
    other = Receiver()
    await other.start()
    async with opened(engine, attempts=1) as hospital:
        identity = await hospital.subscribe(subscription(receiver.url, "organization"))
        receiver.status = 503
        receiver.gate.clear()
        await hospital.put(organization("o1"))
        await until(lambda: receiver.refused)
        moved = {**subscription(other.url, "organization"), "id": identity}
        await hospital.call("PUT", f"Subscription/{identity}", moved)
        receiver.gate.set()
        await until(lambda: other.numbers(identity))
        await hospital.becomes(identity, "active")
        history = (await hospital.call("GET", f"Subscription/{identity}/_history")).json()["entry"]
        assert [each["resource"]["status"] for each in history] == ["active", "requested", "active", "requested"]
        assert other.told(identity) == ["Organization/o1"]
    await other.stop()


async def test_versions_of_a_resource_keep_their_order(hospital: Hospital, receiver: Receiver) -> None:
    """A transaction that began first writes last: by the order of transactions its version would come first."""
    identity = await hospital.subscribe(subscription(receiver.url, "organization", "full-resource"))
    async with hospital.engine.connect() as early:
        await early.execute(text("SELECT pg_current_xact_id()"))
        await hospital.put(organization("shared"))
        await early.execute(
            text(f"INSERT INTO {SCHEMA}.resource_history (type, id, version, last_updated, deleted, body, method) "
                 "VALUES ('Organization', 'shared', 2, now(), false, "
                 "'{\"resourceType\":\"Organization\",\"id\":\"shared\",\"name\":\"second\"}', 'PUT')")
        )  # fmt: skip
        store = SubscriptionStore(hospital.engine, SCHEMA)
        await store.emit(early, "Organization", "shared", 2, "update", datetime.now(UTC))
        await early.commit()
    await until(lambda: len(receiver.numbers(identity)) == 2)
    names = [entry["resource"]["name"] for part in receiver.of(identity) for entry in part.bundle["entry"][1:]]
    assert names == ["shared", "second"]


async def test_a_receiver_that_was_down_gets_everything_in_order(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url, "organization", max_count=2))
    other = Receiver()
    await other.start()
    unhindered = await hospital.subscribe(subscription(other.url, "organization"))
    await receiver.stop()
    for number in range(9):
        await hospital.put(organization(f"o{number}"))

    async def failing() -> bool:
        return int(await hospital.column(identity, "attempts")) > 2

    await until(failing)
    await until(lambda: len(other.numbers(unhindered)) == 9)
    await receiver.start()
    await until(lambda: len(receiver.numbers(identity)) == 9)
    assert receiver.numbers(identity) == list(range(1, 10))
    assert receiver.told(identity) == [f"Organization/o{number}" for number in range(9)]
    await other.stop()


async def test_the_same_numbers_are_sent_again(hospital: Hospital, receiver: Receiver) -> None:
    """An answer that never comes: the receiver may have it or not, so it gets the same once more."""
    identity = await hospital.subscribe(subscription(receiver.url, "organization", timeout=1))
    receiver.gate.clear()
    await hospital.put(organization("o1"))
    await until(lambda: receiver.numbers(identity) == [1, 1])
    receiver.gate.set()
    await hospital.put(organization("o2"))
    await until(lambda: 2 in receiver.numbers(identity))
    assert receiver.told(identity) == ["Organization/o1", "Organization/o2"]


async def test_retry_after_is_honoured(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url, "organization"))
    moment = datetime.now(UTC) + timedelta(hours=1)
    receiver.status, receiver.headers = 429, {"Retry-After": format_datetime(moment, usegmt=True)}
    await hospital.put(organization("o1"))

    async def waiting() -> bool:
        return bool(await hospital.column(identity, "next_attempt > now() + interval '50 minutes'"))

    await until(waiting)


async def test_a_failed_handshake_is_an_error(hospital: Hospital, receiver: Receiver) -> None:
    receiver.status = 500
    identity = (await hospital.call("POST", "Subscription", subscription(receiver.url))).json()["id"]
    await hospital.becomes(identity, "error")
    assert (await hospital.read(identity))["error"] == "the endpoint answered 500"
    assert len(receiver.refused) == 1
    receiver.status = 200
    await hospital.put(observation("o1", ASTRID))
    await hospital.call("PUT", f"Subscription/{identity}", {**await hospital.read(identity), "status": "active"})
    await until(lambda: receiver.numbers(identity))
    assert receiver.told(identity) == ["Observation/o1"]


async def test_redirections_are_not_followed(hospital: Hospital, receiver: Receiver) -> None:
    receiver.status, receiver.headers = 302, {"Location": "http://127.0.0.1:1/elsewhere"}
    identity = (await hospital.call("POST", "Subscription", subscription(receiver.url))).json()["id"]
    await hospital.becomes(identity, "error")
    assert (await hospital.read(identity))["error"] == "the endpoint answered 302"


async def test_a_dead_letter_is_kept_and_goes_on_when_it_is_resumed(engine: AsyncEngine, receiver: Receiver) -> None:
    async with opened(engine, attempts=4, backoff=Backoff(0.01, 0.02)) as hospital:
        identity = await hospital.subscribe(subscription(receiver.url, "organization", max_count=2))
        await hospital.put(organization("delivered"))
        await until(lambda: receiver.numbers(identity) == [1])
        await receiver.stop()
        for number in range(5):
            await hospital.put(organization(f"o{number}"))
        await hospital.becomes(identity, "error")
        found = (await hospital.call("GET", "Subscription?status=error")).json()["entry"]
        assert [each["resource"]["id"] for each in found] == [identity]
        assert "cannot be reached" in found[0]["resource"]["error"]
        (status,) = (await hospital.call("GET", f"Subscription/{identity}/$status")).json()["entry"]
        told = {each["name"]: each for each in status["resource"]["parameter"]}
        assert told["status"]["valueCode"] == "error"
        assert told["error"]["valueCodeableConcept"]["coding"][0]["code"] == "no-response"
        answer = (await hospital.call("GET", f"Subscription/{identity}/$events?eventsSinceNumber=2")).text
        assert "Organization/o0" in answer and "Organization/delivered" not in answer
        await receiver.start()
        body = {**await hospital.read(identity), "status": "active"}
        await hospital.call("PUT", f"Subscription/{identity}", body)
        await until(lambda: len(receiver.numbers(identity)) == 6)
        assert receiver.told(identity) == ["Organization/delivered", *(f"Organization/o{n}" for n in range(5))]
        await hospital.becomes(identity, "active")
        assert "error" not in await hospital.read(identity)
        handshake = receiver.of(identity, "handshake")[-1]
        counted = told["events-since-subscription-start"]["valueString"]
        assert handshake.parameter("events-since-subscription-start") == counted


async def test_it_is_given_up_by_time_too(engine: AsyncEngine, receiver: Receiver) -> None:
    async with opened(engine, give_up=0.3, backoff=Backoff(0.01, 0.05)) as hospital:
        identity = await hospital.subscribe(subscription(receiver.url, "organization"))
        receiver.status = 503
        await hospital.put(organization("o1"))
        await hospital.becomes(identity, "error")


async def test_in_error_for_too_long_it_is_off(engine: AsyncEngine, receiver: Receiver) -> None:
    async with opened(engine, attempts=1, keep=0.0) as hospital:
        identity = await hospital.subscribe(subscription(receiver.url, "organization"))
        receiver.status = 503
        await hospital.put(organization("o1"))
        await hospital.becomes(identity, "error")
    async with opened(engine, attempts=1, keep=0.0) as hospital:  # it sweeps when it begins
        await hospital.becomes(identity, "off")
        assert "too long" in (await hospital.read(identity))["error"]


async def test_what_happens_while_it_is_off_is_not_told(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url, "organization"))
    await hospital.put(organization("before"))
    await until(lambda: receiver.numbers(identity))
    body = await hospital.read(identity)
    await hospital.call("PUT", f"Subscription/{identity}", {**body, "status": "off"})
    await hospital.put(organization("meanwhile"))
    await hospital.call("PUT", f"Subscription/{identity}", {**body, "status": "requested"})
    await hospital.becomes(identity, "active")
    await hospital.put(organization("after"))
    await until(lambda: len(receiver.numbers(identity)) == 2)
    assert receiver.told(identity) == ["Organization/before", "Organization/after"]


async def test_it_ends_at_its_end(hospital: Hospital, receiver: Receiver) -> None:
    end = (datetime.now(UTC) + timedelta(seconds=1)).isoformat(timespec="milliseconds")
    identity = await hospital.subscribe({**subscription(receiver.url, "organization"), "end": end})
    await hospital.becomes(identity, "off")


async def test_a_deleted_one_is_told_nothing_more(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url, "organization"))
    other = await hospital.subscribe(subscription(receiver.url, "organization"))
    await hospital.call("DELETE", f"Subscription/{identity}")
    await hospital.put(organization("o1"))
    await until(lambda: receiver.numbers(other))
    assert receiver.numbers(identity) == []
    await hospital.call("GET", f"Subscription/{identity}/$status", status=404)
    await hospital.call("GET", f"Subscription/{identity}/$events", status=404)


async def test_two_workers_share_the_work(engine: AsyncEngine, receiver: Receiver) -> None:
    async with opened(engine) as hospital, opened(engine) as other:
        wanted = subscription(receiver.url, "organization", max_count=4)
        identities = [await hospital.subscribe(wanted) for _ in range(4)]
        await asyncio.gather(*(each.put(organization(f"o{n}")) for n in range(40) for each in (hospital, other)))
        for identity in identities:
            await until(lambda identity=identity: len(receiver.numbers(identity)) == 80)  # type: ignore[misc]  # mypy cannot infer the default of a lambda
            assert receiver.numbers(identity) == list(range(1, 81))


async def test_heartbeats_come_at_their_period(hospital: Hospital, receiver: Receiver) -> None:
    begun = time.monotonic()
    identity = await hospital.subscribe(subscription(receiver.url, "organization", heartbeat_period=1))
    await until(lambda: len(receiver.of(identity, "heartbeat")) == 2)
    assert time.monotonic() - begun >= 2
