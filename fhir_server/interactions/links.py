# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""References between the entries of a transaction: https://hl7.org/fhir/R4/http.html#trules and #trefs.

What names another entry by its fullUrl becomes that entry's `Type/id`; `Type?criteria` becomes the one that matches.
"""

from collections.abc import Callable, Iterator, Mapping
import re
from typing import Any, Final

from fhir_server.outcome import Invalid

_CONDITIONAL: Final = re.compile(r"([A-Z][A-Za-z]+)\?(.+)", re.DOTALL)
_RELATIVE: Final = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}", re.ASCII)
_ABSOLUTE: Final = re.compile(r"(https?://.+/)[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}")
_LINK: Final = re.compile(r"""((?:href|src)\s*=\s*)(["'])([^"']*)\2""")
_ADDRESSES: Final = ("Uri", "Url", "Uuid", "Oid", "Canonical")


def conditional(reference: str) -> tuple[str, str] | None:
    """The type and the criteria of a conditional reference."""
    match = _CONDITIONAL.fullmatch(reference)
    return (match.group(1), match.group(2)) if match else None


def may_link(body: bytes, targets: Mapping[str, str]) -> bool:
    """Whether `linked` can find anything in a resource: looked for in its bytes, since most have nothing."""
    if b"urn:uuid:" in body or b"urn:oid:" in body or _escaped(body):
        return True
    return any(not each.startswith(("urn:uuid:", "urn:oid:")) for each in targets)


def may_be_conditional(body: bytes) -> bool:
    """Whether `conditional_references` can find anything in a resource."""
    return b"?" in body or _escaped(body)


def _escaped(body: bytes) -> bool:
    """A character that is looked for may be written as an escape."""
    return b"\\u" in body or b"\\/" in body


def conditional_references(value: Any) -> Iterator[str]:
    """Every conditional reference in a resource."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "reference" and isinstance(each, str) and conditional(each):
                yield each
            else:
                yield from conditional_references(each)
    elif isinstance(value, list):
        for each in value:
            yield from conditional_references(each)


def linked(value: Any, targets: Mapping[str, str], full_url: str | None) -> Any:
    """The resource with what names another entry replaced.

    `targets`: what each fullUrl became. Raises `Invalid` for a `urn:uuid:` or `urn:oid:` reference that names no entry.
    """
    match = _ABSOLUTE.fullmatch(full_url or "")
    base = match.group(1) if match else None

    def replaced(key: str, text: str) -> str:
        if key == "reference":
            found = targets.get(text)
            if found is None and base is not None and _RELATIVE.fullmatch(text):
                found = targets.get(base + text)
            if found is None and text.startswith(("urn:uuid:", "urn:oid:")):
                raise Invalid(
                    "a reference by urn must name the fullUrl of an entry of the same Bundle", code="unknown-reference"
                )
            return found or text
        if key == "div":
            return _LINK.sub(lambda m: f"{m[1]}{m[2]}{targets.get(m[3], m[3])}{m[2]}", text)
        if key in ("url", "uri") or key.endswith(_ADDRESSES):
            return targets.get(text, text)
        return text

    return _mapped(value, replaced)


def resolved(value: Any, targets: Mapping[str, str]) -> Any:
    """The resource with its conditional references replaced by what they matched."""
    return _mapped(value, lambda key, text: targets.get(text, text) if key == "reference" else text)


def _mapped(value: Any, replaced: Callable[[str, str], str], key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _mapped(each, replaced, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_mapped(each, replaced, key) for each in value]
    return replaced(key, value) if isinstance(value, str) else value
