# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The published 51-event fault scenario for an allergy register, played against the worker and the register.

The source of the scenario is a list of resource versions; here a unit holds the newest of them, and the index speaks
of each event, duplicates and late versions included. The worker is a process that is killed where it says so.
"""

from collections import Counter
import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.transfer.conftest import Scene
from tests.transfer.working import WorkerProcess

FAULTS = {"503": "unavailable", "ack-lost": "lost-answer", "400": "reject"}
ICD = "urn:oid:1.2.752.116.1.1.1"
ATC = "http://www.whocc.no/atc"


class Source:
    """The units of the scenario."""

    def __init__(self, scene: Scene) -> None:
        self._world = scene.world
        self._people: dict[str, str] = {}
        self._records: dict[str, dict[str, Any]] = {}

    def take(self, operation: str, resource: dict[str, Any]) -> None:
        """A version of a resource as the event brings it."""
        if resource["resourceType"] == "Patient":
            self._patient(resource)
            return
        known = self._records.get(resource["id"])
        if operation == "DELETE":
            assert known is not None
            self._world.delete(*self._place(known))
            return
        if known is None or int(known["meta"]["versionId"]) < int(resource["meta"]["versionId"]):
            self._records[resource["id"]] = resource
        self._document(self._records[resource["id"]])

    def again(self) -> None:
        """The index speaks of everything once more."""
        for (number, unit), records in list(self._world.records.items()):
            for each in list(records.values()):
                self._world.document(number, unit, each)

    def _patient(self, resource: dict[str, Any]) -> None:
        number, before = resource["identifier"][0]["value"], self._people.get(resource["id"])
        mine = [each for each in self._records.values() if each["patient"]["reference"] == f"Patient/{resource['id']}"]
        if before not in (None, number):
            for each in mine:
                self._world.delete(*self._place(each))
        self._people[resource["id"]] = number
        for each in mine:
            self._document(each)

    def _document(self, resource: dict[str, Any]) -> None:
        number, unit, _ = self._place(resource)
        self._world.document(number, unit, resource)

    def _place(self, resource: dict[str, Any]) -> tuple[str, str, str]:
        number = self._people[resource["patient"]["reference"].removeprefix("Patient/")]
        return number, resource["recorder"]["identifier"]["value"], resource["id"]


@pytest.mark.slow
async def test_the_published_fault_scenario(scene: Scene, shared: Path) -> None:
    folder = shared / "transfer" / "registers" / "scenario"
    source, process = Source(scene), WorkerProcess(scene.database_url, scene.world_url)
    await process.start()
    numbers: dict[bytes, str] = {}
    keys: dict[str, str] = {}
    deliveries: list[tuple[str, str, str]] = []
    dead: list[tuple[str, str, str]] = []
    quarantined: dict[int, set[str]] = {}
    for line in (folder / "events.ndjson").read_text().splitlines():
        event = json.loads(line)
        match event["type"]:
            case "resource":
                if event["resource"]["resourceType"] == "Patient":
                    number = event["resource"]["identifier"][0]["value"]
                    numbers[scene.world.person(number).value] = number
                source.take(event["op"], event["resource"])
            case "opt-out":
                scene.world.oppose(event["personnummer"], "c" + event["personnummer"])
            case "opt-in":
                scene.world.return_(event["personnummer"], "c" + event["personnummer"])
            case "receiver-fault":
                await scene.fault(FAULTS[event["kind"]], event["count"])
            case "crash":
                await process.kill()
                process = WorkerProcess(scene.database_url, scene.world_url)
                await process.start()
        await scene.done()
        for key, person, unit, record, reason in await scene.sql(
            "SELECT record_key, person_key, unit, source_record, quarantine FROM transfer.record"
        ):
            keys[key] = f"{numbers[person]}|{unit}|{record.split('|')[-1]}"
            if reason:
                quarantined.setdefault(event["seq"], set()).add(f"{keys[key]} {reason}")
        settled = await scene.sql(
            "SELECT kind, record_key, state FROM transfer.delivery WHERE state IN ('acknowledged', 'dead') ORDER BY id"
        )
        for kind, key, state in settled[len(deliveries) + len(dead) :]:
            (dead if state == "dead" else deliveries).append((str(event["seq"]), kind, keys[key]))
    expected = [(row["event_seq"], row["operation"], row["record_key"]) for row in _rows(folder, "expected_deliveries")]
    assert sorted(deliveries) == sorted(expected)
    assert dead == [(row["event_seq"], row["operation"], row["record_key"])
                    for row in _rows(folder, "expected_dead_letters")]  # fmt: skip
    [wait] = _rows(folder, "expected_quarantine")
    assert quarantined == {42: {f"{wait['record_key']} mandatory-missing:category"}}
    rows = await scene.rows()
    assert (sum(row["deliveries_stored"] for row in rows), sum(row["attempts"] for row in rows)) == (24, 28)
    state = sorted((_variables(row, keys) for row in rows if not row["erased"]), key=lambda each: each["personnummer"])
    assert state == _rows(folder, "expected_register_state")
    # Played again, nothing happens.
    source.again()
    await scene.done()
    assert Counter(row["attempts"] for row in await scene.rows()) == Counter(row["attempts"] for row in rows)
    await process.kill()


def _rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _variables(row: dict[str, Any], keys: dict[str, str]) -> dict[str, str]:
    """The register's columns, derived from what it was sent as its variable list says."""
    content = row["content"]
    number, unit, alert = keys[row["record_key"]].split("|")
    coding = {each["system"]: each["code"] for each in content["code"].get("coding", [])}
    severities = {reaction.get("severity") for reaction in content.get("reaction", [])}
    codes = {
        code["code"]
        for reaction in content.get("reaction", [])
        for manifestation in reaction["manifestation"]
        for code in manifestation.get("coding", [])
        if code["system"] == ICD
    }
    assert unit == content["recorder"]["identifier"]["value"]
    return {
        "personnummer": number,
        "reporting_unit": unit,
        "alert_id": alert,
        "verified_date": content["recordedDate"][:10],
        "hypersensitivity_type": {"medication": "1", "food": "2"}.get(content["category"][0], "3"),
        "atc": coding.get(ATC, ""),
        "agent_text": content["code"].get("text", ""),
        "severity": _severity(content.get("criticality"), severities),
        "certainty": {"confirmed": "1", "unconfirmed": "2", "presumed": "2", "refuted": "3"}[
            content["verificationStatus"]["coding"][0]["code"]
        ],
        "reaction": ";".join(sorted(codes)),
        "onset_date": content.get("onsetDateTime", ""),
        "active": "1" if content["clinicalStatus"]["coding"][0]["code"] == "active" else "0",
    }


def _severity(criticality: str | None, severities: set[str | None]) -> str:
    if criticality == "high":
        return "3"
    if severities & {"moderate", "severe"}:
        return "2"
    return "1" if "mild" in severities else "9"
