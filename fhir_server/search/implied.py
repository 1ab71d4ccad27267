# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The system of codes that carry none: an element of type code has that of its binding.

https://hl7.org/fhir/R4/search.html#token: "the system is implied in the underlying element by its binding". So
`gender=http://hl7.org/fhir/administrative-gender|male` finds what `gender=male` finds, and so does a value set.
"""

import re

from fhir_server.validation.definitions import code_sets, kind

_PATH = re.compile(r"[A-Z]\w*(?:\.[a-z]\w*)+")


def implied_system(expression: str) -> str | None:
    """The system of the codes that a plain path, or a union of some, leads to; None if there is not exactly one."""
    systems = {_system(term.strip()) for term in expression.split("|")}
    return systems.pop() if len(systems) == 1 else None


def _system(path: str) -> str | None:
    if not _PATH.fullmatch(path):
        return None
    name, *steps = path.split(".")
    bound = ""
    for step in steps:
        at = kind(name)
        found = at.elements.get(step) if at is not None else None
        if found is None:
            return None
        element, name = found
        bound = element.codes
    systems = code_sets().get(bound, {})
    return next(iter(systems)) if name == "code" and len(systems) == 1 else None
