# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""SMART scopes: reading them, and what a client gets of what it asks for.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html. Scopes of version 1 (`.read`, `.write`,
`.*`) are taken and granted in the form of version 2. Granular scopes (`?category=…`) are never granted as long as the
kernel does not enforce their constraint: a token never promises a limit that nobody keeps.
"""

from collections.abc import Iterable
from dataclasses import dataclass
import re
from typing import Final, Literal, cast

Level = Literal["system", "user", "patient"]

PERMISSIONS: Final = "cruds"

_SCOPE = re.compile(r"(system|user|patient)/(\*|[A-Z][A-Za-z]{1,63})\.(c?r?u?d?s?|read|write|\*)", re.ASCII)
_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+", re.ASCII)
_VERSION_1: Final = {"read": "rs", "write": "cud", "*": PERMISSIONS}


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """One scope: who acts, on which resource type (`*` for all), with which of c, r, u, d, s."""

    level: Level
    resource: str
    permissions: str

    def __str__(self) -> str:
        """As it stands in a token."""
        return f"{self.level}/{self.resource}.{self.permissions}"


def parse_scope(text: str) -> Scope | None:
    """The scope, or None for what is no SMART resource scope of ours (openid, launch, granular scopes …)."""
    match = _SCOPE.fullmatch(text)
    if match is None or not match[3]:
        return None
    return Scope(cast(Level, match[1]), match[2], _VERSION_1.get(match[3], match[3]))


def split_scopes(text: str) -> list[str] | None:
    """The single scopes of a `scope` parameter (RFC 6749 3.3), or None if a character is not allowed."""
    parts = [part for part in text.split(" ") if part]
    return parts if all(_TOKEN.fullmatch(part) for part in parts) else None


def grant(requested: Iterable[str] | None, registered: Iterable[str], level: Level) -> tuple[str, ...]:
    """What is both requested and registered at this level, sorted; `requested` None asks for all that is registered.

    Never grants a permission that either side lacks.
    """
    allowed = [scope for scope in map(parse_scope, registered) if scope is not None and scope.level == level]
    if requested is None:
        wanted = allowed
    else:
        wanted = [scope for scope in map(parse_scope, requested) if scope is not None and scope.level == level]
    granted: dict[str, set[str]] = {}
    for want in wanted:
        for allow in allowed:
            resource = _narrower(want.resource, allow.resource)
            if resource is not None:
                granted.setdefault(resource, set()).update(set(want.permissions) & set(allow.permissions))
    everywhere = granted.get("*", set())
    scopes = []
    for resource, permissions in granted.items():
        left = permissions if resource == "*" else permissions - everywhere
        if left:
            scopes.append(Scope(level, resource, "".join(each for each in PERMISSIONS if each in left)))
    return tuple(str(scope) for scope in sorted(scopes))


def _narrower(one: str, other: str) -> str | None:
    if one == "*":
        return other
    return one if other in ("*", one) else None
