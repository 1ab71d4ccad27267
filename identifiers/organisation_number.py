# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Organisationsnummer: the number of a legal entity in Sweden (lagen (1974:174) om identitetsbeteckning för juridiska
personer m.fl.; system urn:oid:2.5.4.97 in the Swedish base profiles).

Ten digits: the first is the group, the third is at least 2, which keeps it apart from personal numbers, and the
last is a check digit.
"""

import re
from typing import Final, NewType

from identifiers import person_number
from identifiers.check_digit import luhn

__all__ = ["InvalidOrganisationNumber", "OrganisationNumber", "formatted", "group", "parse_organisation_number"]

OrganisationNumber = NewType("OrganisationNumber", str)

_WRITTEN = re.compile(r"([0-9]+)(?:-([0-9]+))?", re.ASCII)
_VAT = re.compile(r"SE([0-9]{10})01", re.ASCII)

_GROUPS: Final[dict[str, str]] = {
    "1": "dödsbo",
    "2": "stat, region, kommun, församling",
    "3": "utländskt företag",
    "5": "aktiebolag",
    "6": "enkelt bolag",
    "7": "ekonomisk förening, bostadsrättsförening",
    "8": "ideell förening, stiftelse",
    "9": "handelsbolag, kommanditbolag",
}


class InvalidOrganisationNumber(ValueError):
    """The text is no organisation number. The message never repeats it, since a sole trader's is a personal number.

    `reason` is one of empty, format, prefix, length, third-digit and check-digit: the first that applies.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def parse_organisation_number(text: str, *, vat: bool = False, sole_trader: bool = False) -> OrganisationNumber:
    """The ten digits of an organisation number, written with or without its hyphen or the prefix 16.

    `vat` also takes the form of a VAT number, SE + ten digits + 01; `sole_trader` also takes a valid personnummer or
    samordningsnummer of twelve digits, which is what a sole trader has. Raises `InvalidOrganisationNumber`.
    """
    value = text.strip()
    if not value:
        raise InvalidOrganisationNumber("empty", "the organisation number is empty")
    as_vat = _VAT.fullmatch(value) if vat else None
    written = _WRITTEN.fullmatch(as_vat.group(1) if as_vat else value)
    if written is None:
        raise InvalidOrganisationNumber("format", "an organisation number is ten digits, with or without a hyphen")
    if sole_trader:
        try:
            return OrganisationNumber(person_number.parse_swedish(value).value[2:])
        except person_number.InvalidPersonNumber:
            pass  # a sole trader's number is allowed, not required
    head, tail = written.groups()
    digits = head + (tail or "")
    if len(digits) == 12 and (tail is None or len(tail) == 4):
        if not digits.startswith("16"):
            raise InvalidOrganisationNumber("prefix", "the form of twelve digits begins with 16")
        digits = digits[2:]
    if len(digits) != 10 or (tail is not None and len(tail) != 4):
        raise InvalidOrganisationNumber(
            "length", "an organisation number has ten digits, the hyphen before the last four"
        )
    if digits[2] < "2":
        raise InvalidOrganisationNumber(
            "third-digit", "the third digit is at least 2: this has the form of a person's number"
        )
    if luhn(digits[:9]) != int(digits[9]):
        raise InvalidOrganisationNumber("check-digit", "the check digit is wrong")
    return OrganisationNumber(digits)


def formatted(number: OrganisationNumber) -> str:
    """The number as it is written: six digits, hyphen, four digits."""
    return f"{number[:6]}-{number[6:]}"


def group(number: OrganisationNumber) -> str | None:
    """What kind of legal entity the first digit stands for, in Swedish; None if the digit is not given out."""
    return _GROUPS.get(number[0])
