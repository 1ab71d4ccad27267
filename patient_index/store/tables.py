# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Tables of the index, as the migrations make them."""

from typing import Any, Final

from sqlalchemy import (
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    func,
)
from sqlalchemy.types import UserDefinedType

__all__ = ["MOMENT", "STATED", "TransactionId", "entry", "entry_history", "person"]

SCHEMA: Final = "patient_index"


class TransactionId(UserDefinedType[str]):
    """PostgreSQL's xid8: the 64-bit number of a transaction."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The type's name in SQL."""
        return "xid8"


_metadata = MetaData(schema=SCHEMA)
MOMENT = DateTime(timezone=True)

STATED: Final[tuple[tuple[str, Any, bool], ...]] = (
    ("person_key", LargeBinary(), False),
    ("entry_key", LargeBinary(), False),
    ("custodian", Text(), False),
    ("unit", Text(), False),
    ("information_type", Text(), False),
    ("source_system", Text(), False),
    ("business_object", Text(), False),
    ("service_domain", Text(), False),
    ("categorization", Text(), False),
    ("clinical_process_interest", Text(), False),
    ("owner", Text(), True),
    ("status", Text(), False),
    ("most_recent", MOMENT, True),
    ("items", Integer(), True),
    ("period_start", MOMENT, True),
    ("period_end", MOMENT, True),
)
"""Columns that come from the source, with their type and whether they may be null."""


def _columns() -> list[Column[Any]]:
    return [
        *(Column(name, kind, nullable=nullable) for name, kind, nullable in STATED),
        Column("created", MOMENT, nullable=False),
        Column("updated", MOMENT),
        Column("version", Integer, nullable=False),
        Column("change_xid", TransactionId, nullable=False, server_default=func.pg_current_xact_id()),
    ]


entry: Final = Table(
    "entry",
    _metadata,
    *_columns(),
    PrimaryKeyConstraint("person_key", "entry_key"),
    postgresql_partition_by="HASH (person_key)",
)
entry_history: Final = Table(
    "entry_history",
    _metadata,
    *_columns(),
    PrimaryKeyConstraint("person_key", "entry_key", "version"),
    postgresql_partition_by="HASH (person_key)",
)
person: Final = Table(
    "person",
    _metadata,
    Column("person_key", LargeBinary, nullable=False),
    Column("system", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("key_version", SmallInteger, nullable=False),
    PrimaryKeyConstraint("person_key"),
    postgresql_partition_by="HASH (person_key)",
)
