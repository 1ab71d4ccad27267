# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Resources as bytes: id and meta are set without disturbing the rest, so that decimals and order survive."""

from datetime import UTC, datetime
from functools import lru_cache
import re
from typing import Any

import msgspec
import orjson

from fhir_server.outcome import Malformed

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]', re.DOTALL)
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_PAIR = re.compile(rb"\{\}|\[\]")
_NO_BRACKET = bytes(each for each in range(256) if each not in b"{}[]")
_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MAX_DEPTH = 64


def instant(moment: datetime) -> str:
    """A FHIR instant in UTC with milliseconds."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def moment_of(text: str) -> datetime | None:
    """A moment with its time zone, in UTC; None if it is none, or before the first or after the last there can be."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


_stamped = lru_cache(maxsize=64)(instant)
"""All resources of a transaction and of a batch have the same."""


def http_date(moment: datetime) -> str:
    """The moment as HTTP writes it (RFC 9110 5.6.7)."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return (
        f"{_DAYS[moment.weekday()]}, {moment.day:02} {_MONTHS[moment.month - 1]} {moment.year:04} "
        f"{moment.hour:02}:{moment.minute:02}:{moment.second:02} GMT"
    )


def stamp(body: bytes, resource: dict[str, Any], *, resource_id: str, version: int, updated: datetime) -> bytes:
    """The resource's bytes with id, meta.versionId and meta.lastUpdated set, all other bytes as they arrived.

    `resource` is the same resource parsed. Raises `Malformed` if an element occurs twice.
    """
    meta = dict(resource.get("meta") or {})
    meta["versionId"] = str(version)
    meta["lastUpdated"] = _stamped(updated)
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
    if body.count(b"{") + body.count(b"[") <= most:
        return
    # Without strings only brackets count; each turn takes away the innermost pairs, so the turns are the depth.
    brackets = _STRING.sub(b"", body).translate(None, _NO_BRACKET)
    for _ in range(most):
        brackets, found = _PAIR.subn(b"", brackets)
        if not found:
            break
    if _PAIR.search(brackets) or brackets.count(b"{") + brackets.count(b"[") > most:
        raise Malformed(f"the body nests deeper than {most} levels", code="too-deep")


def _members(body: bytes) -> list[tuple[str, bytes]]:
    """The top-level members of an object that is known to be valid JSON, each with its raw value."""
    raw = _DECODER.decode(body)
    # Without space between them the lengths tell that no member is missing: a name that came twice stands here once.
    if sum(len(name.encode()) + len(value) + 4 for name, value in raw.items()) + 1 == len(body):
        return [(name, bytes(value)) for name, value in raw.items()]
    return _spaced_members(body)


def _spaced_members(body: bytes) -> list[tuple[str, bytes]]:
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
