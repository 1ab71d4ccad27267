# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What R4 leaves to the one who validates: what is merely said, and what is refused."""

from collections.abc import Container
from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Policy:
    """How much a finding weighs that receivers may see differently; None: it is not looked for."""

    warnings: bool = True
    """Whether rules of the specification that are warnings are asked at all."""
    unknown_extensions: Severity | None = None
    """https://hl7.org/fhir/R4/extensibility.html: a receiver may accept or refuse what it does not know."""
    known_extensions: Container[str] = ()
    """Extensions that are known beside R4's own: the loaded profiles."""
    known_domains: tuple[str, ...] = ()
    """Beginnings of the URLs of extensions that pass unseen."""
    example_urls: Severity | None = None
    """Addresses that RFC 2606 keeps for examples: at home in documentation, not in a register."""
    raw_html: Severity | None = None
    """https://hl7.org/fhir/R4/datatypes.html#markdown prohibits it, and whoever shows the text escapes it."""
    unresolved: Severity | None = None
    """A relative reference in Parameters to none of the resources that came along."""


WRITE: Final = Policy(warnings=False)
"""What a write is refused for: errors in the eyes of every receiver."""
ADVICE: Final = Policy(unknown_extensions="information", raw_html="warning", unresolved="information")
"""What `$validate` tells."""
STRICT: Final = Policy(unknown_extensions="error", example_urls="error", raw_html="error", unresolved="error")
"""`$validate` with `Prefer: handling=strict`; the reference validator's choice too."""
