# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$everything: all of the compartment, nothing of what the caller may not see, pages that hold during writes."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from fhir_server.app import routes_of
from fhir_server.context import Access
from fhir_server.endpoint import KernelSettings
from fhir_server.service import ResourceType, Service
from fhir_server.storage.database import create_engine
from tests.fhir_server.clinic import ASTRID, BERTIL, INTERACTIONS, NURSE, OWN, Clinic, observation, opened, person
from tests.support import databases
from tests.support.callers import bearer, patient

HER = f"Patient/{ASTRID.hex()}/$everything"


@pytest.fixture(scope="module")
async def lasting(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Clinic]:
    async with databases.fresh_database(server, template) as url:
        engine = create_engine(url)
        async with opened(engine, tmp_path_factory.mktemp("bulk")) as clinic:
            yield clinic
        await engine.dispose()


@pytest.fixture
async def clinic(lasting: Clinic) -> Clinic:
    await lasting.empty()
    await lasting.put({"resourceType": "Organization", "id": "org", "name": "Ward 1"})
    await lasting.put({"resourceType": "Organization", "id": "elsewhere", "name": "Ward 2"})
    await lasting.put({"resourceType": "Practitioner", "id": "disa"})
    await lasting.put(person(ASTRID, managingOrganization={"reference": "Organization/org"}))
    await lasting.put(person(BERTIL))
    await lasting.put(observation("o1", ASTRID, "2026-01-10", performer=[{"reference": "Practitioner/disa"}]))
    await lasting.put(observation("o2", ASTRID, "2026-03-10"))
    await lasting.put(observation("o3", BERTIL, "2026-01-10"))
    await lasting.put(_about("Condition", "c1", clinicalStatus=_code("active")))
    await lasting.put(_consent("k1"), caller=OWN)
    return lasting


def _about(kind: str, identity: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": kind, "id": identity, "subject": {"reference": f"Patient/{ASTRID.hex()}"}, **more}


def _code(code: str) -> dict[str, Any]:
    return {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": code}]}


def _consent(identity: str) -> dict[str, Any]:
    policy = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentpolicycodes", "code": "cric"}]}
    return {
        "resourceType": "Consent", "id": identity, "status": "active", "scope": {"text": "privacy"},
        "category": [{"text": "privacy"}], "patient": {"reference": f"Patient/{ASTRID.hex()}"}, "policyRule": policy,
    }  # fmt: skip


async def _all(clinic: Clinic, path: str, caller: Any = NURSE) -> list[str]:
    """Everything on all pages, in its order."""
    found: list[str] = []
    url: str | None = path
    while url is not None:
        bundle = (await clinic.get(url, caller)).json()
        found += [f"{each['resource']['resourceType']}/{each['resource']['id']}" for each in bundle.get("entry", ())]
        url = next((each["url"] for each in bundle["link"] if each["relation"] == "next"), None)
    return found


async def test_the_compartment_and_what_it_refers_to(clinic: Clinic) -> None:
    found = await _all(clinic, HER)
    assert found == [
        f"Patient/{ASTRID.hex()}", "Condition/c1", "Observation/o1", "Observation/o2", "Organization/org",
        "Practitioner/disa",
    ]  # fmt: skip
    bundle = (await clinic.get(HER)).json()
    modes = {each["resource"]["resourceType"]: each["search"]["mode"] for each in bundle["entry"]}
    assert (modes["Observation"], modes["Practitioner"]) == ("match", "include")


async def test_a_type_that_the_guard_refuses_is_not_there(clinic: Clinic) -> None:
    assert "Consent/k1" not in await _all(clinic, HER)
    own = await _all(clinic, HER, OWN)
    assert "Consent/k1" in own
    assert await clinic.get(f"{HER}?_type=Consent", status=403)


async def test_a_type_without_a_scope_neither_comes_nor_leads_anywhere(clinic: Clinic) -> None:
    scopes = frozenset({"system/Patient.r", "system/Patient.s", "system/Practitioner.s"})
    limited = replace(NURSE, scopes=scopes)
    assert await _all(clinic, HER, limited) == [f"Patient/{ASTRID.hex()}"]
    limited = replace(limited, scopes=scopes | {"system/Observation.s"})
    assert await _all(clinic, HER, limited) == [
        f"Patient/{ASTRID.hex()}", "Observation/o1", "Observation/o2", "Practitioner/disa",
    ]  # fmt: skip


async def test_another_patient_gets_nothing(clinic: Clinic) -> None:
    await clinic.get(HER, patient(BERTIL), status=403)
    await clinic.get("Patient/never/$everything", status=404)
    await clinic.http.delete(clinic.url(f"Patient/{BERTIL.hex()}"), headers=bearer(NURSE))
    await clinic.get(f"Patient/{BERTIL.hex()}/$everything", status=410)


async def test_a_resource_about_another_that_names_her_stays_with_the_other(clinic: Clinic) -> None:
    """By performer it is in her compartment too; a patient sees what is about her."""
    named = observation("o4", BERTIL, performer=[{"reference": f"Patient/{ASTRID.hex()}"}])
    await clinic.put(named)
    assert "Observation/o4" in await _all(clinic, HER)
    assert "Observation/o4" not in await _all(clinic, HER, OWN)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("start=2026-02-01", {"o2"}),
        ("end=2026-01-10", {"o1"}),
        ("start=2026-01-11&end=2026-03-09", set()),
        ("start=2026-01", {"o1", "o2"}),
    ],
)
async def test_the_period_of_care(clinic: Clinic, query: str, found: set[str]) -> None:
    await clinic.put(observation("undated", ASTRID))
    got = {each for each in await _all(clinic, f"{HER}?{query}") if each.startswith("Observation")}
    assert got == {f"Observation/{each}" for each in found | {"undated"}}
    assert f"Patient/{ASTRID.hex()}" in await _all(clinic, f"{HER}?{query}")


async def test_what_changed_since(clinic: Clinic) -> None:
    newest = (await clinic.get("Condition/c1")).json()["meta"]["lastUpdated"]
    assert await _all(clinic, f"{HER}?_since={newest}") == ["Condition/c1"]
    assert await _all(clinic, f"{HER}?_type=Observation,Organization") == [
        "Observation/o1", "Observation/o2", "Organization/org",
    ]  # fmt: skip


async def test_pages_neither_lose_nor_repeat_while_others_write(clinic: Clinic) -> None:
    for number in range(12):
        await clinic.put(observation(f"p{number:02}", ASTRID))
    before = await _all(clinic, HER)
    found: list[str] = []
    url: str | None = f"{HER}?_count=4"
    while url is not None:
        bundle = (await clinic.get(url)).json()
        found += [f"{each['resource']['resourceType']}/{each['resource']['id']}" for each in bundle["entry"]]
        url = next((each["url"] for each in bundle["link"] if each["relation"] == "next"), None)
        await clinic.put(observation(f"a{len(found):02}", ASTRID))
        await clinic.put(observation("p11", ASTRID, "2026-04-01"))
    assert [each for each in found if each in before] == before
    assert len(set(found)) == len(found)


async def test_a_cursor_is_good_for_its_patient_and_its_caller(clinic: Clinic) -> None:
    bundle = (await clinic.get(f"{HER}?_count=2")).json()
    following = next(each["url"] for each in bundle["link"] if each["relation"] == "next")
    await clinic.get(following)
    await clinic.get(following, OWN, status=400)
    await clinic.get(following.replace(ASTRID.hex(), BERTIL.hex()), status=400)


async def test_post_takes_parameters(clinic: Clinic) -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "_type", "valueCode": "Observation"}, {"name": "start", "valueDate": "2026-02-01"}],
    }
    answer = await clinic.http.post(
        clinic.url(HER), json=body, headers={**bearer(NURSE), "Content-Type": "application/fhir+json"}
    )
    assert [each["resource"]["id"] for each in answer.json()["entry"]] == ["o2"]


@pytest.mark.parametrize("query", ["code=1", "_type=Nonsense", "start=soon", "_count=0", "_cursor=x"])
async def test_what_is_not_understood_is_refused(clinic: Clinic, query: str) -> None:
    outcome = (await clinic.get(f"{HER}?{query}", status=400)).json()
    assert outcome["issue"][0]["details"]["text"]


async def test_it_is_in_the_access_log(clinic: Clinic) -> None:
    clinic.audit.entries.clear()
    await clinic.get(HER)
    ((_, entry),) = clinic.audit.entries
    assert (entry.operation, entry.person, entry.count) == ("everything Patient", ASTRID, 6)


def test_it_is_not_offered_where_it_would_be_incomplete_in_silence() -> None:
    def service(*types: ResourceType) -> Service:
        return Service("partial", "Partial", "/partial", resources=types)

    def offering(name: str) -> ResourceType:
        return ResourceType(name, Access.directory, INTERACTIONS, operations=frozenset({"$everything"}))

    engine = create_engine("postgresql://nobody@localhost/none")
    observations = ResourceType("Observation", Access.directory, INTERACTIONS, search=("subject",))
    with pytest.raises(ValueError, match="needs the search parameter performer of Observation"):
        routes_of(service(offering("Patient"), observations), engine, KernelSettings())
    with pytest.raises(ValueError, match="operation of Patient"):
        routes_of(service(offering("Organization")), engine, KernelSettings())
