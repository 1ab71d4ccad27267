# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What primitive values must keep that the structural check does not ask. https://hl7.org/fhir/R4/datatypes.html

Regular expressions of the specification where they are sharper than the structural check's, and real dates.
Each check gives the text that says what to change, or None.
"""

from collections.abc import Callable
from datetime import date
import re
from typing import Any, Final

ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
RAW_HTML: Final = re.compile(r"<(?:/[A-Za-z][A-Za-z0-9-]*\s*|[A-Za-z][A-Za-z0-9-]*(?:\s[^<>]*)?/?)>|<!--", re.ASCII)
"""A tag of HTML as https://github.github.com/gfm/#raw-html has it; `<5 mg` and `<https://…>` are none."""
_LONGEST: Final = 1 << 20
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")

Check = Callable[[Any], str | None]


def check_id_value(value: Any) -> str | None:
    """`id`: https://hl7.org/fhir/R4/datatypes.html#id."""
    if isinstance(value, str) and not ID.fullmatch(value):
        return "an id is 1-64 letters, digits, hyphens and dots"
    return None


def _string(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    if not value.isprintable() and _CONTROL.search(value):
        return "remove the control characters; only tab, line feed and carriage return may stand in a string"
    if value.isspace():
        return "leave the element out instead of sending blanks only"
    if len(value) > _LONGEST:
        return "a string holds at most 1,048,576 characters"
    return None


def _date(value: Any) -> str | None:
    """Date, dateTime and instant: a day that the calendar has. The form is the structural check's."""
    if not isinstance(value, str) or len(value) < 4:
        return None
    if value[:4] == "0000":
        return "the year 0000 does not exist"
    if len(value) >= 10:
        try:
            date(int(value[:4]), int(value[5:7]), int(value[8:10]))
        except ValueError:
            return "give a day that the calendar has"
    return None


CHECKS: Final[dict[str, Check]] = {
    "id": check_id_value,
    "string": _string,
    "markdown": _string,
    "date": _date,
    "dateTime": _date,
    "instant": _date,
}
