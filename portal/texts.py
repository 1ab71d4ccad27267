# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Every text of the pages, in Swedish and English, in plain language (språklagen 2009:600 11 §)."""

from typing import Final

LANGUAGES: Final = ("sv", "en")

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "title": ("Dina hälsouppgifter", "Your health data"),
    "skip": ("Hoppa till innehållet", "Skip to content"),
    "language": ("English", "Svenska"),
    "welcome": (
        "Här ser du vilka som har uppgifter om dig, vilka som har läst dem, och du bestämmer själv.",
        "See who holds data about you and who has read it, and decide for yourself.",
    ),
    "login_patient": ("Logga in som patient", "Log in as a patient"),
    "login_clinician": ("Logga in som vårdpersonal", "Log in as a clinician"),
    "logout": ("Logga ut", "Log out"),
    "logged_in_as": ("Inloggad som", "Logged in as"),
    "overview": ("Översikt", "Overview"),
    "log": ("Vem har läst", "Who has read"),
    "consents": ("Samtycken och spärrar", "Consents and blocks"),
    "registers": ("Kvalitetsregister", "Quality registers"),
    "holders": ("Vilka har uppgifter om dig", "Who holds data about you"),
    "holders_none": (
        "Ingen ansluten vårdgivare har anmält uppgifter om dig.",
        "No connected provider has reported data about you.",
    ),
    "unit": ("Vårdenhet", "Care unit"),
    "provider": ("Vårdgivare", "Care provider"),
    "kind": ("Slag av uppgift", "Kind of information"),
    "latest": ("Senast", "Latest"),
    "count": ("Antal", "Count"),
    "blocked": ("Spärrad", "Blocked"),
    "open": ("Öppen", "Open"),
    "state": ("Läge", "State"),
    "block": ("Spärra", "Block"),
    "lift": ("Häv spärren", "Lift the block"),
    "block_explained": (
        "En yttre spärr gäller genast. Andra vårdgivare kan då inte läsa det enheten har antecknat. "
        "De kan se att det finns spärrade uppgifter, men inte hos vem. Du kan häva spärren när du vill.",
        "An outer block works at once. Other care providers can then no longer read what the unit has recorded. "
        "They can see that blocked data exist, not where. You can lift the block whenever you want.",
    ),
    "consent_give": ("Ge samtycke", "Give consent"),
    "consent_for": ("Vårdgivare som får läsa (HSA-id)", "Provider that may read (HSA-id)"),
    "consent_explained": (
        "Med ditt samtycke får personal hos vårdgivaren, när den vårdar dig, läsa ospärrade uppgifter hos andra.",
        "With your consent, staff of the provider who care for you may read unblocked data held by others.",
    ),
    "withdraw": ("Ta tillbaka", "Withdraw"),
    "shared-record": ("Samtycke till sammanhållen dokumentation", "Consent to shared record"),
    "outer-block": ("Yttre spärr", "Outer block"),
    "register-opt-out": ("Nej till kvalitetsregister", "Opted out of a quality register"),
    "concerns": ("Gäller", "Concerns"),
    "since": ("Sedan", "Since"),
    "active": ("Gäller", "In force"),
    "ended": ("Upphört", "Ended"),
    "consents_none": ("Du har inga samtycken eller spärrar.", "You have no consents or blocks."),
    "when": ("När", "When"),
    "who": ("Vem", "Who"),
    "where": ("Var", "Where"),
    "why": ("Varför", "Why"),
    "what": ("Vad", "What"),
    "automatic": ("Automatisk behandling", "Automatic processing"),
    "log_none": ("Ingen har läst dina uppgifter.", "Nobody has read your data."),
    "older": ("Äldre", "Older"),
    "register_records": ("Uppgifter om dig", "Records about you"),
    "register_purpose": ("Ändamål", "Purpose"),
    "opt_out": ("Jag vill inte vara med", "I do not want to take part"),
    "opt_in": ("Jag vill vara med igen", "I want to take part again"),
    "erased": ("Utplånade", "Erased"),
    "locate": ("Sök uppgifter om en patient", "Find data about a patient"),
    "number": ("Personnummer, tolv siffror", "Personal identity number, twelve digits"),
    "relation": ("Vårdrelation: varför behöver du uppgifterna?", "Care relation: why do you need the data?"),
    "find": ("Sök", "Find"),
    "read": ("Läs allergier", "Read allergies"),
    "unblocked_yes": ("Det finns ospärrade uppgifter.", "Unblocked data exist."),
    "unblocked_no": ("Det finns inga ospärrade uppgifter.", "No unblocked data exist."),
    "blocked_yes": ("Det finns spärrade uppgifter.", "Blocked data exist."),
    "coverage": ("Anslutning", "Coverage"),
    "coverage_text": ("anslutna vårdgivare", "connected providers"),
    "not_connected": ("Inte anslutna", "Not connected"),
    "allergies": ("Allergier och överkänslighet", "Allergies and hypersensitivity"),
    "allergies_none": (
        "Inga allergier i de uppgifter som kunde läsas.",
        "No allergies in the data that could be read.",
    ),
    "critical": ("Allvarlig", "High risk"),
    "notices": ("Att känna till", "Please note"),
    "losses": ("Det som inte kunde översättas", "What could not be translated"),
    "sources": ("Källor", "Sources"),
    "answered": ("svarade", "answered"),
    "silent": ("svarade inte i tid", "did not answer in time"),
    "failed": ("svarade fel", "answered wrongly"),
    "none": ("har ingen adress", "has no address"),
    "error": ("Det gick inte", "That did not work"),
    "back": ("Tillbaka", "Back"),
    "session_over": (
        "Du har varit inloggad för länge. Logga in igen.",
        "Your session has ended. Log in again.",
    ),
    "form_old": (
        "Sidan var för gammal. Ladda om den och försök igen.",
        "The page was too old. Reload it and try again.",
    ),
    "unavailable": (
        "Tjänsten svarar inte just nu. Inget har ändrats. Försök igen.",
        "The service does not answer right now. Nothing has changed. Try again.",
    ),
    "not_for_you": ("Sidan är inte till för dig.", "This page is not for you."),
    "bad_input": ("Något i formuläret är fel:", "Something in the form is wrong:"),
    "not_found": ("Sidan finns inte.", "There is no such page."),
}  # fmt: skip


def text(key: str, language: str) -> str:
    """The text in the language; a key that is not there is shown as it is, so that it is noticed."""
    pair = TEXTS.get(key)
    return key if pair is None else pair[LANGUAGES.index(language)]
