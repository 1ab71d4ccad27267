# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A sound example that is broken in one place is refused at that place."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from fhir_server.validation import InvalidResource, validate
from fhir_server.validation.definitions import Element, kind
from tests.fhir_server.validation.published import needs_data
from tools.conformance.examples import BROKEN
from tools.conformance.published import examples

pytestmark = needs_data


@dataclass(frozen=True, slots=True)
class Place:
    """An element that stands in a resource."""

    path: str
    steps: tuple[str | int, ...]
    element: Element
    kind: str


def places(value: dict[str, Any], kind_name: str, path: str, steps: tuple[str | int, ...]) -> Iterator[Place]:
    if kind_name == "Resource":
        kind_name = value["resourceType"]
    of = kind(kind_name)
    if of is None or of.primitive:
        return
    for name, child in value.items():
        known = of.elements.get(name)
        if known is None or name == "contained":
            continue
        element, child_kind = known
        several = isinstance(child, list)
        for at, each in enumerate(child if several else [child]):
            where = f"{path}.{name}[{at}]" if several else f"{path}.{name}"
            below = (*steps, name, at) if several else (*steps, name)
            yield Place(where, below, element, child_kind)
            if isinstance(each, dict):
                yield from places(each, child_kind, where, below)


@cache
def sound() -> list[bytes]:
    return [body for name, body in examples() if name not in BROKEN and len(body) < 20_000]


@cache
def places_of(number: int) -> list[Place]:
    resource = json.loads(sound()[number])
    return list(places(resource, "Resource", resource["resourceType"], ()))


def changed(number: int, place: Place, value: Any) -> bytes:
    """The example with another value there; None: without the whole element."""
    resource = json.loads(sound()[number])
    steps = place.steps
    if value is None and isinstance(steps[-1], int):
        steps = steps[:-1]
    holder: Any = resource
    for step in steps[:-1]:
        holder = holder[step]
    if value is None:
        del holder[steps[-1]]
    else:
        holder[steps[-1]] = value
    return json.dumps(resource).encode()


def faults(body: bytes) -> list[str]:
    with pytest.raises(InvalidResource) as caught:
        validate(body)
    return [each.path for each in caught.value.problems]


def drawn(data: st.DataObject, wanted: str) -> tuple[int, Place]:
    """An example and a place in it of the kind that is wanted."""
    some = [at for at in range(len(sound())) if wanted_places(at, wanted)]
    number = data.draw(st.sampled_from(some))
    return number, data.draw(st.sampled_from(wanted_places(number, wanted)))


@cache
def wanted_places(number: int, wanted: str) -> list[Place]:
    def fits(place: Place) -> bool:
        element = place.element
        if wanted == "required":
            return element.min > 0 and place.kind != "xhtml"
        if wanted == "coded":
            return bool(element.codes) and place.kind == "code"
        return place.kind == "Reference" and bool(element.targets)

    return [each for each in places_of(number) if fits(each)]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_required_element_is_missed(data: st.DataObject) -> None:
    number, place = drawn(data, "required")
    parent = place.path.rpartition(".")[0]
    found = faults(changed(number, place, None))
    name = place.element.path.rpartition(".")[2]
    assert any(each == parent or each.startswith(f"{parent}.{name}") for each in found), (place, found)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_wrong_code_is_found(data: st.DataObject) -> None:
    number, place = drawn(data, "coded")
    assert place.path in faults(changed(number, place, "no-such-code"))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_reference_to_another_type_is_found(data: st.DataObject) -> None:
    number, place = drawn(data, "referring")
    wrong = next(name for name in ("Binary", "Parameters") if name not in place.element.targets)
    assert place.path in faults(changed(number, place, {"reference": f"{wrong}/1"}))


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from(["Patient", "patient/1", "Patient/a_b", "", "a b", "Nobody/1", "/Patient/1"]))
def test_a_reference_that_is_none_is_found(data: st.DataObject, text: str) -> None:
    number, place = drawn(data, "referring")
    assert f"{place.path}.reference" in faults(changed(number, place, {"reference": text}))
