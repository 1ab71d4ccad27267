# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7396) on values of `raw.loads`."""

from collections.abc import Callable
from copy import deepcopy
import re
from typing import Any, Final

from fhir_server.outcome import FhirError, Malformed, Unprocessable
from fhir_server.raw import same

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_BAD_ESCAPE = re.compile(r"~(?![01])")


class PatchFailed(Unprocessable):
    """The patch does not apply to this version of the resource; nothing was changed."""

    code = "patch-failed"


def merge_patch(document: Any, patch: Any) -> Any:
    """The document with the members of `patch` put in, and those that are null taken out."""
    if not isinstance(patch, dict):
        return patch
    made = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = merge_patch(made.get(name), value)
    return made


def json_patch(document: Any, operations: Any) -> Any:
    """The document after all operations; the given one stays.

    Raises `Malformed` if this is no patch, `PatchFailed` naming the operation by its number if it does not apply.
    """
    if not isinstance(operations, list):
        raise Malformed("a JSON Patch is a list of operations (RFC 6902)")
    holder = [deepcopy(document)]
    for number, operation in enumerate(operations):
        try:
            _apply(holder, operation)
        except FhirError as error:
            raise type(error)(f"operation {number} of the patch: {error.message}", code=error.detail_code) from None
    return holder[0]


def _apply(holder: list[Any], operation: Any) -> None:
    if not isinstance(operation, dict):
        raise Malformed("an operation is an object with op and path")
    name = operation.get("op")
    action = _ACTIONS.get(name) if isinstance(name, str) else None
    if action is None:
        raise Malformed(f"op is one of {', '.join(sorted(_ACTIONS))}")
    action(holder, operation)


def _add(holder: list[Any], operation: dict[str, Any]) -> None:
    _put(holder, _pointer(operation, "path"), _value(operation))


def _remove(holder: list[Any], operation: dict[str, Any]) -> None:
    _take(holder, _pointer(operation, "path"))


def _replace(holder: list[Any], operation: dict[str, Any]) -> None:
    parent, key = _target(holder, _pointer(operation, "path"))
    _get(parent, key)
    parent[key if isinstance(parent, dict) else _index(key, len(parent))] = _value(operation)


def _move(holder: list[Any], operation: dict[str, Any]) -> None:
    source, target = _pointer(operation, "from"), _pointer(operation, "path")
    if target[: len(source)] == source and target != source:
        raise PatchFailed("nothing can be moved into itself")
    _put(holder, target, _take(holder, source))


def _copy(holder: list[Any], operation: dict[str, Any]) -> None:
    parent, key = _target(holder, _pointer(operation, "from"))
    _put(holder, _pointer(operation, "path"), deepcopy(_get(parent, key)))


def _test(holder: list[Any], operation: dict[str, Any]) -> None:
    parent, key = _target(holder, _pointer(operation, "path"))
    if not same(_get(parent, key), _value(operation)):
        raise PatchFailed("the test does not hold", code="patch-test-failed")


_ACTIONS: Final[dict[str, Callable[[list[Any], dict[str, Any]], None]]] = {
    "add": _add, "remove": _remove, "replace": _replace, "move": _move, "copy": _copy, "test": _test,
}  # fmt: skip


def _value(operation: dict[str, Any]) -> Any:
    if "value" not in operation:
        raise Malformed("the operation needs a value")
    return deepcopy(operation["value"])


def _pointer(operation: dict[str, Any], name: str) -> list[str]:
    """The parts of a JSON Pointer (RFC 6901)."""
    text = operation.get(name)
    if not isinstance(text, str) or (text and not text.startswith("/")) or _BAD_ESCAPE.search(text):
        raise Malformed(f"{name} must be a JSON Pointer like /name/0/family (RFC 6901)")
    return ["0", *(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])]


def _target(holder: list[Any], pointer: list[str]) -> tuple[Any, str]:
    """The container and the key in it; the document itself stands at 0 of the holder."""
    current: Any = holder
    for part in pointer[:-1]:
        current = _get(current, part)
    if not isinstance(current, dict | list):
        raise PatchFailed("the path leads into a value that has no parts")
    return current, pointer[-1]


def _get(parent: Any, key: str) -> Any:
    if isinstance(parent, dict):
        if key not in parent:
            raise PatchFailed("the path leads to nothing")
        return parent[key]
    if isinstance(parent, list):
        return parent[_index(key, len(parent))]
    raise PatchFailed("the path leads into a value that has no parts")


def _put(holder: list[Any], pointer: list[str], value: Any) -> None:
    parent, key = _target(holder, pointer)
    if parent is holder:
        holder[0] = value
    elif isinstance(parent, dict):
        parent[key] = value
    else:
        parent.insert(len(parent) if key == "-" else _index(key, len(parent) + 1), value)


def _take(holder: list[Any], pointer: list[str]) -> Any:
    parent, key = _target(holder, pointer)
    if parent is holder:
        raise PatchFailed("the whole resource cannot be removed")
    _get(parent, key)
    return parent.pop(key if isinstance(parent, dict) else _index(key, len(parent)))


def _index(key: str, size: int) -> int:
    if not _INDEX.fullmatch(key) or int(key) >= size:
        raise PatchFailed("the path names a place that the list has not")
    return int(key)
