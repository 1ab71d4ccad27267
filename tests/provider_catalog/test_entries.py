# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Writing and finding entries: whose they may be, what form they have, how they are found."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from identifiers import systems
from tests.provider_catalog.conftest import PROVIDER, SYSTEM, UNIT, Catalogue, endpoint, hsa, organization, unit
from tests.support.callers import DENTIST, OPERATOR, SOURCE_MITT, SOURCE_NORR, bearer

FOREIGN = "SE0000000022-VG"


async def test_a_conditional_update_makes_one_entry_however_often_it_is_sent(catalogue: Catalogue) -> None:
    first = await catalogue.put(organization(PROVIDER))
    again = await catalogue.put(organization(PROVIDER, name="Region Norr"))
    assert (again["id"], again["meta"]["versionId"]) == (first["id"], "2")
    assert [each["name"] for each in await catalogue.search("Organization", identifier=PROVIDER)] == ["Region Norr"]


async def test_the_same_update_sent_at_once_makes_one_entry(catalogue: Catalogue) -> None:
    await asyncio.gather(*(catalogue.put(organization(PROVIDER)) for _ in range(6)))
    assert len(await catalogue.search("Organization", identifier=PROVIDER)) == 1


async def test_identifiers_are_stored_in_canonical_form(catalogue: Catalogue) -> None:
    written = organization(PROVIDER)
    written["identifier"] = [
        {"system": f"urn:oid:{systems.OID_HSA_ID_RIVTA}", "value": PROVIDER.lower()},
        {"system": systems.ORGANISATION_NUMBER, "value": "232100-0016"},
    ]
    stored = await catalogue.put(written)
    assert stored["identifier"] == [hsa(PROVIDER), {"system": systems.ORGANISATION_NUMBER, "value": "2321000016"}]
    assert len(await catalogue.search("Organization", identifier=f"{systems.HSA_ID}|{PROVIDER}")) == 1


async def test_an_entry_that_is_canonical_keeps_its_bytes(catalogue: Catalogue) -> None:
    body = (
        '{"resourceType":"Location","identifier":[{"system":"urn:oid:1.2.752.29.4.19","value":"SE0000000011-L1"}],'
        '"status":"active","position":{"longitude":17.10,"latitude":62.390}}'
    )
    answer = await catalogue.http.post(
        catalogue.base + "/Location",
        content=body,
        headers={**bearer(SOURCE_NORR), "Content-Type": "application/fhir+json"},
    )
    assert answer.status_code == 201
    assert '"longitude":17.10,"latitude":62.390' in answer.text


@pytest.mark.parametrize(
    "resource",
    [
        organization(FOREIGN),
        organization("SE0000000099-VG"),
        unit(UNIT, FOREIGN),
        {**organization(PROVIDER, kind=None), "identifier": [{"system": "urn:other", "value": "1"}]},
        unit(UNIT, PROVIDER, partOf={"reference": "Organization/x"}),
        endpoint(SYSTEM, FOREIGN),
        endpoint("SE0000000022-SYS", PROVIDER),
        endpoint(SYSTEM, PROVIDER, managingOrganization={"reference": "Organization/x", "identifier": hsa(PROVIDER)}),
        {"resourceType": "Location", "identifier": [hsa(UNIT)], "managingOrganization": {"identifier": hsa(FOREIGN)}},
        {"resourceType": "HealthcareService", "identifier": [hsa(UNIT)], "providedBy": {"identifier": hsa(FOREIGN)}},
    ],
)
async def test_a_source_writes_only_its_own_entries(catalogue: Catalogue, resource: dict[str, Any]) -> None:
    outcome = await catalogue.put(resource, SOURCE_NORR, status=403)
    assert outcome["issue"][0]["details"]["coding"][0]["code"] == "foreign-entry"
    assert await catalogue.search(resource["resourceType"], identifier=resource["identifier"][0]["value"]) == []


async def test_a_source_cannot_take_over_a_foreign_entry(catalogue: Catalogue) -> None:
    stored = await catalogue.put(organization(PROVIDER), SOURCE_NORR)
    taken = {**organization(FOREIGN), "id": stored["id"]}
    await catalogue.request("PUT", f"/Organization/{stored['id']}", SOURCE_MITT, 403, json=taken)
    await catalogue.request(
        "PUT",
        "/Organization",
        SOURCE_MITT,
        403,
        json=organization(FOREIGN),
        params={"identifier": f"{systems.HSA_ID}|{PROVIDER}"},
    )
    assert (await catalogue.request("GET", f"/Organization/{stored['id']}"))["meta"]["versionId"] == "1"


async def test_an_hsa_id_has_one_organization(catalogue: Catalogue) -> None:
    await catalogue.put(organization(PROVIDER))
    outcome = await catalogue.request("POST", "/Organization", SOURCE_NORR, 409, json=organization(PROVIDER))
    assert outcome["issue"][0]["details"]["coding"][0]["code"] == "hsa-id-taken"


async def test_only_sources_registers_and_the_operator_write(catalogue: Catalogue) -> None:
    dentist = replace(DENTIST, organisation=PROVIDER)
    await catalogue.put(organization(PROVIDER), dentist, status=403)
    await catalogue.put(organization(FOREIGN), OPERATOR)
    await catalogue.put(organization(PROVIDER), replace(SOURCE_NORR, organisation=None), status=403)
    await catalogue.put(organization(PROVIDER), replace(SOURCE_NORR, scopes=frozenset()), status=403)
    assert (await catalogue.http.get(catalogue.base + "/Organization")).status_code == 401


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        (organization("SE1-VG"), "invalid-identifier"),
        ({**organization(PROVIDER), "identifier": [{"system": systems.HSA_ID}]}, "invalid-identifier"),
        ({**organization(PROVIDER), "identifier": [hsa(PROVIDER), hsa(UNIT)]}, "one-hsa-id"),
        (organization(PROVIDER, kind="hospital"), "unknown-kind"),
        ({key: value for key, value in organization(PROVIDER).items() if key != "name"}, "name-missing"),
        (endpoint(SYSTEM, PROVIDER, address="ftp://a.example/"), "bad-address"),
        (endpoint(SYSTEM, PROVIDER, address="http://user:pass@a.example/"), "bad-address"),
        (endpoint(SYSTEM, PROVIDER, address="http://[::1/"), "bad-address"),
        (endpoint(SYSTEM, PROVIDER, address="//a.example/"), "bad-address"),
        (endpoint(SYSTEM, PROVIDER, status="maybe"), "unknown-status"),
        (endpoint(SYSTEM, PROVIDER, types=("alert", "moods")), "unknown-information-type"),
        (endpoint(SYSTEM, PROVIDER, connectionType={"system": "urn:x", "code": "y"}), "unknown-connection-type"),
        (
            endpoint(
                SYSTEM, PROVIDER, connectionType={**endpoint(SYSTEM, PROVIDER)["connectionType"], "code": "telepathy"}
            ),
            "unknown-connection-type",
        ),
        (
            {key: value for key, value in endpoint(SYSTEM, PROVIDER).items() if key != "managingOrganization"},
            "hsa-id-missing",
        ),
        ({**endpoint(SYSTEM, PROVIDER), "address": 17}, "invalid-resource"),
        ({key: value for key, value in endpoint(SYSTEM, PROVIDER).items() if key != "status"}, "invalid-resource"),
    ],
)
async def test_an_entry_that_breaks_a_rule_is_refused(
    catalogue: Catalogue, resource: dict[str, Any], code: str
) -> None:
    outcome = await catalogue.request("POST", f"/{resource['resourceType']}", SOURCE_NORR, 422, json=resource)
    assert outcome["issue"][0]["details"]["coding"][0]["code"] == code
    assert outcome["issue"][0]["expression"]
    assert await catalogue.search(resource["resourceType"]) == []


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b'{"resourceType": "Organization"', "application/fhir+json", 400),
        (b"[]", "application/fhir+json", 400),
        (b'{"resourceType": "Patient"}', "application/fhir+json", 400),
        (b"<Organization/>", "application/fhir+xml", 415),
        (b'{"resourceType": "Organization", "name": "' + b"x" * 1_100_000 + b'"}', "application/fhir+json", 413),
    ],
)
async def test_bad_bodies(catalogue: Catalogue, content: bytes, media_type: str, status: int) -> None:
    answer = await catalogue.http.post(
        catalogue.base + "/Organization", content=content, headers={**bearer(SOURCE_NORR), "Content-Type": media_type}
    )
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_search(catalogue: Catalogue) -> None:
    await catalogue.put(organization(PROVIDER, name="Region Norr"))
    await catalogue.put(unit(UNIT, PROVIDER, name="Medicinkliniken", active=False))
    await catalogue.put(endpoint(SYSTEM, PROVIDER, name="Norrs journal"))
    hit = [("Organization", {"name": "region"}), ("Organization", {"active": "true"})]
    hit += [("Organization", {"type": "care-provider"}), ("Organization", {"identifier": PROVIDER})]
    hit += [("Endpoint", {"connection_type": "fhir-rest"}), ("Endpoint", {"status": "active"})]
    hit += [("Endpoint", {"organization:identifier": PROVIDER}), ("Organization", {"partof:identifier": PROVIDER})]
    for resource_type, params in hit:
        assert len(await catalogue.search(resource_type, caller=DENTIST, **params)) == 1, params
    assert await catalogue.search("Endpoint", status="off") == []
    await catalogue.request("GET", "/Organization", status=400, params={"near": "62.4|17.3"})


async def test_capability_statement(catalogue: Catalogue) -> None:
    statement = (await catalogue.http.get(catalogue.base + "/metadata")).json()
    (rest,) = statement["rest"]
    assert {each["type"] for each in rest["resource"]} == {"Organization", "Endpoint", "Location", "HealthcareService"}
    assert {each["name"] for each in rest["operation"]} == {"resolve", "names", "providers", "export"}
