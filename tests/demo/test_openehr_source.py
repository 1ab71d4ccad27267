# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Region Mitt: canonical compositions, versions, AQL."""

from collections.abc import AsyncIterator
import gzip
import json
from pathlib import Path
import tarfile
from typing import Any

import jsonschema_rs
import pytest

from demo.actors import PERSONNUMMER
from demo.people import ASTRID, BERTIL
from demo.regions import aql, aql_rows, openehr
from demo.regions.openehr_store import SYSTEM_ID
from demo.regions.template import TemplateFault, bundled
from demo.scenario.documents import record_text
from tests.demo.network import STAFF, RunningSource, source

BASE = openehr.BASE
RISK = "openEHR-EHR-EVALUATION.adverse_reaction_risk.v2"
ALLERGIES = (
    f"SELECT c/uid/value AS uid, a/data[at0001]/items[at0002]/value/value AS substance, e/ehr_id/value AS ehr "
    f"FROM EHR e CONTAINS COMPOSITION c CONTAINS EVALUATION a[{RISK}] "
    "WHERE e/ehr_status/subject/external_ref/id/value = $number "
    "AND e/ehr_status/subject/external_ref/namespace = $system"
)


@pytest.fixture
async def mitt(tmp_path: Path) -> AsyncIterator[RunningSource]:
    async with source("mitt", openehr.app, tmp_path) as running:
        yield running


def record() -> dict[str, Any]:
    return dict(json.loads(record_text("mitt")))


async def query(mitt: RunningSource, q: str, **more: Any) -> dict[str, Any]:
    parameters = {"number": ASTRID.number, "system": PERSONNUMMER}
    body = {"q": q, "query_parameters": parameters} | more
    answer = await mitt.http.post(f"{BASE}/query/aql", json=body, headers=mitt.network.bearer())
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_documented_risk_is_found_by_aql_and_told(mitt: RunningSource) -> None:
    answer = await mitt.http.post("/document", json=record(), headers=STAFF)
    assert answer.status_code == 201, answer.text
    await mitt.settled()
    result = await query(mitt, ALLERGIES)
    assert [each["name"] for each in result["columns"]] == ["uid", "substance", "ehr"]
    [[uid, substance, ehr]] = result["rows"]
    assert substance == "Naturgummilatex"
    assert uid.endswith(f"::{SYSTEM_ID}::1")
    read = await mitt.http.get(f"{BASE}/ehr/{ehr}/composition/{uid}", headers=mitt.network.bearer())
    assert read.json() == answer.json()
    assert mitt.network.entries()[-1]["extension"][1]["valueUnsignedInt"] == 1
    nobody = await query(mitt, ALLERGIES, query_parameters={"number": BERTIL.number, "system": PERSONNUMMER})
    assert nobody["rows"] == []


async def test_the_same_again_makes_no_version(mitt: RunningSource) -> None:
    first = await mitt.http.post("/document", json=record(), headers=STAFF)
    again = await mitt.http.post("/document", json=record(), headers=STAFF)
    assert (again.status_code, again.headers["etag"]) == (200, first.headers["etag"])


async def test_versions_are_made_in_turn(mitt: RunningSource) -> None:
    [[ehr]] = (await query(mitt, "SELECT e/ehr_id/value FROM EHR e WHERE e/ehr_status/subject/external_ref/id/value = "
                                 "$number"))["rows"]  # fmt: skip
    url = f"{BASE}/ehr/{ehr}/composition"
    created = await mitt.http.post(url, json=record()["composition"], headers=STAFF)
    assert created.status_code == 201
    first = created.headers["etag"].strip('"')
    changed = record()["composition"]
    changed["content"][0]["data"]["items"][-1]["value"]["value"] = "Latexfritt alltid"
    one = f"{url}/{first.partition('::')[0]}"
    assert (await mitt.http.put(one, json=changed, headers=STAFF)).status_code == 400
    updated = await mitt.http.put(one, json=changed, headers=STAFF | {"If-Match": f'"{first}"'})
    assert (updated.status_code, updated.headers["etag"].strip('"')[-3:]) == (200, "::2")
    stale = await mitt.http.put(one, json=changed, headers=STAFF | {"If-Match": f'"{first}"'})
    assert stale.status_code == 412
    old = await mitt.http.get(f"{url}/{first}", headers=mitt.network.bearer())
    assert old.json() == created.json()
    second = updated.headers["etag"].strip('"')
    assert (await mitt.http.delete(f"{url}/{second}", headers=STAFF)).status_code == 204
    assert (await mitt.http.get(one, headers=mitt.network.bearer())).status_code == 204
    assert (await query(mitt, ALLERGIES))["rows"] == []
    await mitt.settled()
    assert mitt.network.entries()[-1]["status"] == "entered-in-error"


def _broken(change: str) -> dict[str, Any]:
    given = record()
    data = given["composition"]["content"][0]["data"]
    if change == "no substance":
        data["items"] = data["items"][1:]
    elif change == "unknown node":
        data["items"][0]["archetype_node_id"] = "at9999"
    elif change == "unknown code":
        data["items"][1]["value"]["defining_code"]["code_string"] = "at0066"
    elif change == "other archetype":
        given["composition"]["content"][0]["archetype_node_id"] = "openEHR-EHR-EVALUATION.problem_diagnosis.v1"
    elif change == "no template":
        del given["composition"]["archetype_details"]["template_id"]
    elif change == "unknown patient":
        given["patient"] = "M-1"
    elif change == "no manifestation":
        cluster = next(each for each in data["items"] if each["_type"] == "CLUSTER")
        cluster["items"] = [each for each in cluster["items"] if each["archetype_node_id"] != "at0006"]
    return given


@pytest.mark.parametrize(
    "change",
    ["no substance", "unknown node", "unknown code", "other archetype", "no template", "unknown patient",
     "no manifestation"],
)  # fmt: skip
async def test_what_breaks_the_template_is_not_stored(mitt: RunningSource, change: str) -> None:
    answer = await mitt.http.post("/document", json=_broken(change), headers=STAFF)
    assert answer.status_code == 422, answer.text
    assert answer.json()["message"]
    await mitt.settled()
    assert mitt.network.entries() == []
    assert (await query(mitt, ALLERGIES))["rows"] == []


async def test_errors_have_openehrs_form(mitt: RunningSource) -> None:
    assert (await mitt.http.post("/document", content=b"{", headers=STAFF)).status_code == 400
    for body in (
        {},
        {"q": "SELECT"},
        {"q": ALLERGIES},
        {"q": "SELECT x/a FROM EHR e"},
        {"q": "SELECT e FROM EHR e", "offset": "x"},
    ):
        answer = await mitt.http.post(f"{BASE}/query/aql", json=body, headers=mitt.network.bearer())
        assert answer.status_code == 400
        assert answer.json()["code"] == 400
    answer = await mitt.http.post(f"{BASE}/query/aql", json={"q": ALLERGIES})
    assert answer.status_code == 401
    answer = await mitt.http.get(f"{BASE}/ehr/none", headers=mitt.network.bearer())
    assert answer.status_code == 400


async def test_templates_and_ehrs(mitt: RunningSource) -> None:
    url = f"{BASE}/definition/template/adl1.4"
    [listed] = (await mitt.http.get(url, headers=mitt.network.bearer())).json()
    read = await mitt.http.get(f"{url}/{listed['template_id']}", headers=mitt.network.bearer())
    assert (await mitt.http.post(url, json=read.json(), headers=STAFF)).status_code == 409
    assert (await mitt.http.post(url, json={}, headers=STAFF)).status_code == 400
    other = read.json() | {"template_id": "other.v1"}
    assert (await mitt.http.post(url, json=other, headers=STAFF)).status_code == 201
    status = {"subject": {"external_ref": {"id": {"value": ASTRID.number}, "namespace": PERSONNUMMER}}}
    assert (await mitt.http.post(f"{BASE}/ehr", json=status, headers=STAFF)).status_code == 409
    assert (await mitt.http.post(f"{BASE}/ehr", json={}, headers=STAFF)).status_code == 400


def _base_type(uri: str) -> dict[str, Any]:
    """The schemas lean on those of the base types, which are not among the data: taken as anything."""
    name = uri.rpartition("/")[2].removesuffix(".json")
    return {"$id": uri, "definitions": {name: {}}}


def test_our_composition_is_valid_by_the_published_json_schema(shared: Path) -> None:
    with tarfile.open(shared / "gateway/openehr/rm-json-schema/rm-1.0.4-json-schema.tar.gz") as archive:
        files = [archive.extractfile(each) for each in archive.getmembers() if each.name.endswith(".json")]
        schemas = [json.loads(file.read()) for file in files if file]
    registry = jsonschema_rs.Registry(
        [(each["$id"], each) for each in schemas if "$id" in each], retriever=_base_type, draft=jsonschema_rs.Draft7
    )
    main = next(each for each in schemas if each.get("$id", "").endswith("/main.json"))
    validator = jsonschema_rs.validator_for(main, registry=registry)
    composition = record()["composition"]
    errors = [each.message for each in validator.iter_errors(composition)]
    assert errors == []
    del composition["composer"]
    assert not validator.is_valid(composition)


def _compositions(shared: Path) -> list[Any]:
    folder = shared / "gateway/openehr"
    found = [
        json.loads(gzip.decompress((folder / "ehrbase/composition/canonical_json/ips_canonical.json.gz").read_bytes()))
    ]
    content = json.loads((folder / "fhirconnect/openfhir-sets/ips/ips.discrete.json").read_text())
    found.append({"_type": "COMPOSITION", "uid": {"value": "x"}, "content": content})
    return found


def test_the_published_compositions_go_through_the_query_engine(shared: Path) -> None:
    ehr: dict[str, Any] = {"ehr_id": {"value": "1"}}
    held = [(ehr, _compositions(shared))]
    risks = aql.parse(f"SELECT a/data[at0001]/items[at0101]/value/defining_code/code_string AS criticality "
                      f"FROM EHR e[ehr_id/value=$ehr] CONTAINS COMPOSITION c CONTAINS EVALUATION a[{RISK}] "
                      f"ORDER BY criticality LIMIT 10".replace("ORDER BY criticality ", ""), {"ehr": "1"})  # fmt: skip
    assert [row[0] for row in aql_rows.evaluate(risks, held)][:2] == ["at0103", "at0102"]
    first = aql.parse("SELECT c/uid/value FROM EHR e CONTAINS COMPOSITION c WHERE c/context/start_time/value > '2020'")
    assert len(aql_rows.evaluate(first, held)) == 1


def test_the_published_ips_entries_hold_by_the_demos_nodes(shared: Path) -> None:
    """The node ids and occurrences of our template are those of the archetype as others use it."""
    template = bundled()[0]
    content = _compositions(shared)[1]["content"]
    entries = [each for each in content if each["archetype_node_id"] == RISK]
    assert len(entries) == 3
    for entry in entries:
        composition = record()["composition"] | {"content": [entry]}
        template.check(composition)
    with pytest.raises(TemplateFault):
        template.check(record()["composition"] | {"content": [each for each in content if each not in entries]})


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("a/x/value = 1", 1),
        ("a/x/value != 1 OR a/y/value LIKE 'la*'", 1),
        ("NOT (a/x/value > 0 AND EXISTS a/z)", 1),
        ("a/y/value matches {'latex', 'nickel'}", 1),
        ("a/x/value >= 2", 0),
        ("a/y[at0002 and value='latex']/value = 'latex'", 0),
        ("a/y[value='latex']/value = 'latex'", 1),
        ("EXISTS a/z", 0),
    ],
)
def test_conditions(where: str, rows: int) -> None:
    entry = {"_type": "EVALUATION", "x": {"value": 1}, "y": {"value": "latex"}}
    held: list[tuple[dict[str, Any], list[Any]]] = [({}, [{"_type": "COMPOSITION", "content": [entry]}])]
    parsed = aql.parse(f"SELECT a FROM EHR e CONTAINS COMPOSITION c CONTAINS EVALUATION a WHERE {where}")
    assert len(aql_rows.evaluate(parsed, held)) == rows


def test_order_offset_and_distinct() -> None:
    held: list[tuple[dict[str, Any], list[Any]]] = [
        ({}, [{"_type": "COMPOSITION", "n": {"value": value}} for value in ("b", "a", "c", "b")])
    ]

    def run(query: str) -> list[Any]:
        return [row[0] for row in aql_rows.evaluate(aql.parse(query), held)]

    base = "FROM EHR e CONTAINS COMPOSITION c"
    assert run(f"SELECT c/n/value {base} ORDER BY c/n/value DESC LIMIT 2 OFFSET 1") == ["b", "b"]
    assert run(f"SELECT DISTINCT c/n/value {base} ORDER BY c/n/value") == ["a", "b", "c"]
    refused = [
        "SELECT c FROM COMPOSITION c",
        "SELECT c/x[] FROM EHR e CONTAINS COMPOSITION c",
        f"SELECT c {base} HAVING 1",
        f"SELECT c {base} WHERE c/n/value = $missing",
        f"SELECT COUNT(c) {base}",
        "DROP TABLE",
    ]
    for wrong in refused:
        with pytest.raises(aql.AqlError):
            aql.parse(wrong)
