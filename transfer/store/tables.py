# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The tables of the schema `transfer` as queries name them (README.md says what each is for)."""

from typing import Final

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, DateTime, Integer, LargeBinary, MetaData, Table, Text

METADATA: Final = MetaData(schema="transfer")

register = Table(
    "register",
    METADATA,
    Column("hsa_id", Text, primary_key=True),
    Column("name", Text),
    Column("address", Text),
    Column("information_types", ARRAY(Text)),
    Column("required", ARRAY(Text)),
    Column("purpose_sv", Text),
    Column("purpose_en", Text),
    Column("pseudonym_key", LargeBinary),
    Column("active", Boolean),
)

feed_cursor = Table(
    "feed_cursor",
    METADATA,
    Column("register", Text, primary_key=True),
    Column("feed", Text, primary_key=True),
    Column("position", Text),
)

entry = Table(
    "entry",
    METADATA,
    Column("register", Text, primary_key=True),
    Column("entry_id", Text, primary_key=True),
    Column("person_key", LargeBinary),
    Column("unit", Text),
    Column("information_type", Text),
    Column("source_system", Text),
    Column("business_object", Text),
    Column("sealed_identifier", LargeBinary),
)

pending_event = Table(
    "pending_event",
    METADATA,
    Column("register", Text, primary_key=True),
    Column("person_key", LargeBinary, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("information_type", Text, primary_key=True),
    Column("generation", BigInteger),
    Column("state", Text),
    Column("attempts", Integer),
    Column("next_attempt", DateTime(timezone=True)),
    Column("reason", Text),
)

pseudonym = Table(
    "pseudonym",
    METADATA,
    Column("register", Text, primary_key=True),
    Column("person_key", LargeBinary, primary_key=True),
    Column("pseudonym", Text),
)

record = Table(
    "record",
    METADATA,
    Column("register", Text, primary_key=True),
    Column("record_key", Text, primary_key=True),
    Column("person_key", LargeBinary),
    Column("unit", Text),
    Column("information_type", Text),
    Column("source_record", Text),
    Column("version", Integer),
    Column("content_hash", LargeBinary),
    Column("state", Text),
    Column("held_version", Integer),
    Column("quarantine", Text),
    Column("changed", DateTime(timezone=True)),
)

delivery = Table(
    "delivery",
    METADATA,
    Column("id", BigInteger, primary_key=True),
    Column("register", Text),
    Column("record_key", Text),
    Column("version", Integer),
    Column("kind", Text),
    Column("idempotency_key", Text),
    Column("message_id", Text),
    Column("payload", LargeBinary),
    Column("state", Text),
    Column("attempts", Integer),
    Column("attempt_limit", Integer),
    Column("next_attempt", DateTime(timezone=True)),
    Column("answer", Text),
    Column("queued_at", DateTime(timezone=True)),
    Column("settled_at", DateTime(timezone=True)),
)

opposition = Table(
    "opposition",
    METADATA,
    Column("register", Text, primary_key=True),
    Column("person_key", LargeBinary, primary_key=True),
    Column("consent_id", Text, primary_key=True),
    Column("since", DateTime(timezone=True)),
)

erasure = Table(
    "erasure",
    METADATA,
    Column("register", Text, primary_key=True),
    Column("person_key", LargeBinary, primary_key=True),
    Column("requested_at", DateTime(timezone=True)),
    Column("erased_at", DateTime(timezone=True)),
)
