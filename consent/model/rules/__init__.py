# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The rules, one file per chapter of a statute; `ALL` in the order of the files."""

from typing import Final

from consent.model.rules import (
    ehds,
    general,
    hslf,
    nll,
    osl,
    pdl2,
    pdl4,
    pdl5,
    pdl7,
    rivta,
    svod2,
    svod3,
    svod3_social,
    svod4,
)
from consent.model.rules.base import Rule

CHAPTERS: Final[tuple[tuple[str, tuple[Rule, ...]], ...]] = (
    ("Before any statute", (*general.RULES, general.NO_RULE)),
    ("SVOD chapter 2: making available, opposing, existence", (*svod2.MAKE_AVAILABLE, *svod2.BLOCKS, *svod2.EXISTENCE)),
    ("SVOD chapter 3: access of care providers", svod3.RULES),
    ("SVOD chapter 3: access of social care providers", svod3_social.RULES),
    ("Secrecy", (*osl.DISCLOSURE, *osl.TOWARDS_PERSON)),
    ("SVOD chapter 4: the person's view across providers", svod4.RULES),
    ("PDL chapter 2 and 3: search terms, erasure", (*pdl2.SEARCH, *pdl2.ERASURE)),
    ("PDL chapter 4: access within one provider", (*pdl4.RULES, *pdl4.BLOCKS)),
    ("PDL chapter 5 and 8: the person's direct access, counts", (*pdl5.PERSON, *pdl5.COUNTS, *pdl5.ON_REQUEST)),
    ("PDL chapter 7: quality registers", pdl7.RULES),
    ("NLL: the national medication list", nll.RULES),
    ("EHDS", ehds.RULES),
    ("HSLF-FS 2016:40: the audit log", hslf.RULES),
    ("National contracts", rivta.RULES),
)

ALL: Final[dict[str, Rule]] = {rule.id: rule for _, rules in CHAPTERS for rule in rules}
