# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Act on shared health and social care records (2022:913) 4:2: the person's own view across providers."""

from typing import Final

from consent.model.facts import Facts
from consent.model.rules.base import HOLDER, Rule, always, deny, permit
from consent.model.rules.osl import TOWARDS_PERSON
from consent.model.terms import ActorKind, Basis, Operation

_STRONG_LOGIN: Final = 3


def _person(f: Facts) -> bool:
    return f.actor.kind in (ActorKind.patient, ActorKind.care_recipient) and f.subject.self


RULES: Final[tuple[Rule, ...]] = (
    *TOWARDS_PERSON,
    deny(
        "svod4.not-self", "NOT_SELF", "SVOD 4 kap. 2 § första stycket",
        lambda f: not _person(f),
        "Tillgången gäller uppgifter om en själv.", "The access is for data on oneself.",
    ),
    deny(
        "svod4.weak-login", "LOGIN_TOO_WEAK", "SVOD 4 kap. 2 § tredje stycket; HSLF-FS 2016:40 3 kap.",
        lambda f: f.actor.loa < _STRONG_LOGIN,
        "Tillgången kräver stark legitimering.", "The access requires a strong login.",
        verified=False,
        interpretation="Chapter 3 of the regulation was not read; level 3 is that of a Swedish e-identification.",
    ),
    permit(
        "svod4.log", "SVOD_4_2_LOG", "SVOD 4 kap. 2 § första stycket andra meningen",
        lambda f: f.operation is Operation.read_access_log,
        "Den enskilde får se vem som tagit del av uppgifterna.", "The person may see who has accessed the data.",
        ground="self",
    ),
    deny(
        "svod4.incapable", "SVOD_4_2_BASIS_2_6", "SVOD 4 kap. 2 § andra stycket",
        lambda f: f.data.basis is Basis.svod_2_6,
        "Uppgifter som tillgängliggjorts enligt 2:6 visas inte i den egna vyn.",
        "Data made available under 2:6 are not shown in the person's own view.",
    ),
    deny(
        "svod4.not-shared", "NOT_MADE_AVAILABLE", "SVOD 4 kap. 2 § första stycket",
        lambda f: f.restricted or not f.data.made_available or not f.data.releasable,
        "Den egna vyn omfattar bara uppgifter som andra får ha tillgång till och som får lämnas ut.",
        "The own view covers only data that others may reach and that may be released.",
        interpretation="Blocked data are not available under 2:4; the person reads them at the holder under PDL 5:5.",
    ),
    permit(
        "svod4.own", "SVOD_4_2", "SVOD 4 kap. 2 § första stycket",
        lambda f: f.operation is Operation.read_content,
        "Den enskilde får läsa uppgifter om sig själv.", "The person may read data on herself.",
        ground="self",
    ),
    permit(
        "svod4.own-holders", "SVOD_4_2", "SVOD 4 kap. 2 § första stycket",
        lambda f: f.operation is Operation.list_open_holders,
        "Den enskilde får se vem som har uppgifter.", "The person may see who holds data.",
        shows=HOLDER, ground="self",
    ),
    deny(
        "svod4.no-ground", "NO_GROUND", "SVOD 4 kap. 2 §", always,
        "Paragrafen ger inte stöd för åtgärden.", "The section does not support the operation.",
    ),
)  # fmt: skip
