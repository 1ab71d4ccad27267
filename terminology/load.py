# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Loads published terminology from files: JSON, NDJSON and Bundles, plain or gzipped.

Goes through the kernel's own writing, so that a loaded resource is validated, searchable, versioned and logged like
one that came over HTTP. What is there already in the same form is left as it is.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
import gzip
import os
from pathlib import Path
import re
from typing import Any, Final

import orjson

from audit.client import APPEND_FUNCTION
from fhir_server.context import Caller, CallerKind, Context
from fhir_server.ids import uuid7
from fhir_server.interactions.serving import Serving
from fhir_server.interactions.write import Incoming, matching_id, store
from fhir_server.outcome import FhirError, Malformed
from fhir_server.search.index import Extraction
from fhir_server.search.page import Cursors
from fhir_server.search.parameters import parameters_for
from fhir_server.search.prepared import PreparedSearches
from fhir_server.storage.postgres import ResourceStore
from fhir_server.storage.schema import tables
from fhir_server.validation import ID, validate
from terminology.resources import RESOURCES
from terminology.store import SCHEMA, AsyncConnection, AsyncEngine

NAMES: Final = ("*.json", "*.ndjson", "*.json.gz", "*.ndjson.gz")
_LOADER: Final = Caller(
    client_id="ndi-terminology-load",
    kind=CallerKind.system,
    scopes=frozenset({"system/*.cu"}),
    roles=frozenset({"operator"}),
    purpose="HOPERAT",
)


class NotLoaded(Exception):
    """A file holds something that cannot be loaded; nothing of it was. The text names file and place."""


@dataclass(slots=True)
class Loaded:
    """What a run did, by resource type."""

    new: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    unchanged: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    """Resources of types that are no terminology."""


def files_of(path: Path) -> list[Path]:
    """The files to load: the one named, or those of a folder and its subfolders, by name.

    Raises `NotLoaded` if there are none.
    """
    if path.is_dir():
        found = sorted({file for name in NAMES for file in path.rglob(name)})
    else:
        found = [path] if path.is_file() else []
    if not found:
        raise NotLoaded(f"{path}: no JSON or NDJSON file there")
    return found


async def load(engine: AsyncEngine, files: list[Path], progress: Callable[[Path, int], None]) -> Loaded:
    """Loads the files, each in one transaction; `progress` hears the bytes of the file that are done.

    Raises `NotLoaded`; files before the faulty one stay loaded.
    """
    resources = ResourceStore(engine, SCHEMA, audit_function=APPEND_FUNCTION)
    searches = PreparedSearches(tables(SCHEMA))
    cursors = Cursors(os.urandom(32))
    serving: dict[str, Serving] = {}
    for each in RESOURCES:
        parameters = parameters_for(each.name, each.search)
        extraction = Extraction(parameters.values())
        serving[each.name] = Serving(each, resources, searches, parameters, extraction, cursors)
    loaded = Loaded()
    for file in files:
        async with resources.transaction() as connection:
            for place, body, done in _entries(file):
                try:
                    await _load_one(serving, connection, body, loaded)
                except FhirError as error:
                    where = f" ({error.expression})" if error.expression else ""
                    raise NotLoaded(f"{file}, {place}: {error.message}{where}") from error
                progress(file, done)
    return loaded


async def _load_one(serving: dict[str, Serving], connection: AsyncConnection, body: bytes, loaded: Loaded) -> None:
    resource = _parsed(body)
    if resource["resourceType"] == "Bundle":
        for entry in resource.get("entry", ()):
            if isinstance(entry.get("resource"), dict):
                await _load_one(serving, connection, orjson.dumps(entry["resource"]), loaded)
        return
    kind = resource["resourceType"]
    if kind not in serving:
        loaded.skipped[kind] += 1
        return
    now = datetime.now(UTC)
    context = Context(_LOADER, "", now, float("inf"), os.urandom(16).hex(), clock=lambda: 0.0)
    served = serving[kind]
    validate(body)
    if served.type.prepare is not None:
        resource = await served.type.prepare(context, resource)
    matched = await matching_id(served, context, connection, _criteria(resource))
    current = await served.store.current(connection, kind, matched) if matched is not None else None
    if current is not None and _content(orjson.loads(current.body)) == _content(resource):
        loaded.unchanged[kind] += 1
        return
    resource_id = matched or await _free_id(served, connection, resource, now)
    await store(served, context, connection, Incoming(resource, body), resource_id, current, "PUT")
    (loaded.new if current is None else loaded.changed)[kind] += 1


def _criteria(resource: dict[str, Any]) -> list[tuple[str, str]]:
    """Canonical url and version say which resource it is; ids of different publishers meet by chance."""
    version = resource.get("version")
    criteria = [("url", _escaped(resource["url"]))]
    return [*criteria, ("version", _escaped(version))] if version else [*criteria, ("version:missing", "true")]


def _escaped(text: str) -> str:
    return re.sub(r"([,|$\\])", r"\\\1", text)


async def _free_id(served: Serving, connection: AsyncConnection, resource: dict[str, Any], now: datetime) -> str:
    own = resource.get("id")
    if (
        isinstance(own, str)
        and ID.fullmatch(own)
        and await served.store.current(connection, served.type.name, own) is None
    ):
        return own
    return str(uuid7(now))


def _content(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource without what a server sets: id, version and time of storing."""
    meta = {key: value for key, value in resource.get("meta", {}).items() if key not in ("versionId", "lastUpdated")}
    return {**{key: value for key, value in resource.items() if key not in ("id", "meta")}, "meta": meta}


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        resource = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Malformed("this is not JSON") from None
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise Malformed("this is no FHIR resource")
    return resource


def _entries(file: Path) -> Iterator[tuple[str, bytes, int]]:
    """Each resource's place, its bytes, and how many bytes of the file are read."""
    with file.open("rb") as raw:
        try:
            stream = gzip.GzipFile(fileobj=raw) if file.suffix == ".gz" else raw
            if ".ndjson" in file.suffixes:
                for number, line in enumerate(stream, 1):
                    if line.strip():
                        yield f"line {number}", line, raw.tell()
            else:
                body = stream.read()
                yield "the resource", body, raw.tell()
        except (EOFError, gzip.BadGzipFile):
            raise NotLoaded(f"{file}: the file is damaged") from None
