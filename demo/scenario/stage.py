# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What a step works with: the running network, the checks it makes, and the lines it writes into the table."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
import time
from typing import Any

import httpx2

from demo.actors import BY_NAME, REGISTER_PORT_OFFSET, Actor
from demo.processes import Processes
from demo.scenario.portal_api import Portal
from demo.tokens import SystemLogin

TRANSFER_OFFSET = 10
EHDS_OFFSET = 12
FHIR_JSON = "application/fhir+json"
Facts = dict[str, Any]


class Failed(Exception):
    """A check did not hold; the text says which."""


def check(holds: object, text: str) -> None:
    """Raises `Failed` with `text` unless it holds."""
    if not holds:
        raise Failed(text)


@dataclass(slots=True)
class Line:
    """One line of the table: an exchange that was made and checked."""

    what: str
    between: str
    protocol: str
    status: str = "…"
    milliseconds: int | None = None
    facts: Facts = field(default_factory=dict)
    error: str | None = None


@dataclass(slots=True)
class Step:
    """A step with its lines."""

    number: int
    title: str
    lines: list[Line] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every line was checked and held."""
        return bool(self.lines) and all(each.status == "ok" for each in self.lines)

    @property
    def milliseconds(self) -> int:
        """Of all lines together."""
        return sum(each.milliseconds or 0 for each in self.lines)

    @contextmanager
    def line(self, what: str, between: str, protocol: str) -> Iterator[Facts]:
        """A line while the block runs; what the block puts into the facts is shown with `--json`.

        Any failure marks the line and goes on; what nobody expected of an answer becomes `Failed`.
        """
        line = Line(what, between, protocol)
        self.lines.append(line)
        begin = time.perf_counter()
        try:
            yield line.facts
        except Exception as error:
            line.status, line.error = "failed", f"{type(error).__name__}: {error}"
            if isinstance(error, LookupError | TypeError | ValueError):
                raise Failed(f"{what}: an answer of another form than expected ({line.error})") from error
            raise
        else:
            line.status = "ok"
        finally:
            line.milliseconds = round((time.perf_counter() - begin) * 1000)


@dataclass(slots=True)
class World:
    """The running network as the scenario sees it."""

    data: Path
    base_port: int
    processes: Processes
    http: httpx2.AsyncClient
    database_url: str
    staff_secret: str
    start_region: Callable[[Actor], None]
    start_transfer: Callable[[], None]
    patient: Portal
    operator: SystemLogin
    dentist: str = ""
    """The dentist's access token, from step 3 on."""
    began: str = ""
    """When the run began, ISO 8601."""
    reads: int = 0
    """Reads the dentist was given an answer to."""

    def url(self, offset: int = 0) -> str:
        """Address of the process on the base port plus `offset`."""
        return f"http://127.0.0.1:{self.base_port + offset}"

    @property
    def ndi(self) -> str:
        """Address of the infrastructure."""
        return self.url()

    @property
    def register(self) -> str:
        """Address of the register."""
        return self.url(REGISTER_PORT_OFFSET)

    def source(self, name: str) -> str:
        """Address of a source."""
        return self.url(BY_NAME[name].port_offset)

    def own_staff(self) -> dict[str, str]:
        """The header by which a house's own clinicians reach its documentation."""
        return {"Authorization": f"Staff {self.staff_secret}"}

    def as_dentist(self) -> dict[str, str]:
        """The header of the dentist's calls."""
        return {"Authorization": f"Bearer {self.dentist}", "Accept": FHIR_JSON}


def parameter(parameters: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The parts of this name in a Parameters resource."""
    return [each for each in parameters.get("parameter", ()) if each.get("name") == name]


def value(parameters: dict[str, Any], name: str) -> Any:
    """The value of the first part of this name, None if there is none."""
    for each in parameter(parameters, name):
        return next((content for key, content in each.items() if key.startswith("value")), None)
    return None


def parts(parameter_: dict[str, Any]) -> dict[str, Any]:
    """The parts below one parameter by name: values, or the parts themselves where they have some."""
    found: dict[str, Any] = {}
    for each in parameter_.get("part", ()):
        values = [content for key, content in each.items() if key.startswith("value")]
        found[each["name"]] = values[0] if values else each
    return found


def resources(bundle: dict[str, Any], resource_type: str) -> list[dict[str, Any]]:
    """The resources of a type in a Bundle."""
    found = [each.get("resource", {}) for each in bundle.get("entry", ())]
    return [each for each in found if each.get("resourceType") == resource_type]


def answered(answer: httpx2.Response, status: int, what: str) -> Any:
    """The JSON of an answer. Raises `Failed` on another status."""
    check(answer.status_code == status, f"{what}: {answer.status_code} instead of {status}: {answer.text[:400]}")
    return answer.json() if answer.content else {}
