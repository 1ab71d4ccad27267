# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Packages of profiles: read from a tgz or a folder, kept, seen by who has read the folder before, forgotten."""

from functools import cache
import io
from pathlib import Path
import tarfile
from typing import Any

from hypothesis import given, settings
import orjson
import pytest

from fhir_server.outcome import Malformed
from fhir_server.validation import InvalidResource, validate_structure
from fhir_server.validation.packages import BadPackage, Packages, read_package
from fhir_server.validation.profiles import Profiles
from tests.fhir_server.validation.published import DATA, needs_data
from tests.fuzz.sound import EXAMPLES
from tests.fuzz.strategies import mutated

MANIFEST = {"name": "a.package", "version": "1.0.0", "fhirVersions": ["4.0.1"], "dependencies": {"other": "1"}}
URL = "http://example.org/StructureDefinition/named"


def profile(url: str = URL, **more: Any) -> dict[str, Any]:
    """A patient has a family name, an identifier of a system once, a code of a value set."""
    elements: list[dict[str, Any]] = [
        {"id": "Patient", "constraint": [
            {"key": "n-1", "severity": "error", "human": "x", "expression": "name.exists()"}]},
        {"id": "Patient.name.family", "min": 1},
        {"id": "Patient.identifier", "slicing": {
            "discriminator": [{"type": "value", "path": "system"}], "rules": "open"}},
        {"id": "Patient.identifier:own", "min": 1, "max": "1"},
        {"id": "Patient.identifier:own.system", "fixedUri": "urn:own"},
        {"id": "Patient.maritalStatus", "binding": {"strength": "required", "valueSet": "http://example.org/ValueSet/m"}},
        {"id": "Patient.managingOrganization", "type": [
            {"code": "Reference", "targetProfile": ["http://hl7.org/fhir/StructureDefinition/Organization"]}]},
    ]  # fmt: skip
    return {
        "resourceType": "StructureDefinition", "url": url, "type": "Patient", "kind": "resource",
        "derivation": "constraint", "differential": {"element": elements}, **more,
    }  # fmt: skip


CODES = {
    "resourceType": "ValueSet", "url": "http://example.org/ValueSet/m",
    "compose": {"include": [{"system": "urn:m", "concept": [{"code": "M"}]}]},
}  # fmt: skip


def archive(path: Path, files: dict[str, Any]) -> Path:
    with tarfile.open(path, "w:gz") as made:
        for name, content in files.items():
            body = content if isinstance(content, bytes) else orjson.dumps(content)
            member = tarfile.TarInfo(name)
            member.size = len(body)
            made.addfile(member, io.BytesIO(body))
    return path


def whole(**manifest: Any) -> dict[str, Any]:
    return {
        "package/package.json": {**MANIFEST, **manifest},
        "package/StructureDefinition-named.json": profile(),
        "package/ValueSet-m.json": CODES,
        "package/example/StructureDefinition-x.json": profile("http://example.org/example"),
        "package/Patient-1.json": {"resourceType": "Patient"},
        "package/.index.json": b"not JSON",
    }


def test_a_package_is_kept_and_seen_by_who_runs(tmp_path: Path) -> None:
    packages = Packages(tmp_path / "packages")
    assert URL not in packages.profiles()
    found = read_package(archive(tmp_path / "p.tgz", whole()))
    assert (found.id, found.profiles, found.dependencies) == ("a.package#1.0.0", [URL], {"other": "1"})
    assert len(found.resources) == 2
    Packages(tmp_path / "packages").add(found)
    assert URL in packages.profiles()
    assert packages.profiles() is packages.profiles()
    packages.add(read_package(archive(tmp_path / "q.tgz", whole(version="1.10.0"))))
    packages.add(read_package(archive(tmp_path / "q.tgz", whole(version="1.9.0"))))
    assert [each.version for each in packages.installed()] == ["1.0.0", "1.9.0", "1.10.0"]
    assert (packages.remove("a.package#1.0.0"), packages.remove("a.package"), packages.remove("a.package")) == (1, 2, 0)
    assert URL not in packages.profiles()


def test_a_folder_is_read_as_a_package_is(tmp_path: Path) -> None:
    for name, content in whole().items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else orjson.dumps(content))
    for folder in (tmp_path, tmp_path / "package"):
        assert read_package(folder).profiles == [URL]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"package/StructureDefinition-named.json": profile()}, "has a package.json"),
        ({"package/package.json": b"{"}, "is not JSON"),
        ({"package/package.json": {**MANIFEST, "name": "../../x"}}, "needs a name"),
        ({"package/package.json": {**MANIFEST, "version": None}}, "needs a name"),
        ({"package/package.json": {**MANIFEST, "fhirVersions": ["5.0.0"]}}, "not for FHIR R4"),
        ({"package/package.json": MANIFEST}, "holds no StructureDefinition"),
    ],
)
def test_what_is_no_package(tmp_path: Path, files: dict[str, Any], said: str) -> None:
    with pytest.raises(BadPackage, match=said):
        read_package(archive(tmp_path / "p.tgz", files))


def test_a_damaged_package_and_a_broken_profile_leave_what_was_there(tmp_path: Path) -> None:
    packages = Packages(tmp_path / "packages")
    packages.add(read_package(archive(tmp_path / "p.tgz", whole())))
    body = (tmp_path / "p.tgz").read_bytes()
    (tmp_path / "p.tgz").write_bytes(body[: len(body) // 2])
    with pytest.raises(BadPackage, match="damaged"):
        read_package(tmp_path / "p.tgz")
    broken = profile("urn:broken", differential={"element": [{"id": 7}]})
    with pytest.raises(BadPackage, match="urn:broken cannot be used"):
        packages.add(read_package(archive(tmp_path / "q.tgz", {**whole(), "package/S.json": broken})))
    assert URL in packages.profiles()


def _never_fails(profiles: Profiles, url: str, resource: dict[str, Any]) -> None:
    try:
        validate_structure(orjson.dumps(resource))
    except (InvalidResource, Malformed, orjson.JSONEncodeError):
        return
    for problem in profiles.validate(resource, url):
        assert problem.path
        assert problem.text


@cache
def own() -> Profiles:
    made = Profiles()
    made.load([profile(), CODES])
    return made


@cache
def published() -> Profiles:
    made = Profiles()
    made.load(read_package(DATA / "sweden" / "ips").resources)
    return made


@settings(max_examples=EXAMPLES * 5, deadline=None)
@given(mutated())
def test_whatever_is_sound_can_be_held_against_a_profile(resource: dict[str, Any]) -> None:
    _never_fails(own(), URL, resource)


PUBLISHED = {"Patient": "Patient-uv-ips", "Observation": "Observation-results-laboratory-pathology-uv-ips"}


@needs_data
@settings(max_examples=EXAMPLES * 2, deadline=None)
@given(mutated())
def test_and_against_published_ones(resource: dict[str, Any]) -> None:
    name = PUBLISHED.get(str(resource.get("resourceType")))
    if name is not None:
        _never_fails(published(), f"http://hl7.org/fhir/uv/ips/StructureDefinition/{name}", resource)


@needs_data
@pytest.mark.parametrize(("guide", "profiles", "resources"), [("hl7se-base", 4, 21), ("ips", 27, 68)])
def test_published_packages(tmp_path: Path, guide: str, profiles: int, resources: int) -> None:
    found = read_package(DATA / "sweden" / guide)
    assert (len(found.profiles), len(found.resources)) == (profiles, resources)
    Packages(tmp_path).add(found)
