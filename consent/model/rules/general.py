# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What holds before any statute is looked at: the call can be documented, by one person, about a known kind of data."""

from typing import Final

from consent.model.rules.base import Rule, always, deny
from consent.model.terms import ActorKind, DataType

_STAFF: Final = frozenset({ActorKind.care, ActorKind.social, ActorKind.pharmacy})

RULES: Final[tuple[Rule, ...]] = (
    deny(
        "general.audit-unavailable", "AUDIT_UNAVAILABLE", "PDL 4 kap. 3 § första stycket",
        lambda f: not f.situation.audit_sink_available,
        "Åtkomsten kan inte dokumenteras och medges därför inte.",
        "The access cannot be documented and is therefore not given.",
        interpretation="The section says that access shall be documented; refusing when it cannot be is our reading.",
    ),
    deny(
        "general.unknown-type", "UNKNOWN_TYPE", "PDL 5 kap. 4 §",
        lambda f: f.data.type is DataType.unknown,
        "Informationstypen är inte överenskommen; okänd information lämnas inte ut.",
        "The information type is not agreed; unknown information is not disclosed.",
        interpretation="Direct access needs support in law; what cannot be classified cannot be shown to have it.",
    ),
    deny(
        "general.shared-account", "SHARED_ACCOUNT", "HSLF-FS 2016:40 4 kap. 2 §",
        lambda f: f.actor.authority_is_shared and f.actor.kind in _STAFF,
        "Behörigheten är gemensam för flera; den ska vara individuell.",
        "The authority is shared by several; it must be personal.",
        verified=False,
    ),
)  # fmt: skip

NO_RULE: Final = deny(
    "general.no-rule", "NO_GROUND", "PDL 5 kap. 4 §; SVOD 3 kap. 7 §", always,
    "Ingen regel ger stöd för åtkomsten.",
    "No rule supports the access.",
    interpretation="Deny is the default.",
)  # fmt: skip
