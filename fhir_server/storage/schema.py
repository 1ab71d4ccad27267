# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Tables the kernel keeps in each service's schema: current resources, append-only history, search values.

One value table for each kind of parameter, each with an index by value and one by source, so that a search
touches only rows of its own parameter and a rewrite finds its rows.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
)

from fhir_server.storage.jobs import job_table

TEXT = Text(collation="C")
"""Compared by code point on every server: order and prefixes are those of an index, and of Python."""
MOMENT = DateTime(timezone=True)


class ResourceTables:
    """The kernel's tables in one schema."""

    def __init__(self, schema: str) -> None:
        self.metadata = MetaData(schema=schema)
        self.resource = self._table(
            "resource",
            Column("type", TEXT, nullable=False),
            Column("id", TEXT, nullable=False),
            Column("version", BigInteger, nullable=False),
            Column("last_updated", MOMENT, nullable=False),
            Column("deleted", Boolean, nullable=False),
            Column("person_key", LargeBinary),
            Column("custodian", TEXT),
            Column("body", LargeBinary, nullable=False),
            # When the id first came: never changed, so that pages in its order stay the same while others write.
            Column("created", MOMENT, nullable=False, server_default=func.now()),
            PrimaryKeyConstraint("type", "id"),
        )
        Index(f"{schema}_resource_by_created", self.resource.c.type, self.resource.c.created, self.resource.c.id)
        Index(f"{schema}_resource_by_updated", self.resource.c.type, self.resource.c.last_updated, self.resource.c.id)
        Index(f"{schema}_resource_person", self.resource.c.person_key, self.resource.c.type)
        held = self.resource.c.custodian.is_not(None)  # services without custodians pay nothing for the index
        Index(f"{schema}_resource_custodian", self.resource.c.custodian, self.resource.c.type, postgresql_where=held)
        self.history = self._table(
            "resource_history",
            Column("type", TEXT, nullable=False),
            Column("id", TEXT, nullable=False),
            Column("version", BigInteger, nullable=False),
            Column("last_updated", MOMENT, nullable=False),
            Column("deleted", Boolean, nullable=False),
            Column("method", TEXT, nullable=False),
            Column("body", LargeBinary, nullable=False),
            PrimaryKeyConstraint("type", "id", "version"),
        )
        self.token = self._values("token_value", Column("system", TEXT), Column("code", TEXT, nullable=False))
        self._index("token_by_value", self.token, "code", "system")
        self.string = self._values(
            "string_value", Column("value", TEXT, nullable=False), Column("exact", TEXT, nullable=False)
        )
        Index(
            f"{schema}_string_by_value", self.string.c.type, self.string.c.parameter, string_start(self.string.c.value)
        )
        self.reference = self._values(
            "reference_value",
            Column("target_type", TEXT),
            Column("target", TEXT),
            Column("base", TEXT),
            Column("system", TEXT),
            Column("value", TEXT),
        )
        self._index("reference_by_target", self.reference, "target", "target_type")
        self._index("reference_by_identifier", self.reference, "value", "system")
        self.date = self._values(
            "date_value", Column("low", MOMENT, nullable=False), Column("high", MOMENT, nullable=False)
        )
        self._index("date_by_low", self.date, "low", "high")
        self._index("date_by_high", self.date, "high")
        self.quantity = self._values(
            "quantity_value",
            Column("system", TEXT),
            Column("code", TEXT),
            Column("unit", TEXT),
            Column("low", Numeric, nullable=False),
            Column("high", Numeric, nullable=False),
        )
        self._index("quantity_by_low", self.quantity, "low", "high")
        self._index("quantity_by_high", self.quantity, "high")
        self.composite = self._values(
            "composite_value",
            Column("system", TEXT),
            Column("code", TEXT, nullable=False),
            Column("system_2", TEXT),
            Column("code_2", TEXT),
            Column("unit", TEXT),
            Column("low", Numeric),
            Column("high", Numeric),
            Column("since", MOMENT),
            Column("until", MOMENT),
            Column("text", TEXT),
            Column("exact", TEXT),
            Column("target_type", TEXT),
            Column("target", TEXT),
            Column("base", TEXT),
            Column("low_3", Numeric),
            Column("high_3", Numeric),
        )
        self._index("composite_by_low", self.composite, "code", "low", "high")
        self._index("composite_by_high", self.composite, "code", "high")
        self._index("composite_by_code", self.composite, "code", "code_2")
        self.job = job_table(self.metadata)
        self.value_tables = (self.token, self.string, self.reference, self.date, self.quantity, self.composite)

    def _table(self, name: str, *columns: Any) -> Table:
        return Table(name, self.metadata, *columns)

    def _values(self, name: str, *columns: Any) -> Table:
        table = self._table(
            name,
            Column("type", TEXT, nullable=False),
            Column("parameter", TEXT, nullable=False),
            *columns,
            Column("id", TEXT, nullable=False),
        )
        Index(f"{self.metadata.schema}_{name}_by_source", table.c.type, table.c.id)
        return table

    def _index(self, name: str, table: Table, *columns: str) -> None:
        """By value: type and parameter come first, so that a search touches rows of its own parameter only."""
        Index(f"{self.metadata.schema}_{name}", table.c.type, table.c.parameter, *(table.c[each] for each in columns))


def string_start(value: Any) -> Any:
    """The part of a string that is indexed: an index row has room for 2,704 bytes."""
    return func.left(value, 200)


@cache
def tables(schema: str) -> ResourceTables:
    """The kernel's tables in `schema`."""
    return ResourceTables(schema)


def create_resource_tables(schema: str) -> None:
    """Creates them; called in a service's first Alembic revision."""
    _with_connection(lambda connection: tables(schema).metadata.create_all(connection))


def drop_resource_tables(schema: str) -> None:
    """Drops them; the way back of that revision."""
    _with_connection(lambda connection: tables(schema).metadata.drop_all(connection))


def _with_connection(action: Callable[[Any], None]) -> None:
    from alembic import op

    action(op.get_bind())
