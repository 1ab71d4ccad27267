# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Packages of published profiles that an operator has loaded (`ndi fhir package add`).

https://hl7.org/fhir/R4/packages.html: a tgz with `package/package.json` and definitions. What a resource can be held
against is kept, one file a package, in a folder that the processes of a deployment share; a running one sees the next
package at the next request. Nothing of a package is unpacked onto the disk.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
import gzip
import os
from pathlib import Path
import re
import tarfile
from threading import Lock
from typing import Any, Final
import zlib

import orjson

from fhir_server.validation.fhirpath import FhirPathError
from fhir_server.validation.profiles import Profiles

KEPT: Final = frozenset({"StructureDefinition", "ValueSet", "CodeSystem"})
_LARGEST: Final = 64 * 1024 * 1024
"""Bytes of one file of a package."""
_WHOLE: Final = 2 * 1024 * 1024 * 1024
"""Bytes of all of them, unpacked."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,100}", re.ASCII)
_EXAMPLES: Final = frozenset({"example", "examples"})
_SUFFIX: Final = ".ndjson.gz"


class BadPackage(Exception):
    """It is no package for R4, or damaged. The text names the file."""


@dataclass(frozen=True, slots=True)
class Package:
    """What is kept of a package."""

    name: str
    version: str
    title: str
    dependencies: Mapping[str, str]
    resources: tuple[Mapping[str, Any], ...] = ()

    @property
    def id(self) -> str:
        """As packages are named: `hl7.fhir.uv.ips#2.0.0`."""
        return f"{self.name}#{self.version}"

    @property
    def profiles(self) -> list[str]:
        """Canonical URLs of its profiles of resources."""
        return sorted(
            str(each["url"])
            for each in self.resources
            if each["resourceType"] == "StructureDefinition"
            and (each.get("kind"), each.get("derivation")) == ("resource", "constraint")
        )


def read_package(path: Path) -> Package:
    """The package in a tgz or a folder. Raises `BadPackage`."""
    try:
        files = list(_of_folder(path) if path.is_dir() else _of_archive(path))
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadPackage(f"{path}: no package, or damaged ({type(error).__name__})") from None
    parsed = [(name, _parsed(path, name, body)) for name, body in files]
    # The package's own description is the one that stands highest: examples may hold others.
    manifests = sorted((name.count("/"), name, each) for name, each in parsed if Path(name).name == "package.json")
    if not manifests or not isinstance(manifests[0][2], dict):
        raise BadPackage(f"{path}: a package has a package.json")
    found = _described(path, manifests[0][2])
    resources = tuple(
        each
        for name, each in parsed
        if isinstance(each, dict) and each.get("resourceType") in KEPT and isinstance(each.get("url"), str)
        if not _EXAMPLES & set(Path(name).parts)
    )
    if not resources:
        raise BadPackage(f"{path}: the package holds no StructureDefinition, ValueSet or CodeSystem")
    return Package(found.name, found.version, found.title, found.dependencies, resources)


def _described(path: Path, manifest: dict[str, Any]) -> Package:
    name, version = manifest.get("name"), manifest.get("version")
    for each in (name, version):
        if not isinstance(each, str) or not _NAME.fullmatch(each):
            raise BadPackage(f"{path}: package.json needs a name and a version, of letters, digits, dots and hyphens")
    versions = manifest.get("fhirVersions") or manifest.get("fhir-version-list") or []
    if not any(str(each).startswith("4.0") for each in versions):
        raise BadPackage(f"{path}: the package is not for FHIR R4 (fhirVersions of package.json)")
    dependencies = manifest.get("dependencies")
    needed = {str(key): str(value) for key, value in dependencies.items()} if isinstance(dependencies, dict) else {}
    return Package(str(name), str(version), str(manifest.get("title") or name), needed)


def _of_folder(path: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(path.rglob("*.json")):
        if file.stat().st_size <= _LARGEST:
            yield file.relative_to(path).as_posix(), file.read_bytes()


def _of_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    whole = 0
    with tarfile.open(path, "r|gz") as archive:
        for member in archive:
            if not member.isfile() or not member.name.endswith(".json") or member.size > _LARGEST:
                continue
            whole += member.size
            if whole > _WHOLE:
                raise BadPackage(f"{path}: unpacked it is larger than {_WHOLE} bytes")
            opened = archive.extractfile(member)
            if opened is not None:
                yield member.name.removeprefix("./"), opened.read()


def _parsed(path: Path, name: str, body: bytes) -> Any:
    try:
        return orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        if Path(name).name == "package.json":
            raise BadPackage(f"{path}: package.json is not JSON") from None
        return None


class Packages:
    """The packages in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: tuple[tuple[str, int], ...] | None = None
        self._profiles = Profiles()
        self._loading = Lock()

    def add(self, package: Package) -> None:
        """Keeps a package; one of the same name and version is replaced. Raises `BadPackage` for a broken profile."""
        broken = unusable(package, self.installed())
        if broken:
            raise BadPackage(f"{package.id}: {broken[0]} cannot be used, and {len(broken) - 1} more")
        self._folder.mkdir(parents=True, exist_ok=True)
        head = {"name": package.name, "version": package.version, "title": package.title}
        lines = [{**head, "dependencies": dict(package.dependencies)}, *package.resources]
        half = self._folder / f".{package.id}.{os.getpid()}"
        with half.open("wb") as raw, gzip.open(raw, "wb", compresslevel=6) as file:
            file.writelines(orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE) for each in lines)
        half.replace(self._folder / f"{package.id}{_SUFFIX}")

    def remove(self, name: str) -> int:
        """Forgets a package (`name#version`), or all versions of a name; the number forgotten."""
        found = [each for each in self._files() if each.name in (f"{name}{_SUFFIX}",) or _name_of(each) == name]
        for file in found:
            file.unlink(missing_ok=True)
        return len(found)

    def installed(self) -> list[Package]:
        """All packages, by name and version."""
        return [_read(file) for file in self._files()]

    def profiles(self) -> Profiles:
        """What they define together; read anew when the folder has changed."""
        seen = tuple((file.name, file.stat().st_mtime_ns) for file in self._files())
        if seen == self._seen:
            return self._profiles
        with self._loading:
            if seen != self._seen:
                self._profiles = together(self.installed())
                self._seen = seen
        return self._profiles

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"[!.]*{_SUFFIX}"), key=lambda file: _order(file.name.removesuffix(_SUFFIX)))


def together(packages: Iterable[Package]) -> Profiles:
    """The definitions of packages; of two versions of one the higher."""
    made = Profiles()
    for package in packages:
        made.load(package.resources)
    return made


def unusable(package: Package, others: Iterable[Package]) -> list[str]:
    """The profiles of a package that cannot be held against anything, with what it may refer to loaded."""
    made = together([*others, package])
    broken = []
    for each in package.resources:
        if each["resourceType"] == "StructureDefinition":
            try:
                made.shape(str(each["url"]))
            except (FhirPathError, KeyError, TypeError, ValueError, AttributeError):
                broken.append(str(each["url"]))
    return broken


def _name_of(file: Path) -> str:
    return file.name.partition("#")[0]


def _order(name: str) -> tuple[str, list[tuple[int, str]]]:
    """By name, then by version as versions go: 1.10 after 1.9."""
    plain, _, version = name.partition("#")
    return plain, [(int(part) if part.isdigit() else -1, part) for part in re.split(r"[.\-]", version)]


def _read(file: Path) -> Package:
    with gzip.open(file, "rb") as lines:
        head = orjson.loads(lines.readline())
        resources = tuple(orjson.loads(line) for line in lines)
    return Package(head["name"], head["version"], head["title"], head["dependencies"], resources)
