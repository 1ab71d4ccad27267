# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The people of the demo. Their numbers stand in the tax agency's published list of test numbers."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from demo.actors import PERSONNUMMER


@dataclass(frozen=True, slots=True)
class Person:
    """A person with a personal number (personnummer, 12 digits)."""

    login: str
    """Id at the test identity provider."""
    name: str
    number: str

    @property
    def identifier(self) -> str:
        """`system|value`, as FHIR searches have it."""
        return f"{PERSONNUMMER}|{self.number}"

    def written_forms(self) -> tuple[str, ...]:
        """Every form in which the number could be found where it must not be."""
        long, short = self.number, self.number[2:]
        hyphened = (f"{long[:8]}-{long[8:]}", f"{short[:6]}-{short[6:]}", f"{short[:6]}+{short[6:]}")
        percent = ("".join(f"%{ord(each):02x}" for each in long), "".join(f"%{ord(each):02x}" for each in short))
        escaped = tuple(each.replace("-", "%2d").replace("+", "%2b") for each in hyphened)
        return (long, short, *hyphened, *(quote(each, safe="") for each in hyphened), *escaped, *percent)


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of staff with her assignment (medarbetaruppdrag)."""

    login: str
    name: str
    hsa_id: str
    profession: str


ASTRID: Final = Person("astrid", "Astrid Exempel", "195701032863")
BERTIL: Final = Person("bertil", "Bertil Exempel", "199001032391")
PEOPLE: Final[tuple[Person, ...]] = (ASTRID, BERTIL)
DISA: Final = Staff("disa", "Disa Dentström", "SE0000000044-D1", "dentist")
