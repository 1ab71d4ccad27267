# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A Subscription as values, refused where we cannot do what it asks for.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/StructureDefinition-backport-subscription.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
import re
from typing import Any, Final, Literal, cast

from fhir_server.outcome import Unprocessable

Content = Literal["empty", "id-only", "full-resource"]
CONTENTS: Final[tuple[Content, ...]] = ("empty", "id-only", "full-resource")

GUIDE: Final = "http://hl7.org/fhir/uv/subscriptions-backport/"
PROFILE: Final = f"{GUIDE}StructureDefinition/backport-subscription"
KEY: Final = "https://ndi.example/fhir/StructureDefinition/subscription-secret"
"""Extension of the channel by which a client gives the key of the signatures; it is taken out before it is stored."""
JSON: Final = "application/fhir+json"

_FILTER: Final = f"{GUIDE}StructureDefinition/backport-filter-criteria"
_CONTENT: Final = f"{GUIDE}StructureDefinition/backport-payload-content"
_HEARTBEAT: Final = f"{GUIDE}StructureDefinition/backport-heartbeat-period"
_TIMEOUT: Final = f"{GUIDE}StructureDefinition/backport-timeout"
_MAX_COUNT: Final = f"{GUIDE}StructureDefinition/backport-max-count"
_CHANNEL_TYPE: Final = f"{GUIDE}StructureDefinition/backport-channel-type"

_HEADER: Final = re.compile(
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}):[ \t]*([\x21-\x7e](?:[\x20-\x7e]{0,1022}[\x21-\x7e])?)"
)
_CREDENTIALS: Final = re.compile(r"authorization|cookie|token|secret|password|api-?key", re.IGNORECASE)
_OURS: Final = frozenset(
    {"host", "content-type", "content-length", "content-encoding", "transfer-encoding", "connection", "keep-alive",
     "upgrade", "te", "trailer", "expect", "user-agent", "accept", "accept-encoding", "ndi-signature", "forwarded"}
)  # fmt: skip
_MAX_HEADERS: Final = 10
_MAX_FILTERS: Final = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a Subscription asks for."""

    topic: str
    filters: tuple[str, ...]
    """Searches, all of which must match: `Encounter?patient=Patient/123`."""
    endpoint: str
    content: Content
    headers: tuple[tuple[str, str], ...]
    heartbeat: int | None
    timeout: int | None
    max_count: int | None
    ends: datetime | None


def wanted(resource: Mapping[str, Any]) -> Wanted:
    """What the Subscription asks for. Raises `Unprocessable` saying what to change."""
    channel = resource.get("channel") or {}
    kind = channel.get("type")
    if kind != "rest-hook" or _extensions(channel.get("_type"), _CHANNEL_TYPE):
        named = f"the channel type {kind}" if kind in ("websocket", "email", "sms", "message") else "this channel type"
        raise _refused(f"{named} is not offered; offered: rest-hook", "channel.type", "unsupported-channel")
    if channel.get("payload") != JSON:
        raise _refused(f"channel.payload must be {JSON}: no other form is sent", "channel.payload")
    contents = _extensions(channel.get("_payload"), _CONTENT)
    if len(contents) != 1 or contents[0].get("valueCode") not in CONTENTS:
        raise _refused(
            f"channel.payload needs the extension {_CONTENT} with one of {', '.join(CONTENTS)}", "channel.payload"
        )
    endpoint = channel.get("endpoint")
    if not isinstance(endpoint, str):
        raise _refused("a rest-hook needs channel.endpoint", "channel.endpoint")
    filters = _extensions(resource.get("_criteria"), _FILTER)
    if len(filters) > _MAX_FILTERS:
        raise _refused(f"a Subscription may have at most {_MAX_FILTERS} filters", "criteria")
    return Wanted(
        topic=resource["criteria"],
        filters=tuple(_text(each) for each in filters),
        endpoint=endpoint,
        content=cast(Content, contents[0]["valueCode"]),
        headers=_headers(channel.get("header") or ()),
        heartbeat=_number(channel, _HEARTBEAT, "valueUnsignedInt"),
        timeout=_number(channel, _TIMEOUT, "valueUnsignedInt"),
        max_count=_number(channel, _MAX_COUNT, "valuePositiveInt"),
        ends=datetime.fromisoformat(resource["end"]) if "end" in resource else None,
    )


def without_secret(resource: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The Subscription as it may be kept, and the secret that came with it.

    Raises `Unprocessable` unless it is one text of 32 to 256 printable characters.
    """
    channel = resource.get("channel")
    if not isinstance(channel, dict):
        return resource, None
    given = _extensions(channel, KEY)
    if not given:
        return resource, None
    secret = given[0].get("valueString")
    if len(given) > 1 or not isinstance(secret, str) or not re.fullmatch(r"[\x21-\x7e]{32,256}", secret):
        raise _refused(f"{KEY} takes one valueString of 32 to 256 printable characters", "channel")
    others = [each for each in channel["extension"] if each not in given]
    kept = {name: value for name, value in channel.items() if name != "extension"}
    return {**resource, "channel": {**kept, "extension": others} if others else kept}, secret


def _headers(lines: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    if len(lines) > _MAX_HEADERS:
        raise _refused(f"at most {_MAX_HEADERS} headers are sent along", "channel.header")
    found: list[tuple[str, str]] = []
    for index, line in enumerate(lines):
        where = f"channel.header[{index}]"
        match = _HEADER.fullmatch(line) if isinstance(line, str) else None
        if match is None:
            raise _refused("a header is written as Name: value, in ASCII", where)
        name = match[1]
        if _CREDENTIALS.search(name):
            raise _refused(
                "a header of a Subscription is shown to all who read it and is no place for credentials: know us by "
                "the signature of each notification, with a secret of your own in the extension " + KEY,
                where,
                "credentials-in-header",
            )
        if name.lower() in _OURS:
            raise _refused(f"the header {name} is set by the server", where)
        found.append((name, match[2]))
    return tuple(found)


def _number(channel: Mapping[str, Any], url: str, name: str) -> int | None:
    given = _extensions(channel, url)
    if not given:
        return None
    value = given[0].get(name)
    if len(given) > 1 or not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**31:
        raise _refused(f"{url} takes one {name} above 0", "channel")
    return value


def _text(extension: Mapping[str, Any]) -> str:
    value = extension.get("valueString")
    if not isinstance(value, str):
        raise _refused(f"{_FILTER} takes a valueString like Encounter?patient=Patient/123", "criteria")
    return value


def _extensions(element: Any, url: str) -> list[dict[str, Any]]:
    given = element.get("extension") if isinstance(element, Mapping) else None
    return [each for each in given or () if isinstance(each, dict) and each.get("url") == url]


def _refused(message: str, path: str, code: str = "unprocessable") -> Unprocessable:
    return Unprocessable(message, expression=f"Subscription.{path}", code=code)
