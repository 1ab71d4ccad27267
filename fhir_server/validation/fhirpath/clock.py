# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""`now()`, `today()`, `timeOfDay()`: one moment within an evaluation. http://hl7.org/fhirpath/N1/#current-date-and-time-functions"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from fhir_server.validation.fhirpath.engine import Environment, Items, Term
from fhir_server.validation.fhirpath.values import moment, time_of


def _now(env: Environment) -> str:
    if env.now is None:
        env.now = datetime.now(UTC)
    return env.now.isoformat(timespec="milliseconds")


def _called(give: Callable[[str], object]) -> tuple[Callable[..., Items], int, int]:
    def called(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
        return [give(_now(env))]

    return called, 0, 0


CLOCK: Final[dict[str, tuple[Callable[..., Items], int, int]]] = {
    "now": _called(moment),
    "today": _called(lambda text: moment(text[:10])),
    "timeOfDay": _called(lambda text: time_of(text[11:23])),
}
