# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Secrecy: OSL (2009:400) for public bodies, PSL (2010:659) chapter 6 for private care."""

from typing import Final

from consent.model.rules.base import CONTENT, Rule, deny, permit
from consent.model.terms import ActorKind, Secrecy

DISCLOSURE: Final[tuple[Rule, ...]] = (
    deny(
        "psl6.private", "PSL_6_12", "PSL 6 kap. 12 §",
        lambda f: not f.data.public_body,
        "Uppgifter i enskild vård får inte obehörigen röjas.",
        "Data of private care must not be disclosed without right.",
    ),
    permit(
        "osl25.no-harm", "OSL_25_1_NO_HARM", "OSL 25 kap. 1 §",
        lambda f: f.situation.clear_without_harm,
        "Det står klart att uppgiften kan röjas utan men.", "It is clear that disclosure causes no harm.",
        shows=CONTENT, ground="lawful-basis",
    ),
    deny(
        "osl25.secret", "OSL_25_1", "OSL 25 kap. 1 §",
        lambda f: True,
        "Sekretess gäller om det inte står klart att uppgiften kan röjas utan men.",
        "Secret unless it is clear that disclosure causes no harm.",
    ),
)  # fmt: skip
"""Requests for documents outside direct access."""

TOWARDS_PERSON: Final[tuple[Rule, ...]] = (
    deny(
        "osl25.towards-patient", "OSL_25_6", "OSL 25 kap. 6 §; PSL 6 kap. 12 § andra stycket",
        lambda f: f.data.secrecy is Secrecy.osl_25_6 and f.actor.kind in (ActorKind.patient, ActorKind.proxy),
        "Uppgiften hålls hemlig för patienten därför att det är av synnerlig vikt för vården.",
        "The data are kept from the patient because that is of exceptional weight for the care.",
    ),
    deny(
        "osl12.towards-guardian", "OSL_12_3", "OSL 12 kap. 3 §",
        lambda f: f.data.secrecy is Secrecy.osl_12_3 and f.actor.kind is ActorKind.guardian,
        "Uppgiften lämnas inte till vårdnadshavaren eftersom barnet kan lida betydande men.",
        "The data are withheld from the guardian because the minor may suffer significant harm.",
    ),
)  # fmt: skip
"""Secrecy towards the person and the guardian, tried before any own access."""
