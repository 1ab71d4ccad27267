# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""FHIRPath Patch (https://hl7.org/fhir/R4/fhirpatch.html) on values of `raw.loads`.

A patch does not say whether an element repeats nor what JSON calls a choice. Neither is guessed: what was added is
held against the structure of the type (fhirkit) and put right where it says "expected an array" or "unknown element".
"""

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import fhirkit

from fhir_server.outcome import FhirError, Invalid, Malformed
from fhir_server.patching.json_patch import PatchFailed
from fhir_server.patching.places import Place, child_key, name_of, places, split
from fhir_server.raw import dumps

_ARRAY, _UNKNOWN = "expected an array", "unknown element"


@dataclass(slots=True)
class _Given:
    """The value of an operation: what it is and, for choices, the type each part was sent as."""

    value: Any
    extra: Any = None
    """id and extensions of a primitive, what stands in `_name`."""
    kinds: dict[tuple[int, str], str] = field(default_factory=dict)
    """By the object's identity and the member's name."""
    kind: str = ""


def fhirpath_patch(resource: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """The resource after all operations; the given one stays.

    Raises `Malformed` if this is no patch, `PatchFailed` naming the operation by its number if it does not apply.
    """
    if parameters.get("resourceType") != "Parameters":
        raise Malformed("a FHIRPath Patch is a Parameters resource")
    made = deepcopy(resource)
    for number, entry in enumerate(parameters.get("parameter", ())):
        try:
            _apply(made, entry)
        except FhirError as error:
            raise type(error)(
                f"operation {number} of the patch: {error.message}",
                code=error.detail_code,
                expression=f"Parameters.parameter[{number}]",
            ) from None
    return made


def _apply(resource: dict[str, Any], entry: Any) -> None:
    if not isinstance(entry, dict) or entry.get("name") != "operation":
        raise Malformed("every parameter is named operation")
    parts = {part["name"]: part for part in entry.get("part", ()) if isinstance(part, dict) and "name" in part}
    kind, path = _text(parts, "type"), _text(parts, "path")
    root = Place({"": resource}, "", str(resource["resourceType"]), None)
    match kind:
        case "add":
            _add(resource, _one(root, path), _text(parts, "name"), _given(parts))
        case "insert":
            _insert(resource, root, path, _number(parts, "index"), _given(parts))
        case "delete":
            found = places(root, path)
            if len(found) > 1:
                raise PatchFailed("the path leads to more than one element")
            if found:
                _delete(found[0])
        case "replace":
            _replace(resource, _one(root, path), name_of(split(path)[-1]), _given(parts))
        case "move":
            _move(root, path, _number(parts, "source"), _number(parts, "destination"))
        case _:
            raise Invalid("type is one of add, insert, delete, replace, move")


def _one(root: Place, path: str) -> Place:
    found = places(root, path)
    if len(found) != 1:
        raise PatchFailed(f"the path must lead to one element; it leads to {len(found) or 'none'}")
    return found[0]


def _add(resource: dict[str, Any], place: Place, name: str, given: _Given) -> None:
    parent = place.value
    if not isinstance(parent, dict):
        # A primitive takes an id or an extension only, and these stand beside it.
        key = f"_{place.list_name or place.key}"
        if place.list_name is not None or name not in ("id", "extension"):
            raise PatchFailed("nothing can be added to this element")
        parent = place.container.setdefault(key, {})
        place = Place(place.container, key, f"{_above(place)}.{key}", place.parent)
    key = child_key(parent, name)
    if isinstance(parent.get(key), list):
        _put(parent, key, len(parent[key]), given)
        _mend(resource, f"{place.path}.{key}[{len(parent[key]) - 1}]", given, parent, key)
        return
    if key in parent:
        raise PatchFailed("the element is there already and does not repeat")
    parent[key] = given.value
    if given.extra is not None:
        parent[f"_{key}"] = given.extra
    given.kinds[id(parent), key] = given.kind
    _mend(resource, f"{place.path}.{key}", given, parent, key)


def _insert(resource: dict[str, Any], root: Place, path: str, index: int, given: _Given) -> None:
    place, key = _list(root, path)
    parent = place.value
    if key not in parent and index == 0:
        _add(resource, place, key, given)
        return
    if not isinstance(parent.get(key), list) or index > len(parent[key]):
        raise PatchFailed("the list has no such place")
    _put(parent, key, index, given)
    _mend(resource, f"{place.path}.{key}[{index}]", given, parent, key)


def _put(parent: dict[str, Any], key: str, index: int, given: _Given) -> None:
    items, beside = parent[key], parent.get(f"_{key}")
    if beside is None and given.extra is not None:
        beside = parent[f"_{key}"] = [None] * len(items)
    if beside is not None:
        beside.extend([None] * (len(items) - len(beside)))
        beside.insert(index, given.extra)
    items.insert(index, given.value)


def _delete(place: Place) -> None:
    if place.parent is None:
        raise PatchFailed("the resource itself cannot be deleted by a patch")
    container = place.container
    if isinstance(container, list):
        above = place.parent.value
        container.pop(place.key)
        beside = above.get(f"_{place.list_name}")
        if isinstance(beside, list) and place.key < len(beside):
            beside.pop(place.key)
        for key, items in ((place.list_name, container), (f"_{place.list_name}", beside)):
            if items is not None and not any(item is not None for item in items):
                above.pop(key, None)
    else:
        container.pop(place.key, None)
        container.pop(f"_{place.key}", None)
    # An element is never empty (ele-1): what has lost its last part goes too.
    if place.parent.parent is not None and not place.parent.value:
        _delete(place.parent)


def _replace(resource: dict[str, Any], place: Place, stem: str | None, given: _Given) -> None:
    if place.parent is None:
        raise PatchFailed("the resource itself cannot be replaced by a patch; send an update")
    name = place.list_name or str(place.key)
    above = place.parent.value
    place.container[place.key] = given.value
    beside = above.get(f"_{name}")
    if place.list_name is None:
        above.pop(f"_{name}", None)
        if given.extra is not None:
            above[f"_{name}"] = given.extra
        if stem is not None and name != stem and given.kind:
            # The path named a choice, and the value may be of another of its types.
            _rename(above, name, stem + given.kind)
    elif given.extra is not None or isinstance(beside, list):
        beside = above.setdefault(f"_{name}", [])
        beside.extend([None] * (place.key + 1 - len(beside)))
        beside[place.key] = given.extra
    _mend(resource, place.path, given, above, name)


def _move(root: Place, path: str, source: int, destination: int) -> None:
    place, key = _list(root, path)
    items = place.value.get(key)
    if not isinstance(items, list) or source >= len(items) or destination >= len(items):
        raise PatchFailed("the list has no such place")
    beside = place.value.get(f"_{key}")
    for moved in (items, beside):
        if isinstance(moved, list):
            moved.extend([None] * (len(items) - len(moved)))
            moved.insert(destination, moved.pop(source))


def _list(root: Place, path: str) -> tuple[Place, str]:
    """The object that holds the list, and the list's name."""
    *before, last = split(path)
    name = name_of(last)
    if name is None or not before:
        raise PatchFailed("the path must name a list, without an index")
    place = _one(root, ".".join(before))
    if not isinstance(place.value, dict):
        raise PatchFailed("the path must name a list")
    return place, child_key(place.value, name)


def _mend(resource: dict[str, Any], path: str, given: _Given, parent: dict[str, Any], key: str) -> None:
    """Wraps what repeats and completes the names of choices, in what was just put at `path`."""
    for _ in range(16):
        issues = [
            issue
            for issue in fhirkit.validate(dumps(resource))
            if issue.path == path or issue.path.startswith((f"{path}.", f"{path}["))
        ]
        changed = False
        for issue in issues:
            holder, name = _holder(resource, issue.path)
            if holder is None or name not in holder:
                continue
            if issue.message.startswith(_ARRAY) and not isinstance(holder[name], list):
                holder[name] = [holder[name]]
                if f"_{name}" in holder and not isinstance(holder[f"_{name}"], list):
                    holder[f"_{name}"] = [holder[f"_{name}"]]
            elif issue.message == _UNKNOWN and given.kinds.get((id(holder), name)):
                renamed = name + given.kinds.pop((id(holder), name))
                _rename(holder, name, renamed)
                if holder is parent and name == key:
                    path, key = path.removesuffix(name) + renamed, renamed
            else:
                continue
            changed = True
            break
        if not changed:
            return


def _rename(holder: dict[str, Any], name: str, renamed: str) -> None:
    pairs = list(holder.items())
    holder.clear()
    for key, value in pairs:
        holder[renamed if key == name else f"_{renamed}" if key == f"_{name}" else key] = value


def _holder(resource: dict[str, Any], path: str) -> tuple[dict[str, Any] | None, str]:
    """The object and member that a path like Patient.contact[1].telecom means."""
    current: Any = resource
    *before, last = path.split(".")[1:]
    for step in before:
        name, _, index = step.partition("[")
        current = current.get(name) if isinstance(current, dict) else None
        if index and isinstance(current, list):
            number = int(index.rstrip("]"))
            current = current[number] if number < len(current) else None
    return (current, last) if isinstance(current, dict) else (None, last)


def _above(place: Place) -> str:
    return place.parent.path if place.parent is not None else ""


def _text(parts: dict[str, Any], name: str) -> str:
    part = parts.get(name, {})
    for key in ("valueString", "valueCode", "valueId"):
        if isinstance(part.get(key), str):
            return str(part[key])
    raise Malformed(f"the operation needs the part {name}")


def _number(parts: dict[str, Any], name: str) -> int:
    part = parts.get(name, {})
    for key in ("valueInteger", "valueUnsignedInt", "valuePositiveInt"):
        if isinstance(part.get(key), int) and not isinstance(part[key], bool) and part[key] >= 0:
            return int(part[key])
    raise Malformed(f"the operation needs the part {name}, a whole number")


def _given(parts: dict[str, Any]) -> _Given:
    part = parts.get("value")
    if part is None:
        raise Malformed("the operation needs the part value")
    return _value(part)


def _value(part: dict[str, Any]) -> _Given:
    """A `value[x]`, a resource, or the parts of an element that has no type of its own."""
    for key in part:
        bare = key.removeprefix("_")
        if bare.startswith("value") and len(bare) > len("value"):
            return _Given(deepcopy(part.get(bare)), deepcopy(part.get(f"_{bare}")), kind=bare.removeprefix("value"))
    if isinstance(part.get("resource"), dict):
        return _Given(deepcopy(part["resource"]))
    made: dict[str, Any] = {}
    result = _Given(made)
    for inner in part.get("part", ()):
        if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
            raise Malformed("every part has a name")
        given = _value(inner)
        name = inner["name"]
        result.kinds.update(given.kinds)
        if name in made:
            made[name] = made[name] if isinstance(made[name], list) else [made[name]]
            made[name].append(given.value)
        else:
            made[name] = given.value
            result.kinds[id(made), name] = given.kind
        if given.extra is not None:
            made[f"_{name}"] = given.extra
    if not made:
        raise Malformed("the part value is empty")
    return result
