# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What every face of registration does once its message is read: may the caller, is it new, store it with its log."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from fhir_server.audit_row import audit_row
from fhir_server.context import AuditEntry, Context
from fhir_server.crypto import Cipher
from fhir_server.outcome import Forbidden
from identifiers.person_number import PersonIdentifier
from patient_index.model import Registration, StoredEntry, check_custodian, check_times
from patient_index.store import IndexStore, SealedPerson, Write

Stated = tuple[Registration, PersonIdentifier]
"""A registration and whom it is about."""


class Registrar:
    """Writes registrations; rows, history and audit events in one transaction."""

    def __init__(self, store: IndexStore, cipher: Cipher) -> None:
        self._store, self._cipher = store, cipher

    async def register(self, context: Context, stated: Sequence[Stated], operation: str) -> list[StoredEntry]:
        """Stores all of it or nothing; answers what changed.

        Raises `Forbidden` unless the caller is a source of every custodian, `Invalid` on a future date.
        """
        self._check(context, stated, operation)
        async with self._store.writing() as write:
            return await self._write(context, write, stated, [row for row, _ in stated], operation)

    async def register_one(self, context: Context, stated: Stated, operation: str) -> tuple[StoredEntry | None, bool]:
        """Stores one business object; answers what is stored now and whether it changed.

        An entry that the source registered for another unit moves: it is withdrawn there.
        An older message leaves a newer entry at another unit where it is. Raises as `register`.
        """
        self._check(context, [stated], operation)
        row, _ = stated
        async with self._store.writing() as write:
            elsewhere = await write.elsewhere(row)
            if any(_newer(each, row) for each in elsewhere):
                return None, False
            gone = [replace(each.registration, status="withdrawn", most_recent=row.most_recent) for each in elsewhere]
            changed = await self._write(context, write, [stated], [*gone, row], operation)
            for each in changed:
                if each.registration.entry_key == row.entry_key:
                    return each, True
            return await write.current(row), False

    def _check(self, context: Context, stated: Sequence[Stated], operation: str) -> None:
        caller = context.caller
        for row, _ in stated:
            try:
                check_custodian(caller.organisation, caller.roles, row.custodian)
            except Forbidden as refusal:
                context.record(
                    AuditEntry(operation=operation, action="U", outcome="denied", reason=refusal.detail_code)
                )
                raise
            check_times(row, now=context.now)

    async def _write(
        self, context: Context, write: Write, stated: Sequence[Stated], rows: Sequence[Registration], operation: str
    ) -> list[StoredEntry]:
        await write.seal(list(self._sealed(stated)))
        changed = await write.apply(rows, now=context.now)
        await write.audit([audit_row(context, each) for each in _events(changed, operation)])
        return changed

    def _sealed(self, stated: Sequence[Stated]) -> Iterable[SealedPerson]:
        for key, identifier in {row.person: identifier for row, identifier in stated}.items():
            sealed = self._cipher.encrypt(identifier.value.encode(), key.value)
            yield SealedPerson(key, identifier.system, sealed, self._cipher.version)


def _newer(stored: StoredEntry, incoming: Registration) -> bool:
    known, said = stored.registration.most_recent, incoming.most_recent
    return known is not None and (said is None or said < known)


def _events(changed: Sequence[StoredEntry], operation: str) -> Iterable[AuditEntry]:
    """One event for each person whose entries changed; a replay that changes nothing leaves none."""
    for person in dict.fromkeys(each.registration.person for each in changed):
        rows = [each for each in changed if each.registration.person == person]
        types = {each.registration.information_type for each in rows}
        yield AuditEntry(
            operation=operation,
            action="D" if all(each.registration.status == "withdrawn" for each in rows) else "U",
            person=person,
            information_type=types.pop() if len(types) == 1 else None,
            holders=tuple(sorted({each.registration.unit for each in rows})),
            count=len(rows),
        )
