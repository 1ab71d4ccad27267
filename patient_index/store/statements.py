# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Statements of the index.

Hot (SQLAlchemy Core at run time in this slice; to be compiled to text once at start): `ENTRIES_OF_PERSON`, for
`$locate`, search and FindContent; `UPSERT`, for every registration.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    LargeBinary,
    Text,
    and_,
    bindparam,
    case,
    cast,
    column,
    exists,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    text,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import insert

from audit.client import APPEND_FUNCTION
from patient_index.store.position import Position
from patient_index.store.tables import MOMENT, STATED, TransactionId, entry, entry_history, person

NAMES: Final = [each.name for each in entry.c if each.name != "change_xid"]

ENTRIES_OF_PERSON: Final = select(*(entry.c[name] for name in NAMES)).where(
    entry.c.person_key == bindparam("person"), entry.c.status == "current"
)


def _upsert() -> Any:
    """Insert or update many rows by business key, with their history, in one statement; answers what changed.

    Holds `model.supersedes` where two messages race: the row that is locked last is compared with what was committed
    before. Rows are taken in the order of their keys, so that two batches never wait for each other.
    """
    incoming = (
        func.unnest(*(bindparam(f"{name}s", type_=ARRAY(kind)) for name, kind, _ in STATED))
        .table_valued(*(column(name, kind) for name, kind, _ in STATED), name="incoming")
        .render_derived()
    )
    rows = select(*incoming.c, bindparam("now", type_=MOMENT).label("created"), literal(1).label("version")).order_by(
        incoming.c.person_key, incoming.c.entry_key
    )
    names = [name for name, _, _ in STATED]
    statement = insert(entry).from_select([*names, "created", "version"], rows)
    new = statement.excluded
    withdrawn_now = and_(new.status == "withdrawn", new.most_recent.is_(None))
    content = ("status", "most_recent", "items", "period_start", "period_end")
    again = and_(entry.c.status == "withdrawn", new.status != "withdrawn")
    changed = (
        statement.on_conflict_do_update(
            index_elements=["person_key", "entry_key"],
            set_={
                "status": new.status,
                "most_recent": func.coalesce(new.most_recent, entry.c.most_recent),
                "items": new["items"],
                "period_start": new.period_start,
                "period_end": new.period_end,
                "created": case((again, new.created), else_=entry.c.created),
                "updated": case((again, null()), else_=new.created),
                "version": entry.c.version + 1,
                "change_xid": func.pg_current_xact_id(),
            },
            where=or_(
                and_(withdrawn_now, entry.c.status != "withdrawn"),
                and_(
                    not_(withdrawn_now),
                    or_(entry.c.most_recent.is_(None), new.most_recent >= entry.c.most_recent),
                    tuple_(*(new[name] for name in content)).is_distinct_from(
                        tuple_(*(entry.c[name] for name in content))
                    ),
                ),
            ),
        )
        .returning(*entry.c)
        .cte("changed")
    )
    kept = insert(entry_history).from_select([each.name for each in changed.c], select(*changed.c)).cte("kept")
    return select(*(changed.c[name] for name in NAMES)).add_cte(kept)


UPSERT: Final = _upsert()

PERSONS: Final = [f"{each.name}s" for each in person.c]


def _known() -> Any:
    keys = (
        func.unnest(bindparam("persons", type_=ARRAY(LargeBinary())), bindparam("keys", type_=ARRAY(LargeBinary())))
        .table_valued(column("person_key", LargeBinary()), column("entry_key", LargeBinary()), name="keys")
        .render_derived()
    )
    # A lateral look-up touches one partition a key; `= ANY` on the partition key would touch all.
    found = (
        select(entry.c.version)
        .where(entry.c.person_key == keys.c.person_key, entry.c.entry_key == keys.c.entry_key)
        .lateral("found")
    )
    return select(keys.c.entry_key).select_from(keys.join(found, true()))


KNOWN: Final = _known()
"""Which of these business keys are stored."""


def _seal_persons() -> Any:
    incoming = (
        func.unnest(*(bindparam(f"{each.name}s", type_=ARRAY(each.type)) for each in person.c))
        .table_valued(*(column(each.name, each.type) for each in person.c), name="incoming")
        .render_derived()
    )
    rows = select(*incoming.c).order_by(incoming.c.person_key)
    return insert(person).from_select([each.name for each in person.c], rows).on_conflict_do_nothing()


SEAL: Final = _seal_persons()
AUDIT: Final = text(f"SELECT {APPEND_FUNCTION}(CAST(:events AS jsonb))")
HORIZON: Final = select(cast(func.pg_snapshot_xmin(func.pg_current_snapshot()), Text))


def feed(after: Position | None, information_types: Sequence[str], limit: int, horizon: str) -> Any:
    """The query for a page of the feed: changes of transactions before `horizon`, oldest first."""
    changed = entry_history.alias("changed")
    later = entry_history.alias("later")
    overtaken = exists().where(
        later.c.person_key == changed.c.person_key,
        later.c.entry_key == changed.c.entry_key,
        later.c.version > changed.c.version,
        later.c.change_xid < changed.c.change_xid,
    )
    statement = (
        select(
            *(changed.c[name] for name in NAMES),
            cast(changed.c.change_xid, Text).label("transaction"),
            person.c.system,
            person.c.sealed,
            person.c.key_version,
        )
        .join(person, person.c.person_key == changed.c.person_key)
        .where(changed.c.change_xid < _xid(horizon), not_(overtaken))
        .order_by(changed.c.change_xid, changed.c.entry_key)
        .limit(limit)
    )
    if after is not None:
        position = tuple_(_xid(str(after.transaction)), literal(after.entry_key, LargeBinary()))
        statement = statement.where(tuple_(changed.c.change_xid, changed.c.entry_key) > position)
    if information_types:
        statement = statement.where(changed.c.information_type.in_(information_types))
    return statement


def _xid(number: str) -> Any:
    return cast(literal(number, Text()), TransactionId)
