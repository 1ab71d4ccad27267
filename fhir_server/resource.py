# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Resources as bytes: id and meta are set without disturbing the rest, so that decimals and order survive."""

from datetime import UTC, datetime
import re
from typing import Any

import orjson

from fhir_server.outcome import Malformed

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]')
_MAX_DEPTH = 64


def instant(moment: datetime) -> str:
    """A FHIR instant in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment_of(text: str) -> datetime | None:
    """A moment with its time zone, in UTC; None if it is none, or before the first or after the last there can be."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def http_date(moment: datetime) -> str:
    """The moment as HTTP writes it (RFC 9110 5.6.7)."""
    return moment.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def stamp(body: bytes, resource: dict[str, Any], *, resource_id: str, version: int, updated: datetime) -> bytes:
    """The resource's bytes with id, meta.versionId and meta.lastUpdated set, all other bytes as they arrived.

    `resource` is the same resource parsed. Raises `Malformed` if an element occurs twice.
    """
    meta = dict(resource.get("meta") or {})
    meta["versionId"] = str(version)
    meta["lastUpdated"] = instant(updated)
    members = _members(body)
    parts = [b'{"resourceType":', orjson.dumps(resource["resourceType"]), b',"id":', orjson.dumps(resource_id)]
    parts += [b',"meta":', orjson.dumps(meta)]
    for name, raw in members:
        if name not in ("resourceType", "id", "meta"):
            parts += [b",", orjson.dumps(name), b":", raw]
    parts.append(b"}")
    return b"".join(parts)


def check_depth(body: bytes, most: int = _MAX_DEPTH) -> None:
    """Raises `Malformed` if arrays and objects nest deeper than `most` levels; done before parsing."""
    depth = 0
    for match in _TOKEN.finditer(body):
        char = match.group()
        if char in b"{[":
            depth += 1
            if depth > most:
                raise Malformed(f"the body nests deeper than {most} levels", code="too-deep")
        elif char in b"}]":
            depth -= 1


def _members(body: bytes) -> list[tuple[str, bytes]]:
    """The top-level members of an object that is known to be valid JSON, each with its raw value."""
    found: list[tuple[str, bytes]] = []
    depth, name, start = 0, None, 0
    previous: tuple[bytes, int] = (b"", 0)
    for match in _TOKEN.finditer(body):
        char = match.group()
        if char in (b"{", b"["):
            depth += 1
        elif char in (b"}", b"]", b","):
            if depth == 1 and name is not None:
                found.append((name, body[start : match.start()].strip()))
                name = None
            if char != b",":
                depth -= 1
        elif char == b":" and depth == 1 and name is None:
            name, start = orjson.loads(previous[0]), match.end()
        previous = (char, match.end())
    names = [each for each, _ in found]
    if len(set(names)) != len(names):
        raise Malformed("an element of the resource occurs twice")
    return found
