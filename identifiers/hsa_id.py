# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""HSA-id: identifier of organisations, units, systems and staff in Swedish health care (OID 1.2.752.29.4.19).

SE, the ten digits of the organisation number of the catalogue's owner, a hyphen, letters or digits of the owner's own.
"""

import re
from typing import NewType

from identifiers.check_digit import luhn

__all__ = ["HsaId", "InvalidHsaId", "owner_check_digit_holds", "owner_number", "parse_hsa_id"]

HsaId = NewType("HsaId", str)

_DIGITS = re.compile(r"[0-9]*", re.ASCII)
_SUFFIX = re.compile(r"[A-Za-z0-9]+", re.ASCII)
_MAX_LENGTH = 31


class InvalidHsaId(ValueError):
    """The text is no HSA-id; `reason` is a short code of the first rule it breaks."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"an HSA-id is SE, ten digits, a hyphen and at least one letter or digit, at most {_MAX_LENGTH} in all, "
            f"e.g. SE0000000011-VE1 ({reason})"
        )
        self.reason = reason


def parse_hsa_id(text: str) -> HsaId:
    """The HSA-id in upper case, since it is compared without regard to case.

    Raises `InvalidHsaId` unless it is SE, ten digits, a hyphen and ASCII letters or digits, at most 31 characters in
    all. White space around it is not taken: who reads files trims. A wrong check digit in the owner's number is no
    error, since test identifiers have one (`owner_check_digit_holds`).
    """
    reason = _fault(text)
    if reason is not None:
        raise InvalidHsaId(reason)
    return HsaId(text.upper())


def owner_number(hsa_id: HsaId) -> str:
    """The ten digits between SE and the hyphen: the organisation number of the owner."""
    return hsa_id[2:12]


def owner_check_digit_holds(hsa_id: HsaId) -> bool:
    """Whether the owner's number can be an organisation number; false for test identifiers such as SE0000000001-1."""
    digits = owner_number(hsa_id)
    return digits[2] >= "2" and luhn(digits[:9]) == int(digits[9])


def _fault(text: str) -> str | None:
    if not text:
        return "empty"
    if text != text.strip():
        return "whitespace"
    if text[:2] not in ("SE", "Se", "sE", "se"):
        return "country"
    owner, hyphen, suffix = text[2:].partition("-")
    if not hyphen:
        return "hyphen"
    if not _DIGITS.fullmatch(owner) or re.match(r"[0-9]{4}-", suffix, re.ASCII):
        return "owner-format"
    if len(owner) != 10:
        return "owner-length"
    if not suffix:
        return "suffix-empty"
    if not _SUFFIX.fullmatch(suffix):
        return "suffix-characters"
    return "length" if len(text) > _MAX_LENGTH else None
