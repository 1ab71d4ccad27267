# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The policy of the subscriber at the moment of delivery: what it withholds leaves no gap and no trace."""

from dataclasses import replace
import random

import pytest

from fhir_server.outcome import Unavailable
from tests.fhir_server.clinic import observation
from tests.fhir_server.subscriptions.hospital import (
    ASTRID,
    BERTIL,
    OTHER,
    OWN,
    REGISTRY,
    SIGHT,
    WARD,
    Hospital,
    subscription,
)
from tests.fhir_server.subscriptions.receiving import Receiver, until


async def test_what_is_withheld_leaves_no_gap_and_no_trace(hospital: Hospital, receiver: Receiver) -> None:
    chance = random.Random(7)
    ours = await hospital.subscribe(subscription(receiver.url))
    others = await hospital.subscribe(subscription(receiver.url), OTHER)
    SIGHT.hidden |= {("SE-A", BERTIL), ("SE-B", ASTRID)}
    whose = [chance.choice((ASTRID, BERTIL)) for _ in range(60)]
    for number, person in enumerate(whose):
        await hospital.put(observation(f"o{number}", person))
    seen = {person: [f"Observation/o{n}" for n, each in enumerate(whose) if each == person] for person in set(whose)}
    await until(lambda: len(receiver.numbers(ours)) == len(seen[ASTRID]))
    await until(lambda: len(receiver.numbers(others)) == len(seen[BERTIL]))
    assert receiver.told(ours) == seen[ASTRID]
    assert receiver.told(others) == seen[BERTIL]
    status = (await hospital.call("GET", f"Subscription/{ours}/$status")).text
    assert f'"{len(seen[ASTRID])}"' in status
    events = (await hospital.call("GET", f"Subscription/{ours}/$events")).text
    assert all(f'{each}"' not in events for each in seen[BERTIL])


async def test_a_patient_is_told_of_her_own(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url), OWN)
    for name, person in (("o1", BERTIL), ("o2", ASTRID), ("o3", BERTIL)):
        await hospital.put(observation(name, person))
    await until(lambda: receiver.numbers(identity))
    assert receiver.told(identity) == ["Observation/o2"]
    assert [entry.ground for caller, entry in hospital.audit.entries if entry.operation.startswith("notify")] == [
        "self"
    ]


async def test_the_access_log_knows_before_the_notification_leaves(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url))
    receiver.gate.clear()
    await hospital.put(observation("o1", ASTRID))
    await until(lambda: receiver.of(identity))
    told = [(caller, entry) for caller, entry in hospital.audit.entries if entry.operation.startswith("notify")]
    ((caller, entry),) = told
    assert (caller.client_id, entry.operation, entry.person) == ("ward", "notify Observation", ASTRID)
    assert entry.detail == {"subscription": identity, "number": 1, "content": "id-only"}


async def test_what_is_sent_again_is_logged_once(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url))
    receiver.status = 503
    await hospital.put(observation("o1", ASTRID))
    await until(lambda: len(receiver.refused) > 3)
    receiver.status = 200
    await until(lambda: receiver.of(identity))
    assert len([entry for _, entry in hospital.audit.entries if entry.operation.startswith("notify")]) == 1


async def test_what_may_not_be_seen_any_more_is_told_by_its_number_alone(
    hospital: Hospital, receiver: Receiver
) -> None:
    """The number may have reached the receiver: it cannot be taken back, but what it was about stays hidden."""
    identity = await hospital.subscribe(subscription(receiver.url, "observation", "full-resource"))
    receiver.status = 503
    await hospital.put(observation("o1", ASTRID))
    await until(lambda: receiver.refused)
    SIGHT.hidden.add(("SE-A", ASTRID))
    await hospital.put(observation("o2", ASTRID))
    await hospital.put(observation("o3", BERTIL))
    receiver.status = 200
    await until(lambda: len(receiver.numbers(identity)) == 2)
    assert receiver.told(identity) == ["", "Observation/o3"]
    assert "Observation/o1" not in receiver.of(identity)[0].body.decode()
    assert "o2" not in "".join(each.body.decode() for each in receiver.received)


async def test_a_scope_that_does_not_cover_the_type_is_refused(hospital: Hospital, receiver: Receiver) -> None:
    few = replace(WARD, scopes=frozenset({"system/Subscription.cruds", "system/Organization.r"}))
    answer = await hospital.call("POST", "Subscription", subscription(receiver.url), few, 403)
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "insufficient-scope"


async def test_scopes_of_the_last_write_are_those_of_the_delivery(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url, "organization"))
    few = replace(WARD, scopes=frozenset({"system/Subscription.cruds"}))
    kept = await hospital.read(identity)
    await hospital.call("PUT", f"Subscription/{identity}", {**kept, "status": "off"}, few)
    await hospital.call("PUT", f"Subscription/{identity}", {**kept, "status": "active"}, few, 403)


async def test_a_client_that_is_revoked_is_told_nothing_more(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url))
    REGISTRY.revoked.add("ward")
    await hospital.put(observation("o1", ASTRID))
    await hospital.becomes(identity, "off")
    assert receiver.of(identity) == []


async def test_a_scope_that_is_lost_is_lost_at_once(hospital: Hospital, receiver: Receiver) -> None:
    scopes = frozenset({"system/Subscription.cruds", "system/Observation.rs"})
    few = replace(WARD, client_id="few", scopes=scopes)
    identity = await hospital.subscribe(subscription(receiver.url), few)
    await hospital.put(observation("o1", ASTRID))
    await until(lambda: receiver.numbers(identity))
    REGISTRY.without["few"] = frozenset({"system/Observation.rs"})
    marker = await hospital.subscribe(subscription(receiver.url))
    await hospital.put(observation("o2", ASTRID))
    await until(lambda: receiver.numbers(marker))

    async def decided() -> bool:
        return bool(await hospital.column(identity, "seq") == await hospital.column(marker, "seq"))

    await until(decided)
    REGISTRY.without.clear()
    await hospital.put(observation("o3", ASTRID))
    await until(lambda: len(receiver.numbers(identity)) == 2)
    assert receiver.told(identity) == ["Observation/o1", "Observation/o3"]


async def test_a_policy_that_cannot_answer_now_is_asked_again(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url))
    SIGHT.failing = Unavailable("not now")
    await hospital.put(observation("o1", ASTRID))
    await until(lambda: SIGHT.asked > 2)
    assert receiver.numbers(identity) == []
    SIGHT.failing = None
    await until(lambda: receiver.numbers(identity))
    assert receiver.told(identity) == ["Observation/o1"]


async def test_a_policy_that_fails_denies(
    hospital: Hospital, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    identity = await hospital.subscribe(subscription(receiver.url))
    organizations = await hospital.subscribe(subscription(receiver.url, "observation", "id-only", "Observation?_id=o2"))
    SIGHT.failing = KeyError("19121212-1212")
    await hospital.put(observation("o1", ASTRID))

    async def decided() -> bool:
        return int(await hospital.column(identity, "seq")) > 0 and int(await hospital.column(organizations, "seq")) > 0

    await until(decided)
    SIGHT.failing = None
    await hospital.put(observation("o2", ASTRID))
    await until(lambda: receiver.numbers(identity) and receiver.numbers(organizations))
    assert receiver.told(identity) == ["Observation/o2"]
    assert "1212" not in capsys.readouterr().out
