# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What is asked of an entry before it is stored: form and rules, and whose it is."""

from collections.abc import Mapping
from typing import Any

from fhir_server.context import Context
from fhir_server.policy import EVERYTHING, Policy
from provider_catalog.model import check, check_connection_type, check_owner, normalised

WRITERS = frozenset({"source", "register", "operator"})


async def prepare(context: Context, resource: dict[str, Any]) -> dict[str, Any]:
    """The entry with canonical identifiers. Raises `Unprocessable` if it breaks a rule of the catalogue."""
    entry = normalised(resource)
    check(entry)
    if "operator" not in context.caller.roles:
        check_connection_type(entry)
    return entry


class OwnEntries:
    """A source may write and remove what belongs to its care provider, before and after the change; the operator all.

    Everybody may read: the directory holds no personal data.
    """

    async def check(self, context: Context, interaction: str, resource: Mapping[str, Any] | None) -> None:
        """Raises `Forbidden` for a foreign entry. On an update or patch it is asked for the stored version too.

        An entry that is not there belongs to nobody, and that it is not there is no secret.
        """
        if interaction not in ("create", "update", "delete") or "operator" in context.caller.roles:
            return
        if resource is not None:
            check_owner(resource, context.caller.organisation)

    async def policy(self, context: Context) -> Policy:
        """Everybody may find every entry."""
        return EVERYTHING
