# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Patient Data Act (2008:355) 2:8, search terms, and 3:14, no erasure."""

from typing import Final

from consent.model.rules.base import NOTHING, OUTCOME, Rule, always, deny, permit
from consent.model.terms import ActorKind, Operation, SearchTerm

SEARCH: Final[tuple[Rule, ...]] = (
    permit(
        "pdl2.health", "PDL_2_8_HEALTH", "PDL 2 kap. 8 § andra stycket 1",
        lambda f: (
            f.operation is Operation.search
            and f.search_term is SearchTerm.diagnosis
            and f.actor.kind is ActorKind.care
            and f.actor.authorised
        ),
        "Uppgifter om hälsa får vara sökbegrepp.", "Data on health may be a search term.",
        ground="lawful-basis",
    ),
    deny(
        "pdl2.sensitive", "PDL_2_8_SEARCH", "PDL 2 kap. 8 § första stycket", always,
        "Sökbegreppet är en känslig uppgift som inte får användas.",
        "The search term is a sensitive fact that may not be used.",
        shows=NOTHING,
    ),
)  # fmt: skip

ERASURE: Final[tuple[Rule, ...]] = (
    deny(
        "pdl3.no-delete", "PDL_3_14_NO_DELETE", "PDL 3 kap. 14 §, 8 kap. 4 §",
        lambda f: f.actor.kind is ActorKind.patient and f.subject.self,
        "Journaluppgifter utplånas bara efter beslut av Inspektionen för vård och omsorg.",
        "Record entries are erased only by decision of the inspectorate.",
        shows=OUTCOME,
    ),
    deny(
        "pdl3.no-delete-by-others", "PDL_3_14_NO_DELETE", "PDL 3 kap. 14 §, 8 kap. 4 §", always,
        "Journaluppgifter får inte utplånas.", "Record entries may not be erased.",
    ),
)  # fmt: skip
