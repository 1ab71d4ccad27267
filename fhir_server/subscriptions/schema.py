# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Tables in the schema of a service that has topics: the outbox of changes, the subscriptions, the numbered events."""

from functools import cache
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import UserDefinedType

_TEXT: Final = Text(collation="C")
_MOMENT: Final = DateTime(timezone=True)


class TransactionId(UserDefinedType[str]):
    """PostgreSQL's xid8: the 64-bit number of a transaction."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The type's name in SQL."""
        return "xid8"


class Snapshot(UserDefinedType[str]):
    """PostgreSQL's pg_snapshot: which transactions are seen."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The type's name in SQL."""
        return "pg_snapshot"


class SubscriptionTables:
    """The tables of subscriptions in one schema."""

    def __init__(self, schema: str) -> None:
        self.metadata = MetaData(schema=schema)
        self.event = Table(
            "subscription_event",
            self.metadata,
            Column("xid", TransactionId, nullable=False, server_default=func.pg_current_xact_id()),
            Column("seq", BigInteger, Identity(always=True), nullable=False),
            Column("type", _TEXT, nullable=False),
            Column("id", _TEXT, nullable=False),
            Column("version", BigInteger, nullable=False),
            Column("change", _TEXT, nullable=False),
            Column("occurred", _MOMENT, nullable=False),
            PrimaryKeyConstraint("type", "xid", "seq"),
        )
        Index(f"{schema}_subscription_event_by_resource", self.event.c.type, self.event.c.id)
        self.subscription = Table(
            "subscription",
            self.metadata,
            Column("id", _TEXT, primary_key=True),
            Column("status", _TEXT, nullable=False),
            Column("deleted", Boolean, nullable=False),
            # Counts what the owner changed: a worker that began before must not judge what came after.
            Column("revision", BigInteger, nullable=False),
            Column("topic", _TEXT, nullable=False),
            Column("type", _TEXT, nullable=False),
            Column("owner", LargeBinary, nullable=False),
            Column("caller", JSONB, nullable=False),
            Column("base", Text, nullable=False),
            Column("secret", LargeBinary),
            Column("ends", _MOMENT),
            # What was committed before is not told; up to (xid, seq) it is decided what is.
            Column("started", Snapshot, nullable=False),
            Column("xid", TransactionId, nullable=False),
            Column("seq", BigInteger, nullable=False),
            Column("events", BigInteger, nullable=False),
            Column("delivered", BigInteger, nullable=False),
            Column("attempts", Integer, nullable=False),
            Column("failing_since", _MOMENT),
            Column("next_attempt", _MOMENT),
            Column("heartbeat", Integer),
            Column("heartbeat_due", _MOMENT),
            Column("error", Text),
        )
        Index(f"{schema}_subscription_by_status", self.subscription.c.status, self.subscription.c.next_attempt)
        Index(f"{schema}_subscription_by_owner", self.subscription.c.owner)
        self.notification = Table(
            "subscription_notification",
            self.metadata,
            Column("subscription", _TEXT, nullable=False),
            Column("number", BigInteger, nullable=False),
            Column("type", _TEXT, nullable=False),
            Column("id", _TEXT, nullable=False),
            Column("version", BigInteger, nullable=False),
            Column("change", _TEXT, nullable=False),
            Column("occurred", _MOMENT, nullable=False),
            Column("audited", Boolean, nullable=False),
            PrimaryKeyConstraint("subscription", "number"),
        )
        Index(f"{schema}_subscription_notification_by_time", self.notification.c.occurred)


@cache
def subscription_tables(schema: str) -> SubscriptionTables:
    """The tables in `schema`."""
    return SubscriptionTables(schema)


def create_subscription_tables(schema: str) -> None:
    """Creates them; called in a revision of a service that gets topics."""
    from alembic import op

    subscription_tables(schema).metadata.create_all(op.get_bind())


def drop_subscription_tables(schema: str) -> None:
    """Drops them; the way back of that revision."""
    from alembic import op

    subscription_tables(schema).metadata.drop_all(op.get_bind())
