# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$export: what comes, what does not, to whom, and for how long."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
import gzip
from typing import Any

import pytest
from sqlalchemy import text, update

from fhir_server.storage.schema import tables
from tests.fhir_server.bulk.exporting import ASYNC, Exporter
from tests.fhir_server.clinic import ASTRID, BERTIL, NURSE, OTHER, OWN, SCHEMA, observation, person
from tests.support.callers import bearer

HER, HIS = f"Patient/{ASTRID.hex()}", f"Patient/{BERTIL.hex()}"


@pytest.fixture
async def filled(exporter: Exporter) -> Exporter:
    clinic = exporter.clinic
    await clinic.put({"resourceType": "Organization", "id": "org", "name": "Ward 1"})
    await clinic.put({"resourceType": "Organization", "id": "elsewhere", "name": "Ward 2"})
    await clinic.put(person(ASTRID, managingOrganization={"reference": "Organization/org"}))
    await clinic.put(person(BERTIL))
    await clinic.put(observation("o1", ASTRID, "2026-01-10"))
    await clinic.put(observation("o2", BERTIL, "2026-02-10", status="amended"))
    await clinic.put({
        "resourceType": "Group", "id": "g", "type": "person", "actual": True,
        "member": [{"entity": {"reference": HER}}, {"entity": {"reference": HIS}, "inactive": True}],
    })  # fmt: skip
    return exporter


async def test_all_of_the_system(filled: Exporter) -> None:
    manifest = await filled.manifest("$export")
    assert manifest["requiresAccessToken"] is True
    assert manifest["request"].endswith("/clinic/fhir/$export")
    found = {f"{each['resourceType']}/{each['id']}" for each in await filled.lines(manifest)}
    assert found == {
        HER, HIS, "Observation/o1", "Observation/o2", "Organization/org", "Organization/elsewhere", "Group/g",
    }  # fmt: skip
    assert (manifest["deleted"], manifest["error"]) == ([], [])


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("Patient/$export", {HER, HIS, "Observation/o1", "Observation/o2", "Group/g"}),
        ("Patient/$export?_type=Patient,Organization", {HER, HIS, "Organization/org"}),
        ("Group/g/$export", {HER, "Observation/o1", "Group/g"}),
        ("Group/g/$export?_type=Observation&_type=Patient", {HER, "Observation/o1"}),
        ("$export?_type=Observation&_typeFilter=Observation%3Fstatus%3Damended", {"Observation/o2"}),
        (
            "$export?_type=Observation&_typeFilter=Observation%3Fstatus%3Damended,Observation%3Fdate%3Dlt2026-02",
            {"Observation/o1", "Observation/o2"},
        ),
        ("$export?_type=Observation&_typeFilter=Observation%3Fsubject.organization.name%3DWard", {"Observation/o1"}),
    ],
)
async def test_levels_types_and_filters(filled: Exporter, path: str, found: set[str]) -> None:
    assert await filled.ids(path) == found


async def test_a_type_of_one_file_has_a_limited_number_of_lines(filled: Exporter) -> None:
    for number in range(23):
        await filled.clinic.put(observation(f"n{number}", ASTRID))
    manifest = await filled.manifest("$export?_type=Observation&_outputFormat=ndjson")
    assert [each["count"] for each in manifest["output"]] == [10, 10, 5]
    assert len({each["id"] for each in await filled.lines(manifest)}) == 25


async def test_resources_come_as_the_bytes_that_were_stored(filled: Exporter) -> None:
    body = b'{"resourceType":"Organization","id":"dec","name":"D",\n  "extension":[{"url":"http://a",\r\n"valueDecimal":1.500}]}'
    headers = {**bearer(NURSE), "Content-Type": "application/fhir+json"}
    await filled.clinic.http.put(filled.clinic.url("Organization/dec"), content=body, headers=headers)
    manifest = await filled.manifest("$export?_typeFilter=Organization%3F_id%3Ddec&_type=Organization")
    (file,) = manifest["output"]
    answer = await filled.clinic.get(file["url"])
    assert '"valueDecimal":1.500' in answer.text and answer.text.count("\n") == 1


async def test_elements(filled: Exporter) -> None:
    manifest = await filled.manifest("$export?_type=Observation,Organization&_elements=id,Observation.status")
    for each in await filled.lines(manifest):
        assert each["meta"]["tag"][0]["code"] == "SUBSETTED"
        assert ("subject" in each, "name" in each) == (False, False)
        assert each["resourceType"] == "Organization" or each["status"]


async def test_since_brings_the_changed_and_names_the_deleted(filled: Exporter) -> None:
    clinic = filled.clinic
    since = (await clinic.get(HIS)).json()["meta"]["lastUpdated"]
    await clinic.http.delete(clinic.url("Observation/o1"), headers=bearer(NURSE))
    await clinic.http.delete(clinic.url("Observation/o2"), headers=bearer(NURSE))
    manifest = await filled.manifest(f"$export?_type=Observation,Patient&_since={since}")
    assert {each["id"] for each in await filled.lines(manifest)} == {BERTIL.hex()}
    (bundle,) = await filled.lines(manifest, "deleted")
    assert {each["request"]["url"] for each in bundle["entry"]} == {"Observation/o1", "Observation/o2"}
    manifest = await filled.manifest(f"Group/g/$export?_type=Observation&_since={since}")
    (bundle,) = await filled.lines(manifest, "deleted")
    assert [each["request"] for each in bundle["entry"]] == [{"method": "DELETE", "url": "Observation/o1"}]


async def test_the_next_since_loses_no_write_that_was_under_way(filled: Exporter) -> None:
    """A write's lastUpdated is that of its beginning: what commits after the snapshot must be younger than its time."""
    table = tables(SCHEMA).resource
    async with filled.clinic.engine.begin() as connection:
        begun = datetime.fromisoformat((await filled.clinic.get(HER)).json()["meta"]["lastUpdated"])
        change = update(table).where(table.c.id == "o1").values(last_updated=begun + timedelta(milliseconds=1))
        await connection.execute(change)
        manifest = await filled.manifest("$export?_type=Patient")
    since = manifest["transactionTime"]
    assert "Observation/o1" in await filled.ids(f"$export?_since={since}&_type=Observation")


async def test_an_export_during_writes_is_one_snapshot(filled: Exporter) -> None:
    """Each round writes an Observation and then an Organization of its number: no snapshot has the second alone."""
    stop = asyncio.Event()

    async def writing() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            await filled.clinic.put(observation(f"w{number}", ASTRID))
            await filled.clinic.put({"resourceType": "Organization", "id": f"w{number}", "name": "W"})

    task = asyncio.create_task(writing())
    try:
        for _ in range(5):
            found = await filled.ids("$export?_type=Observation,Organization")
            pairs = {each.partition("/")[2] for each in found if each.startswith("Organization/w")}
            assert {f"Observation/{each}" for each in pairs} <= found
    finally:
        stop.set()
        await task
    assert pairs


async def test_a_patient_exports_what_is_about_her(filled: Exporter) -> None:
    own = await filled.ids("Patient/$export?_type=Patient,Observation", OWN)
    assert own == {HER, "Observation/o1"}
    everything = await filled.ids("$export", OWN)
    assert not {HIS, "Observation/o2"} & everything


async def test_a_type_that_may_not_be_seen_does_not_come(filled: Exporter) -> None:
    await filled.order("$export?_type=Consent", status=403)
    limited = replace(NURSE, scopes=frozenset({"system/Organization.s"}))
    assert await filled.ids("$export", limited) == {"Organization/org", "Organization/elsewhere"}
    await filled.order("$export?_type=Observation", limited, status=403)
    await filled.order("Patient/$export", limited, status=403)
    await filled.order("$export", replace(NURSE, scopes=frozenset()), status=403)


async def test_nobody_else_learns_of_a_job(filled: Exporter) -> None:
    job = (await filled.order("$export?_type=Patient")).headers["content-location"]
    manifest = (await filled.finished(job)).json()
    file = manifest["output"][0]["url"]
    for other in (OTHER, OWN, replace(NURSE, user="SE1-OTHER"), replace(NURSE, organisation="SE2")):
        for url in (job, file):
            await filled.clinic.get(url, other, status=404)
        assert (await filled.clinic.http.delete(job, headers=bearer(other))).status_code == 404
    assert (await filled.clinic.http.get(file)).status_code == 401
    await filled.clinic.get(file)


async def test_who_lost_the_right_gets_no_file(filled: Exporter) -> None:
    manifest = await filled.manifest("$export?_type=Observation")
    lost = replace(NURSE, scopes=frozenset({"system/Patient.s"}))
    await filled.clinic.get(manifest["output"][0]["url"], lost, status=403)


async def test_cancelled(filled: Exporter) -> None:
    job = (await filled.order("$export")).headers["content-location"]
    manifest = (await filled.finished(job)).json()
    assert (filled.clinic.folder / SCHEMA / job.rpartition("/")[2]).is_dir()
    assert (await filled.clinic.http.delete(job, headers=bearer(NURSE))).status_code == 202
    for url in (job, manifest["output"][0]["url"]):
        await filled.clinic.get(url, status=404)
    assert (await filled.clinic.http.delete(job, headers=bearer(NURSE))).status_code == 404
    await _swept(filled, job)


async def test_expired(filled: Exporter) -> None:
    job = (await filled.order("$export")).headers["content-location"]
    answer = await filled.finished(job)
    assert answer.headers["expires"].endswith("GMT")
    table = tables(SCHEMA).job
    async with filled.clinic.engine.begin() as connection:
        await connection.execute(update(table).values(expires=text("now() - interval '1 second'")))
    await filled.clinic.get(job, status=404)
    await _swept(filled, job)


async def _swept(filled: Exporter, job: str) -> None:
    folder = filled.clinic.folder / SCHEMA
    for _ in range(300):
        async with filled.clinic.engine.connect() as connection:
            left = (await connection.execute(text(f"SELECT count(*) FROM {SCHEMA}.job"))).scalar_one()
        if left == 0:
            break
        await asyncio.sleep(0.02)
    assert left == 0
    assert not (folder / job.rpartition("/")[2]).exists()


async def test_files_are_compressed_for_who_takes_that(filled: Exporter) -> None:
    manifest = await filled.manifest("$export?_type=Observation")
    url = manifest["output"][0]["url"]
    packed = await filled.clinic.get(url, status=200, **{"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    plain = await filled.clinic.get(url, status=200, **{"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content and len(plain.content) > 0
    async with filled.clinic.http.stream("GET", url, headers={**bearer(NURSE), "Accept-Encoding": "gzip"}) as answer:
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert gzip.decompress(raw) == plain.content


async def test_what_was_exported_is_in_the_access_log(filled: Exporter) -> None:
    filled.clinic.audit.entries.clear()
    manifest = await filled.manifest("$export?_type=Observation,Organization")
    await filled.lines(manifest)
    told = [(entry.operation, entry.count) for _, entry in filled.clinic.audit.entries]
    assert told == [("export ordered system", None), ("export Observation", 2)]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("$export?_type=Nonsense", 400),
        ("$export?_since=yesterday", 400),
        ("$export?_since=2026-01-01", 400),
        ("$export?_outputFormat=application/parquet", 406),
        ("$export?includeAssociatedData=LatestProvenanceResources", 400),
        ("$export?patient=Patient/1", 400),
        ("$export?_typeFilter=Observation", 400),
        ("$export?_typeFilter=Observation%3Fstatsu%3Dfinal", 400),
        ("$export?_typeFilter=Observation%3F_sort%3Ddate", 400),
        ("$export?_typeFilter=Observation%3Fcode:in%3Dhttp://x", 400),
        ("$export?_type=Patient&_typeFilter=Observation%3Fstatus%3Dfinal", 400),
        ("$export?_elements=a.b.c", 400),
        ("Group/never/$export", 404),
        ("Group/$export", 400),
    ],
)
async def test_what_is_not_understood_is_refused_at_the_order(filled: Exporter, path: str, status: int) -> None:
    outcome = (await filled.order(path, status=status)).json()
    assert outcome["resourceType"] == "OperationOutcome" and outcome["issue"][0]["details"]["text"]


async def test_an_export_must_be_asked_for_as_one(filled: Exporter) -> None:
    outcome = (await filled.clinic.get("$export", status=400)).json()
    assert outcome["issue"][0]["details"]["coding"][0]["code"] == "respond-async-required"


async def test_lenient_handling_leaves_out_and_says_so(filled: Exporter) -> None:
    prefer = "respond-async, handling=lenient"
    manifest = await filled.manifest("$export?includeAssociatedData=x&_type=Nonsense,Patient", Prefer=prefer)
    assert {each["type"] for each in manifest["output"]} == {"Patient"}
    outcomes = await filled.lines(manifest, "error")
    assert [each["issue"][0]["severity"] for each in outcomes] == ["warning", "warning"]


async def test_post_takes_parameters_and_patients(filled: Exporter) -> None:
    def body(who: str) -> dict[str, Any]:
        parameters = [
            {"name": "_type", "valueString": "Observation"}, {"name": "patient", "valueReference": {"reference": who}},
        ]  # fmt: skip
        return {"resourceType": "Parameters", "parameter": parameters}

    headers = {**bearer(NURSE), **ASYNC, "Content-Type": "application/fhir+json"}
    url = filled.clinic.url("Patient/$export")
    answer = await filled.clinic.http.post(url, json=body(HIS), headers=headers)
    manifest = (await filled.finished(answer.headers["content-location"])).json()
    assert [each["id"] for each in await filled.lines(manifest)] == ["o2"]
    refused = await filled.clinic.http.post(filled.clinic.url("Group/g/$export"), json=body(HIS), headers=headers)
    assert refused.status_code == 400


async def test_it_is_in_the_capability_statement(filled: Exporter) -> None:
    statement = (await filled.clinic.get("metadata")).json()
    assert statement["instantiates"] == ["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"]
    (rest,) = statement["rest"]
    assert {each["name"] for each in rest["operation"]} == {"export"}
    types = {each["type"]: each for each in rest["resource"]}
    definitions = {each["definition"] for each in [*types["Patient"]["operation"], *types["Group"]["operation"]]}
    base = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
    assert {base + "patient-export", base + "group-export"} <= definitions
