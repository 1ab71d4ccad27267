# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Bundles spliced from stored bytes (https://hl7.org/fhir/R4/bundle.html)."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import orjson

from fhir_server.resource import instant
from fhir_server.storage.postgres import Stored


def searchset(
    entries: Iterable[Stored],
    *,
    base: str,
    links: Mapping[str, str],
    total: int | None = None,
    included: Iterable[Stored] = (),
    outcome: Mapping[str, Any] | None = None,
) -> bytes:
    """A searchset Bundle: matches, what they include, what is to be said about it; resources are copied as bytes."""
    parts = [_found(each, base, b"match") for each in entries]
    parts += (_found(each, base, b"include") for each in included)
    if outcome is not None:
        parts.append(b'{"resource":' + orjson.dumps(outcome) + b',"search":{"mode":"outcome"}}')
    return _bundle("searchset", parts, links, total)


def _found(each: Stored, base: str, mode: bytes) -> bytes:
    # An id has no character that JSON would escape.
    return b'{"fullUrl":%b/%b","resource":%b,"search":{"mode":"%b"}}' % (
        _address(base, each.type), each.id.encode(), each.body, mode
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _address(base: str, kind: str) -> bytes:
    """The address of a type as JSON, its last quotation mark left out."""
    return orjson.dumps(f"{base}/{kind}")[:-1]


def history(entries: Iterable[Stored], *, base: str, links: Mapping[str, str]) -> bytes:
    """A history Bundle, newest first."""
    return _bundle("history", (_history_entry(each, base) for each in entries), links, None)


def links_of(self_link: str, next_link: str | None) -> dict[str, str]:
    """The Bundle's links by relation."""
    return {"self": self_link} if next_link is None else {"self": self_link, "next": next_link}


def _history_entry(each: Stored, base: str) -> bytes:
    url = b'%b/%b"' % (_address(base, each.type), each.id.encode())
    target = each.type if each.method == "POST" else f"{each.type}/{each.id}"
    status = "204 No Content" if each.deleted else "201 Created" if each.version == 1 else "200 OK"
    # Methods, types, ids, numbers and times have no character that JSON would escape.
    told = (
        f'"request":{{"method":"{each.method}","url":"{target}"}},"response":{{"status":"{status}",'
        f'"etag":"W/\\"{each.version}\\"","lastModified":"{instant(each.updated)}"}}}}'
    )
    resource = b"" if each.deleted else b'"resource":%b,' % each.body
    return b'{"fullUrl":%b,%b%b' % (url, resource, told.encode())


def _bundle(kind: str, entries: Iterable[bytes], links: Mapping[str, str], total: int | None) -> bytes:
    head: dict[str, Any] = {"resourceType": "Bundle", "type": kind}
    if total is not None:
        head["total"] = total
    head["link"] = [{"relation": relation, "url": url} for relation, url in links.items()]
    joined = b",".join(entries)
    start = orjson.dumps(head)[:-1]
    return start + (b',"entry":[' + joined + b"]}" if joined else b"}")
