# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Search over HTTP on a real database: each parameter type, modifier, chain, include and form of result."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.context import Context
from fhir_server.limits import LIMITS
from tests.fhir_server.search.holdings import LOINC, UCUM, concept, observation
from tests.fhir_server.search.library import Library, link, opened
from tests.support.callers import OPERATOR, bearer

pytestmark = pytest.mark.servers
CARE = "http://x/care"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        # string
        ("Patient?family=åke", "p1"),
        ("Patient?name=AKES", "p1 p2"),
        ("Patient?name:exact=akesson", "p2"),
        ("Patient?name:exact=Åkesson", "p1"),
        ("Patient?name:exact=åkesson", ""),
        ("Patient?name:contains=kess", "p1 p2"),
        ("Patient?name:contains=%25", ""),
        # token
        ("Patient?identifier=urn:a|77", "p1"),
        ("Patient?identifier=urn:a|", "p1"),
        ("Patient?identifier=urn:a|78", ""),
        ("Patient?identifier:of-type=http://t|MR|77", "p1"),
        ("Patient?identifier:of-type=http://t|MR|78", ""),
        ("Patient?gender:not=female", "p2"),
        ("Patient?gender=female,male", "p1 p2"),
        ("Patient?gender=http://hl7.org/fhir/administrative-gender|male", "p2"),
        ("Patient?gender=http://hl7.org/fhir/observation-status|male", ""),
        ("Observation?code:text=body", "w1"),
        ("Observation?code:text=vikt", "w1"),
        # date
        ("Patient?birthdate=1950", "p1"),
        ("Patient?birthdate=1950-02-03", ""),
        ("Patient?birthdate=ap1951", "p1"),
        ("Observation?date=ge2024-03-14", "b1 b2"),
        ("Observation?date=sa2024-03-01", "b1"),
        ("Observation?date=lt2024-03-02", "b2"),
        ("Observation?date:missing=true", "w1"),
        # number
        ("RiskAssessment?probability=0.1", "r1 r2"),
        ("RiskAssessment?probability=0.10", "r1"),
        ("RiskAssessment?probability=ge0.1", "r1 r2"),
        ("RiskAssessment?probability=gt0.1", "r2"),
        ("RiskAssessment?probability=ne0.10", "r2"),
        ("RiskAssessment?probability=ap0.12", "r2"),
        # quantity
        ("Observation?value-quantity=70.5", "w1"),
        ("Observation?value-quantity=72", ""),
        ("Observation?value-quantity=70.5||kg", "w1"),
        (f"Observation?value-quantity=70.5|{UCUM}|kg", ""),
        ("Observation?value-quantity:missing=true", "b1 b2"),
        # composite
        (f"Observation?component-code-value-quantity={LOINC}|8480-6$gt140", "b1"),
        ("Observation?component-code-value-quantity=8462-4$gt140", "b2"),
        ("Observation?component-code-value-quantity=8480-6$gt140,8462-4$gt140", "b1 b2"),
        ("Observation?combo-code-value-quantity=29463-7$70.5", "w1"),
        ("DocumentReference?relationship=replaces$DocumentReference/d0", "d1"),
        ("DocumentReference?relationship=replaces$DocumentReference/d2", ""),
        # uri
        ("ValueSet?url=http://acme.org/fhir/ValueSet/1", "v1"),
        ("ValueSet?url:below=http://acme.org/fhir", "v1"),
        ("ValueSet?url:below=http://acme.org/", "v1 v2"),
        ("ValueSet?url:above=http://acme.org/fhir/ValueSet/1/2", "v1"),
        ("ValueSet?_profile=http://x/shareable", "v1"),
        ("ValueSet?_profile=http://x/shareable|1.0", "v1"),
        ("ValueSet?_profile=http://x/shareable|2.0", ""),
        # reference
        ("Observation?subject=Patient/p1", "b1"),
        ("Observation?subject=p1,p2", "b1 b2"),
        ("Observation?subject:Patient=p1", "b1"),
        ("Observation?subject:Group=p1", ""),
        ("Observation?subject=http://elsewhere/Patient/p1", ""),
        ("Observation?subject:identifier=urn:a|77", "w1"),
        ("Organization?partof:below=Organization/o1", "o2 o3"),
        ("Organization?partof:above=Organization/o2", "o2 o3"),
        ("Encounter?service-provider:below=Organization/o1", "e1"),
        # chains
        ("Observation?subject.name=akesson", "b1 b2"),
        ("Observation?subject:Patient.name:exact=akesson", "b2"),
        ("Observation?patient.organization.name=öst", "b1"),
        ("Observation?patient.organization.partof.name=region", "b1"),
        ("Observation?subject._id=p2", "b2"),
        ("Observation?patient.gender:not=female", "b2"),
        ("Patient?_has:Observation:patient:component-code-value-quantity=8480-6$gt140", "p1"),
        ("Patient?_has:Observation:patient:_has:List:item:status=current", "p2"),
        ("Organization?_has:Patient:organization:_has:Observation:patient:date=2024-03-14", "o2"),
        ("Observation?_list=l1", "b2"),
        # all
        ("Observation?_id=b1,w1,nothing", "b1 w1"),
        ("Observation?_lastUpdated=gt2020-01-01", "b1 b2 w1"),
        ("Observation?status=final&subject=p1", "b1"),
    ],
)  # fmt: skip
async def test_a_query_finds(filled: Library, query: str, found: str) -> None:
    assert sorted(await filled.ids(query)) == found.split()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("Patient?nmae=x", "unknown-parameter"),
        ("Patient?name:not=x", "unknown-modifier"),
        ("Patient?near=1", "unknown-parameter"),
        ("Location?_sort=near", "unknown-parameter"),
        ("Patient?_filter=name eq x", "unsupported-parameter"),
        ("Patient?_text=x", "unsupported-parameter"),
        ("Patient?_content=x", "unsupported-parameter"),
        ("Patient?_query=x", "unsupported-parameter"),
        ("Patient?_contained=true", "unsupported-parameter"),
        ("Patient?_list=$current-problems", "not-supported"),
        ("MolecularSequence?chromosome-variant-coordinate=1$2", "invalid-value"),
        ("MolecularSequence?chromosome-variant-coordinate=1$x$3", "invalid-value"),
        ("Observation?code:in=http://vs", "unknown-modifier"),
        ("Observation?value-quantity=x", "invalid-value"),
        ("Observation?value-quantity=5|a", "invalid-value"),
        ("Observation?value-quantity=1e999999", "invalid-value"),
        ("Observation?component-code-value-quantity=8480-6", "invalid-value"),
        ("Observation?status.name=x", "unknown-parameter"),
        ("Observation?subject.nmae=x", "unknown-parameter"),
        ("Observation?subject:Nothing.name=x", "unknown-parameter"),
        ("Observation?subject:below=Patient/p1", "invalid-value"),
        ("Patient?_has:Observation:patient", "invalid-value"),
        ("Organization?_has:Observation:patient:code=x", "unknown-parameter"),
        ("Patient?_include=*", "not-supported"),
        ("Patient?_revinclude=Observation:*", "not-supported"),
        ("Patient?_include=Patient:gender", "unknown-parameter"),
        ("Patient?_include:recurse=Patient:organization", "unknown-modifier"),
        ("Patient?_sort=nmae", "unknown-parameter"),
        ("Observation?_sort=code-value-quantity", "unknown-parameter"),
        ("Patient?_summary=all", "invalid-value"),
        ("Patient?_elements=name&_summary=true", "invalid-value"),
        ("Patient?_elements=$x", "invalid-value"),
        ("Patient?name=%00", "invalid-value"),
        ("Patient?name=%20", "invalid-value"),
        ("Patient?gender=a,,b", "invalid-value"),
        ("Patient?identifier:of-type=MR|77", "invalid-value"),
        ("Organization?" + "partof." * (LIMITS.chain + 1) + "name=x", "too-deep"),
        ("Patient?" + "&".join(["gender=male"] * 65), "too-many"),
        ("Patient?birthdate=" + ",".join(["2020"] * 21), "too-many"),
        ("Patient?identifier=sealed-AAAA", "invalid-value"),
    ],
)
async def test_what_is_not_understood_is_refused(filled: Library, query: str, code: str) -> None:
    assert await filled.refused(query) == code


async def test_lenient_leaves_out_what_is_unknown_and_the_self_link_says_so(filled: Library) -> None:
    bundle = await filled.search("Patient?nmae=x&gender=male&subject.x=1&_include=Patient:x", Prefer="handling=lenient")
    assert [each["resource"]["id"] for each in bundle["entry"]] == ["p2"]
    assert (link(bundle, "self") or "").endswith("/Patient?gender=male")


async def test_a_chain_through_what_is_not_there_leads_nowhere(filled: Library) -> None:
    """The list names an observation that does not exist: no link of a chain may stand on it."""
    entry = [{"item": {"reference": "Observation/nowhere"}}]
    await filled.load([{"resourceType": "List", "id": "l9", "status": "current", "mode": "working", "entry": entry}])
    assert await filled.ids("List?item=Observation/nowhere") == ["l9"]
    assert await filled.ids("List?item:Observation._has:List:item:status=current") == ["l1"]
    filled.content = ""


async def test_the_self_link_shows_what_was_used(filled: Library) -> None:
    bundle = await filled.search("Patient?name:contains=KES&_sort=-birthdate&_count=1&_format=json")
    assert (link(bundle, "self") or "").endswith("/Patient?name%3Acontains=KES&_sort=-birthdate&_count=1")


async def test_a_reference_to_our_own_address_is_ours(filled: Library) -> None:
    base = (link(await filled.search("Patient"), "self") or "").removesuffix("/Patient")
    await filled.load([observation("abs", subject={"reference": f"{base}/Patient/p2"})])
    await filled.load([observation("far", subject={"reference": "http://elsewhere/fhir/Patient/p2"})])
    assert sorted(await filled.ids("Observation?subject=Patient/p2&_id=abs,far")) == ["abs"]
    assert sorted(await filled.ids(f"Observation?subject={base}/Patient/p2")) == ["abs", "b2"]
    assert sorted(await filled.ids("Observation?subject.gender=male&_id=abs,far")) == ["abs"]
    assert await filled.ids("Observation?subject=http://elsewhere/fhir/Patient/p2") == ["far"]
    filled.content = ""


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("birthdate", "a c b x"),
        ("-birthdate", "b c a x"),
        ("family", "c b a x"),
        ("gender,-birthdate", "b a c x"),
        ("-_id", "x c b a"),
        ("_id", "a b c x"),
    ],
)
async def test_sort(library: Library, sort: str, order: str) -> None:
    await library.load(
        [
            {"resourceType": "Patient", "id": "a", "birthDate": "1950", "gender": "female", "name": [{"family": "Ö"}]},
            {"resourceType": "Patient", "id": "b", "birthDate": "1970", "gender": "female", "name": [{"family": "B"}]},
            {"resourceType": "Patient", "id": "c", "birthDate": "1960", "gender": "male", "name": [{"family": "ä"}]},
            {"resourceType": "Patient", "id": "x"},
        ]
    )
    for count in (1, 2, 50):
        assert await library.ids(f"Patient?_sort={sort}&_count={count}") == order.split()


async def test_sort_by_quantity_and_last_update(library: Library) -> None:
    for name, value in (("a", 10), ("b", 9.5), ("c", 100)):
        await library.put(observation(name, valueQuantity={"value": value}))
    assert await library.ids("Observation?_sort=value-quantity&_count=1") == ["b", "a", "c"]
    await library.put(observation("a"))
    assert await library.ids("Observation?_sort=-_lastUpdated&_count=1") == ["a", "c", "b"]
    assert await library.ids("Observation?_sort=_lastUpdated&_count=2") == ["b", "c", "a"]


async def test_total_and_summary_count(filled: Library) -> None:
    assert (await filled.search("Observation?_total=accurate&_count=1"))["total"] == 3
    assert (await filled.search("Observation?_totalMethod=count&_count=0"))["total"] == 3
    assert "total" not in await filled.search("Observation")
    counted = await filled.search("Observation?_summary=count")
    assert (counted["total"], "entry" in counted) == (3, False)


async def test_summaries_and_elements(library: Library) -> None:
    text_of = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}
    given = observation(
        "a", text=text_of, note=[{"text": "n"}], meta={"tag": [{"code": "kept"}]},
        component=[{"code": concept(LOINC, "1"), "valueInteger": 1, "interpretation": [{"text": "high"}]}],
    )  # fmt: skip
    await library.put(given)

    async def sent(query: str) -> dict[str, Any]:
        bundle = await library.search(f"Observation?{query}")
        resource: dict[str, Any] = bundle["entry"][0]["resource"]
        tags = [each["code"] for each in resource["meta"].get("tag", [])]
        assert tags == (["kept"] if query == "_summary=false" else ["kept", "SUBSETTED"])
        return resource

    assert set(await sent("_summary=true")) == {"resourceType", "id", "meta", "status", "code", "component"}
    assert set((await sent("_summary=true"))["component"][0]) == {"code", "valueInteger"}
    assert set(await sent("_summary=text")) == {"resourceType", "id", "meta", "status", "code", "text"}
    assert set(await sent("_summary=data")) == set(given) - {"text"}
    assert set(await sent("_elements=note")) == {"resourceType", "id", "meta", "status", "code", "note"}
    assert set(await sent("_summary=false")) == set(given)


async def test_elements_keep_the_text_of_numbers(library: Library) -> None:
    body = b'{"resourceType":"Observation","id":"n","status":"final",'
    body += b'"code":{"text":"x"},"valueQuantity":{"value":1.500}}'
    url = "/library/fhir/Observation/n"
    stored = await library.http.put(
        url, content=body, headers={**bearer(OPERATOR), "Content-Type": "application/fhir+json"}
    )
    assert stored.status_code == 201, stored.text
    answer = await library.http.get("/library/fhir/Observation?_elements=value", headers=bearer(OPERATOR))
    assert b'"valueQuantity":{"value":1.500}' in answer.content


async def test_tags_profiles_and_labels_are_found(library: Library) -> None:
    meta = {"tag": [{"system": "urn:s", "code": "t"}], "security": [{"code": "R"}], "profile": ["http://p"]}
    await library.put(observation("m", meta=meta))
    for query in ("_tag=urn:s|t", "_security=R", "_profile=http://p"):
        assert await library.ids(f"Observation?{query}") == ["m"]


async def test_composites_of_three_components_match_in_one_group(library: Library) -> None:
    def sequence(name: str, chromosome: str, *variants: tuple[int, int]) -> dict[str, Any]:
        return {
            "resourceType": "MolecularSequence", "id": name, "coordinateSystem": 1,
            "referenceSeq": {"chromosome": concept("urn:c", chromosome), "windowStart": 10, "windowEnd": 20},
            "variant": [{"start": start, "end": end} for start, end in variants],
        }  # fmt: skip

    await library.load(
        [sequence("a", "1", (11, 12), (15, 19)), sequence("b", "2", (11, 12)), sequence("crossed", "1", (11, 19))]
    )
    for query, found in (
        ("chromosome-variant-coordinate=1$ge11$le12", "a"),
        ("chromosome-variant-coordinate=urn:c|1$ge15$19", "a"),
        ("chromosome-variant-coordinate=2$ge11$le12,1$11$19", "b crossed"),
        ("chromosome-window-coordinate=1$lt11$gt19", "a crossed"),
        ("chromosome-variant-coordinate=1$ge16$le19", ""),
    ):
        assert sorted(await library.ids(f"MolecularSequence?{query}")) == found.split(), query


async def test_capabilities_state_the_includes_and_parameters_that_work(library: Library) -> None:
    statement = (await library.http.get("/library/fhir/metadata")).json()
    stated = {each["type"]: each for each in statement["rest"][0]["resource"]}
    assert "Observation:subject" in stated["Observation"]["searchInclude"]
    assert "Observation:subject" in stated["Patient"]["searchRevInclude"]
    assert "Observation:specimen" not in stated["Observation"]["searchInclude"]  # leads to nothing that is served
    assert {"name": "room", "type": "number"} in stated["Location"]["searchParam"]
    told = statement["rest"][0]["documentation"]
    assert "string :contains :exact :missing;" in told
    assert ":not :" in told and ":not-in" not in told  # there is no terminology service here
    assert " eq ne gt lt ge le sa eb ap." in told
    del stated["Consent"]  # only a person may search hers
    for kind, each in stated.items():
        for way in ("searchInclude", "searchRevInclude"):
            asked = [value for value in each.get(way, []) if not value.startswith("Consent:")][:16]
            name = "_include" if way == "searchInclude" else "_revinclude"
            if asked:
                await library.search(f"{kind}?_count=1&" + "&".join(f"{name}={value}" for value in asked))
        for parameter in each["searchParam"]:
            value = {"date": "2026", "number": "1", "quantity": "1", "special": "1|2"}.get(parameter["type"], "x")
            if parameter["type"] != "composite":
                await library.search(f"{kind}?{parameter['name']}={value}")


async def test_one_definition_makes_a_custom_parameter(library: Library) -> None:
    for name, room in (("a", 12), ("b", 40)):
        extension = [{"url": "http://x/room", "valueInteger": room}]
        await library.put({"resourceType": "Location", "id": name, "extension": extension})
    assert await library.ids("Location?room=gt20") == ["b"]
    assert await library.ids("Location?_sort=room") == ["a", "b"]


class Codes:
    """Two codes, one below the other."""

    modifiers = frozenset({"in", "not-in", "above", "below"})

    async def expand(self, context: Context, value_set: str) -> list[tuple[str, str]]:
        return [(LOINC, "85354-9")] if value_set == "http://vs|1" else []

    async def below(self, context: Context, system: str, code: str) -> list[tuple[str, str]]:
        return [(system, code), (LOINC, "85354-9")]

    async def above(self, context: Context, system: str, code: str) -> list[tuple[str, str]]:
        return [(system, code)]


async def test_value_sets_and_hierarchies_come_from_terminology(engine: AsyncEngine) -> None:
    async with opened(engine, terminology=Codes()) as library:
        await library.load([observation("bp"), observation("w", code=concept(LOINC, "29463-7"))])
        assert await library.ids("Observation?code:in=http://vs|1") == ["bp"]
        assert await library.ids("Observation?code:in=http://empty") == []
        assert await library.ids("Observation?code:not-in=http://vs|1") == ["w"]
        assert await library.ids(f"Observation?code:below={LOINC}|vitals") == ["bp"]
        assert await library.ids(f"Observation?code:above={LOINC}|29463-7") == ["w"]
        assert await library.refused("Observation?code:below=vitals") == "invalid-value"
