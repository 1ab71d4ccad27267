# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Conditions in headers: https://hl7.org/fhir/R4/http.html#concurrency and #cread; RFC 9110 section 13."""

from email.utils import parsedate_to_datetime
import re
from urllib.parse import parse_qsl

from fhir_server.interactions.serving import headers
from fhir_server.outcome import Invalid, PreconditionFailed
from fhir_server.service import Request
from fhir_server.storage.postgres import Stored

_ETAG = re.compile(r'(?:W/)?"(\d{1,18})"')
_TAGS = re.compile(r'(?:W/)?"([^"]*)"|(?:^|,)\s*(\d{1,18})\s*(?=,|$)')
"""Entity tags; a bare version too, since fhirpy sends one."""
_NO_CRITERIA = frozenset({"_format", "_pretty"})


def check_match(request: Request, current: Stored | None) -> None:
    """`If-Match` and `If-None-Match: *` of a write. Raises `PreconditionFailed`, or `Invalid` if it is no version.

    A deleted resource has no version to match: who deletes what another has deleted, or updates it, has missed that.
    """
    there = None if current is None or current.deleted else current
    if request.headers.get("if-none-match", "").strip() == "*" and there is not None:
        raise PreconditionFailed("the resource is there already", code="exists-already")
    wanted = request.headers.get("if-match")
    if wanted is None:
        return
    match = _ETAG.fullmatch(wanted.strip())
    if match is None and wanted.strip() != "*":
        raise Invalid('If-Match must be a version like W/"3"')
    if there is None or (match is not None and there.version != int(match.group(1))):
        raise PreconditionFailed("the resource has another version; read it and try again", code="version-conflict")


def create_criteria(request: Request) -> list[tuple[str, str]] | None:
    """The criteria of a conditional create, None if it is none (https://hl7.org/fhir/R4/http.html#ccreate).

    They stand in `If-None-Exist`. Some clients (fhirpy) send them as the query of the URL: if they were left out,
    the same resource would be made twice.
    """
    header = request.headers.get("if-none-exist")
    if header is not None:
        return parse_qsl(header.lstrip("?"), keep_blank_values=True)
    return [each for each in request.query if each[0] not in _NO_CRITERIA] or None


def unchanged(request: Request, stored: Stored) -> bool:
    """Whether a read may be answered by 304; `If-None-Match` goes before `If-Modified-Since` (RFC 9110 13.2.2).

    A date that cannot be read is no condition (RFC 9110 13.1.3). It counts whole seconds; only the ETag is exact.
    """
    tags = request.headers.get("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or any(str(stored.version) in each for each in _TAGS.findall(tags))
    since = request.headers.get("if-modified-since")
    if since is None:
        return False
    try:
        moment = parsedate_to_datetime(since)
    except ValueError:
        return False
    return moment.tzinfo is not None and stored.updated.replace(microsecond=0) <= moment


def version_headers(stored: Stored) -> dict[str, str]:
    """The `ETag` of a version that is gone."""
    return {"ETag": headers(stored)["ETag"]}
