# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Which changes are events: filters and criteria, on the version of the event, judged as a search judges."""

from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import text

from fhir_server.search.parameters import codes_of, parameters_for
from fhir_server.search.query import parse_query
from fhir_server.search.version import select_holds
from fhir_server.storage.schema import tables
from tests.fhir_server.clinic import observation
from tests.fhir_server.subscriptions.hospital import (
    ASTRID,
    BERTIL,
    SCHEMA,
    Hospital,
    organization,
    subscription,
)
from tests.fhir_server.subscriptions.receiving import Receiver, until

SEARCHES = (
    "status=final", "status:not=final", "status=final,amended", "code=8480-6", "code=http://loinc.org|8480-6",
    "code=|8480-6", "code:text=blood", "category:missing=true", "date=2026", "date=ge2026-03-01", "date=lt2026-03-01",
    "date=eq2026-03-01", "date:missing=true", "value-quantity=5.4", "value-quantity=gt5.3|http://unitsofmeasure.org|mg",
    "value-quantity=le5", f"subject=Patient/{'61' * 16}", f"subject:Patient={'61' * 16}", "subject:identifier=urn:p|7",
    "_id=o3", "_id=o1,o2", "identifier=urn:i|3", "identifier:of-type=urn:t|MR|3", "component-code-value-quantity=a$5",
    "_tag=x", "value-string=svår", "value-string:contains=vÅr", "value-string:exact=Svår",
)  # fmt: skip


def observations() -> list[dict[str, Any]]:
    quantity = {"value": 5.4, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
    typed = {"coding": [{"system": "urn:t", "code": "MR"}]}
    return [
        observation("o1", ASTRID, "2026-03-01T10:00:00Z"),
        observation("o2", BERTIL, "2026-02", valueQuantity=quantity) | {"status": "amended"},
        observation("o3", ASTRID, "2025-12-31", identifier=[{"system": "urn:i", "value": "3", "type": typed}]),
        observation("o4", BERTIL, None, valueString="Svår", meta={"tag": [{"system": "urn:g", "code": "x"}]}),
        observation("o5", ASTRID, None, code={"text": "Blood pressure"}) | {"status": "preliminary"},
        observation("o6", BERTIL, "2026", category=[{"text": "lab"}], valueQuantity={"value": 5, "comparator": "<"}),
        observation(
            "o7", BERTIL, None,
            component=[{"code": {"coding": [{"code": "a"}]}, "valueQuantity": {"value": 5}}],
        ) | {"subject": {"reference": f"Patient/{BERTIL.hex()}", "identifier": {"system": "urn:p", "value": "7"}}},
    ]  # fmt: skip


async def test_a_version_matches_as_a_search_would_have_found_it(hospital: Hospital) -> None:
    resources = observations()
    for each in resources:
        await hospital.put(each)
    parameters = parameters_for("Observation", codes_of("Observation"))
    found: dict[str, tuple[set[str], set[str]]] = {}
    for search in SEARCHES:
        name, _, value = search.partition("=")
        query = parse_query([(name, value)], parameters)
        entries = (await hospital.call("GET", f"Observation?{search}")).json().get("entry", [])
        held = set()
        async with hospital.engine.connect() as connection:
            for each in resources:
                statement = select_holds(tables(SCHEMA), each, datetime.now(UTC), parameters, query, "")
                if (await connection.execute(statement)).first() is not None:
                    held.add(str(each["id"]))
        found[search] = ({each["resource"]["id"] for each in entries}, held)
    assert {search: held for search, (_, held) in found.items()} == {
        search: searched for search, (searched, _) in found.items()
    }
    assert sum(1 for searched, _ in found.values() if searched) > 24, "most searches of the list find something"


async def test_filters_choose(hospital: Hospital, receiver: Receiver) -> None:
    wanted = (f"Observation?subject=Patient/{ASTRID.hex()}&status:not=final", "Observation?date=ge2026-03-01")
    identity = await hospital.subscribe(subscription(receiver.url, "observation", "id-only", *wanted))
    marker = await hospital.subscribe(subscription(receiver.url, "observation"))
    for name, person, status, date in (
        ("o1", ASTRID, "preliminary", "2026-03-02"), ("o2", BERTIL, "preliminary", "2026-03-02"),
        ("o3", ASTRID, "final", "2026-03-02"), ("o4", ASTRID, "preliminary", "2026-02-27"),
        ("o5", ASTRID, "amended", "2026-04"),
    ):  # fmt: skip
        await hospital.put(observation(name, person, date) | {"status": status})
    await until(lambda: len(receiver.numbers(marker)) == 5 and len(receiver.numbers(identity)) == 2)
    assert receiver.told(identity) == ["Observation/o1", "Observation/o5"]


async def test_a_filter_holds_on_the_version_of_the_event(hospital: Hospital, receiver: Receiver) -> None:
    """What was written while the receiver was away is judged as it was then, not as it is now."""
    identity = await hospital.subscribe(
        subscription(receiver.url, "organization", "full-resource", "Organization?active=true", max_count=1)
    )
    receiver.gate.clear()
    await hospital.put(organization("busy", active=True))
    await until(lambda: receiver.of(identity))
    await hospital.put(organization("o1", active=True, name="first"))
    await hospital.put(organization("o1", active=False, name="second"))
    await hospital.put(organization("o2", active=False))
    await hospital.put(organization("o2", active=True))
    await hospital.call("DELETE", "Organization/o1")
    await hospital.call("DELETE", "Organization/o2")
    receiver.gate.set()
    await until(lambda: len(receiver.numbers(identity)) == 4)
    assert receiver.told(identity) == ["Organization/busy", "Organization/o1", "Organization/o2", "Organization/o2"]
    methods = [part.bundle["entry"][1]["request"]["method"] for part in receiver.of(identity)]
    assert methods == ["POST", "POST", "PUT", "DELETE"]
    assert receiver.of(identity)[1].bundle["entry"][1]["resource"]["name"] == "first"


async def test_criteria_hold_before_and_after(hospital: Hospital, receiver: Receiver) -> None:
    """Became final: by an update from another state, or made so; not corrected while final, not deleted."""
    identity = await hospital.subscribe(subscription(receiver.url, "final"))
    marker = await hospital.subscribe(subscription(receiver.url, "observation"))
    statuses = (("o1", "preliminary"), ("o1", "final"), ("o1", "final"), ("o2", "final"), ("o1", "amended"))
    for name, status in statuses:
        await hospital.put(observation(name, ASTRID) | {"status": status})
    await hospital.call("DELETE", "Observation/o1")
    await hospital.put(observation("o1", ASTRID))
    await until(lambda: len(receiver.numbers(marker)) == 7 and len(receiver.numbers(identity)) == 3)
    assert receiver.told(identity) == ["Observation/o1", "Observation/o2", "Observation/o1"]


async def test_a_topic_of_new_things_tells_nothing_else(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url, "new"))
    await hospital.put(organization("o1"))
    await hospital.put(organization("o1", active=True))
    await hospital.call("DELETE", "Organization/o1")
    await hospital.put(organization("o2"))
    await until(lambda: len(receiver.numbers(identity)) == 2)
    assert receiver.told(identity) == ["Organization/o1", "Organization/o2"]


async def test_an_event_that_nobody_could_judge_stops_no_other(hospital: Hospital, receiver: Receiver) -> None:
    identity = await hospital.subscribe(subscription(receiver.url, "observation"))
    await hospital.put(observation("o1", ASTRID))
    await until(lambda: receiver.numbers(identity))
    await hospital.put(observation("o2", ASTRID))
    broken = orjson.dumps({**observation("o3", ASTRID), "subject": {"reference": "Patient/nobody"}})
    async with hospital.engine.begin() as connection:
        await connection.execute(
            text(f"INSERT INTO {SCHEMA}.resource_history (type, id, version, last_updated, deleted, body, method) "
                 "VALUES ('Observation', 'o3', 1, now(), false, :body, 'PUT')"), {"body": broken}
        )  # fmt: skip
        await connection.execute(
            text(f"INSERT INTO {SCHEMA}.subscription_event (type, id, version, change, occurred) "
                 "VALUES ('Observation', 'o3', 1, 'create', now())")
        )  # fmt: skip
    await hospital.put(observation("o4", ASTRID))
    await until(lambda: len(receiver.numbers(identity)) == 3)
    assert receiver.told(identity) == ["Observation/o1", "Observation/o2", "Observation/o4"]
