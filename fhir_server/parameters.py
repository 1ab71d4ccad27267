# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The Parameters resource as operations take and give it (https://hl7.org/fhir/R4/parameters.html)."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Self, TypeVar, cast

from fhir_server.outcome import FhirError, Invalid, Malformed
from fhir_server.resource import moment_of

T = TypeVar("T")

_VALUE_TYPES: dict[type, tuple[str, ...]] = {
    str: ("valueString", "valueCode", "valueUri", "valueCanonical", "valueId", "valueUrl", "valueOid", "valueUuid"),
    bool: ("valueBoolean",),
    int: ("valueInteger", "valuePositiveInt", "valueUnsignedInt"),
    datetime: ("valueDateTime", "valueInstant"),
    date: ("valueDate",),
}


class Parameters:
    """Named values in, named values out; names may repeat, parts nest."""

    def __init__(
        self,
        parameter: Sequence[Mapping[str, Any]] = (),
        *,
        path: str = "Parameters.parameter",
        fault: type[FhirError] = Invalid,
    ) -> None:
        """`path`: where the list stands, for errors; `fault`: the error of a faulty value, whoever sent it."""
        self.parameter = [dict(each) for each in parameter]
        self._path, self._fault = path, fault

    @classmethod
    def of(cls, resource: Mapping[str, Any], *, fault: type[FhirError] | None = None) -> Self:
        """From a Parameters resource. Raises `Malformed`, or `fault`, if it is something else."""
        if resource.get("resourceType") != "Parameters":
            raise (fault or Malformed)("the body must be a Parameters resource", expression="Parameters")
        entries = resource.get("parameter", [])
        return cls(
            _named(entries, "Parameters.parameter", "Parameters.parameter", fault or Malformed), fault=fault or Invalid
        )

    def add(self, name: str, **value: Any) -> Self:
        """Adds a parameter: `add("state", valueCode="current")`, `add("entry", part=[…])` or `resource=…`."""
        self.parameter.append({"name": name, **value})
        return self

    def all(self, name: str) -> list[dict[str, Any]]:
        """Every parameter of this name, as it stands in the resource."""
        return [each for each in self.parameter if each["name"] == name]

    def parts(self, name: str) -> list["Parameters"]:
        """The parts of every parameter of this name, to be read like parameters. Raises `Invalid` if one has none."""
        return [
            Parameters(
                _named(self.parameter[at].get("part"), f"the parts of {name}", path, self._fault),
                path=path,
                fault=self._fault,
            )
            for at in self._places(name)
            for path in [f"{self._path}[{at}].part"]
        ]

    def part(self, name: str) -> "Parameters":
        """The parts of the one parameter of this name. Raises `Invalid` if it is missing, repeated or has none."""
        found = self.parts(name)
        if len(found) != 1:
            raise self._fault(f"parameter {name} is required once", expression=self._path)
        return found[0]

    def values(self, name: str, kind: type[T]) -> tuple[T, ...]:
        """The value of every parameter of this name. Raises `Invalid` if one has another type."""
        return tuple(self._value(at, name, kind) for at in self._places(name))

    def optional(self, name: str, kind: type[T]) -> T | None:
        """The value of `name` as `kind` (str, bool, int, date, datetime or dict for complex values), or None.

        Raises `Invalid` if it occurs twice or has another type.
        """
        found = self._places(name)
        if not found:
            return None
        if len(found) > 1:
            raise self._fault(f"parameter {name} may occur once", expression=f"{self._path}[{found[0]}]")
        return self._value(found[0], name, kind)

    def required(self, name: str, kind: type[T]) -> T:
        """The value of `name`. Raises `Invalid` if it is missing, repeated or of another type."""
        value = self.optional(name, kind)
        if value is None:
            raise self._fault(f"parameter {name} is required", expression=self._path)
        return value

    def resource(self) -> dict[str, Any]:
        """The Parameters resource."""
        return (
            {"resourceType": "Parameters", "parameter": self.parameter}
            if self.parameter
            else {"resourceType": "Parameters"}
        )

    def _places(self, name: str) -> list[int]:
        return [at for at, each in enumerate(self.parameter) if each["name"] == name]

    def _value(self, at: int, name: str, kind: type[T]) -> T:
        entry, path = self.parameter[at], f"{self._path}[{at}]"
        if kind is dict:
            for key, value in entry.items():
                if (key.startswith("value") or key == "resource") and isinstance(value, dict):
                    return cast(T, value)
            raise self._fault(f"parameter {name} must have a complex value", expression=path)
        for key in _VALUE_TYPES.get(kind, ()):
            if key in entry:
                return cast(T, _converted(entry[key], kind, name, f"{path}.{key}", self._fault))
        raise self._fault(f"parameter {name} must be sent as {' or '.join(_VALUE_TYPES[kind])}", expression=path)


def _named(entries: Any, what: str, path: str, fault: type[FhirError]) -> list[dict[str, Any]]:
    named = isinstance(entries, list) and all(isinstance(e, dict) and isinstance(e.get("name"), str) for e in entries)
    if not named:
        raise fault(f"{what} must be a list of objects with a name", expression=path)
    return cast(list[dict[str, Any]], entries)


def _converted(value: Any, kind: type, name: str, path: str, fault: type[FhirError]) -> Any:
    if kind is datetime:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            raise fault(f"parameter {name} is no dateTime", expression=path) from None
        if moment.tzinfo is None:
            raise fault(f"parameter {name} must carry a time zone", expression=path)
        if moment_of(str(value)) is None:
            raise fault(f"parameter {name} is before the first or after the last moment there is", expression=path)
        return moment
    if kind is date:
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            raise fault(f"parameter {name} is no date", expression=path) from None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise fault(f"parameter {name} must be a {kind.__name__}", expression=path)
    return value
