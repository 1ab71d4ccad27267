# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The behaviour cases of the engagement index, played over HTTP, every message held against the published schemas."""

import asyncio
from functools import cache
import json
from pathlib import Path
from typing import Any

from lxml import etree
import pytest

from tests.conftest import SHARED
from tests.patient_index.messages import envelope, fault_of, find_content, payload_of, rows_of, update
from tests.patient_index.world import Index
from tests.support.callers import source

CASES_FILE = SHARED / "index" / "ei" / "cases" / "ei-cases.json"
CONTRACTS = SHARED / "index" / "ei" / "contracts" / "TD_ENGAGEMENTINDEX_1_0_R" / "interactions"
NARROW, WIDE = "[0-9]{8}[0-9pPtTfF][0-9]{3}", "[0-9]{8}[0-9A-Zptf]{4}"

PLAYED = {"Update", "FindContent", "Parallel"}
"""What this slice has; cases with other steps wait for ProcessNotification, GetUpdates and subscriptions."""
LATER = {
    *(f"EI-{number:03d}" for number in (63, 64, 66, 67, 69, 70)),  # ProcessNotification
    *(f"EI-{number:03d}" for number in (72, 73, 75, 76, 78, 79, 81)),  # subscribers
    *(f"EI-{number:03d}" for number in (84, 85, 87)),  # GetUpdates
}
CALLER = source("SE2321000016-PROV-A", "Provider A")
# The data writes HSA-ids with a hyphen more than the form allows: they reach the index as ids of another kind.


def _cases() -> dict[str, dict[str, Any]]:
    if not CASES_FILE.is_file():
        return {}
    return {each["id"]: each for each in json.loads(CASES_FILE.read_text())["cases"]}


CASES = _cases()


@cache
def published(operation: str, person: str) -> etree.XMLSchema:
    """The published schema of an operation, its person id as wide as asked."""
    folder = CONTRACTS / f"{operation}Interaction"
    text = (folder / f"{operation}Responder_1.0.xsd").read_text()
    core = (CONTRACTS.parent / "core_components" / "itintegration_engagementindex_1.0.xsd").read_text()

    class Core(etree.Resolver):
        def resolve(self, system_url: str, public_id: str, context: Any) -> Any:  # type: ignore[override]  # the stubs lack the context
            return self.resolve_string(core.replace(NARROW, person), context, base_url=system_url)

    parser = etree.XMLParser()
    parser.resolvers.add(Core())
    return etree.XMLSchema(etree.fromstring(text.encode(), parser, base_url=str(folder / "schema.xsd")))


def test_every_case_is_played_or_named_as_later(shared: Path) -> None:
    played = {each["id"] for each in CASES.values() if {step["op"] for step in each["steps"]} <= PLAYED}
    assert len(CASES) == 58
    assert len(played) == 42
    assert set(CASES) - played == LATER


@pytest.mark.parametrize("case", [each for each in CASES if each not in LATER] or ["none"])
async def test_case(case: str, lasting_index: Index, shared: Path) -> None:
    player = Player(lasting_index, case)
    for step in CASES[case]["steps"]:
        await player.play(step)


class Player:
    """Plays the steps of one case."""

    def __init__(self, index: Index, case: str) -> None:
        self.index, self.case = index, case
        self.seen: list[dict[str, str]] = []

    async def play(self, step: dict[str, Any]) -> None:
        if step["op"] == "Parallel":
            await asyncio.gather(*(self.play(step["step"]) for _ in range(step["times"])))
        elif step["op"] == "Update":
            await self.update(step)
        else:
            await self.find(step)

    async def update(self, step: dict[str, Any]) -> None:
        message = update(step["transactions"] if "transactions" in step else generated(step["generate"]))
        self.check_request("Update", message, step["expect"])
        body = envelope(message, step["logicalAddress"])
        answer = await self.index.soap("Update", body, CALLER)
        if step["expect"].get("fault"):
            self.check_fault(answer.status_code, answer.content, step["expect"])
            return
        assert answer.status_code == 200, answer.text
        payload = payload_of(answer.content)
        self.check_answer("Update", payload)
        assert payload[0].text == step["expect"]["resultCode"]

    async def find(self, step: dict[str, Any]) -> None:
        message, expect = find_content(step["query"]), step["expect"]
        self.check_request("FindContent", message, expect)
        answer = await self.index.soap("FindContent", envelope(message), CALLER)
        if expect.get("fault"):
            self.check_fault(answer.status_code, answer.content, expect)
            return
        assert answer.status_code == 200, answer.text
        payload = payload_of(answer.content)
        self.check_answer("FindContent", payload)
        rows = rows_of(payload)
        assert len(rows) == expect["count"]
        for row in rows:
            assert expect.get("fields", {}).items() <= row.items()
            assert set(expect.get("present", ())) <= set(row)
            assert not set(expect.get("absent", ())) & set(row)
            assert not expect.get("notEquals", {}).items() & row.items()
            for name in expect.get("unchanged", ()):
                assert row[name] == self.seen[0][name]
        self.seen = rows or self.seen

    def person(self) -> str:
        return WIDE if self.case == "EI-061" else NARROW

    def check_request(self, operation: str, message: etree._Element, expect: dict[str, Any]) -> None:
        """What we send is valid, unless the case is about a message that is not."""
        codes = expect.get("code", [])
        may_break = expect.get("fault") and ("EI001" in codes or not codes)
        valid = published(operation, self.person()).validate(message)
        assert valid or may_break

    def check_answer(self, operation: str, payload: etree._Element) -> None:
        published(operation, self.person()).assertValid(payload)

    def check_fault(self, status: int, body: bytes, expect: dict[str, Any]) -> None:
        fault = fault_of(status, body)
        assert status == 500
        codes = expect.get("code", fault.code)
        assert fault.code in ([codes] if isinstance(codes, str) else codes), fault
        for position in expect.get("positions", ()):
            assert str(position) in fault.text
        for step in CASES[self.case]["steps"]:
            for each in step.get("transactions", ()):
                number = each["engagement"]["registeredResidentIdentification"]
                assert not number or number not in fault.text


def generated(recipe: dict[str, Any]) -> list[dict[str, Any]]:
    """Many transactions that differ in one element; what the template leaves out is as in the other cases."""
    template = {
        "serviceDomain": "riv:clinicalprocess:healthcond:description",
        "categorization": "dia",
        "logicalAddress": "SE2321000016-UNIT-A",
        "businessObjectInstanceIdentifier": "BO-1",
        "clinicalProcessInterestId": "NA",
        "mostRecentContent": "20260115120000",
        "sourceSystem": "SE2321000016-SYS-A",
        "dataController": "SE2321000016-PROV-A",
        **recipe["template"],
    }
    return [
        {"deleteFlag": False, "engagement": {**template, recipe["vary"]: f"{template[recipe['vary']]}-{number}"}}
        for number in range(recipe["count"])
    ]
