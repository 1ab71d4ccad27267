# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Registers, pseudonyms, records, the outbox, the feeds' cursors, what waits, and oppositions.

Revision ID: 0001
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    """
    CREATE TABLE transfer.register (
        hsa_id text PRIMARY KEY,
        name text NOT NULL,
        address text NOT NULL,
        information_types text[] NOT NULL,
        required text[] NOT NULL,
        purpose_sv text NOT NULL,
        purpose_en text NOT NULL,
        pseudonym_key bytea,
        active boolean NOT NULL DEFAULT true
    )
    """,
    """
    CREATE TABLE transfer.feed_cursor (
        register text NOT NULL REFERENCES transfer.register,
        feed text NOT NULL CHECK (feed IN ('index', 'consent')),
        position text NOT NULL,
        PRIMARY KEY (register, feed)
    )
    """,
    """
    CREATE TABLE transfer.entry (
        register text NOT NULL REFERENCES transfer.register,
        entry_id text NOT NULL,
        person_key bytea NOT NULL CHECK (octet_length(person_key) = 16),
        unit text NOT NULL,
        information_type text NOT NULL,
        source_system text NOT NULL,
        business_object text NOT NULL,
        sealed_identifier bytea NOT NULL,
        PRIMARY KEY (register, entry_id)
    )
    """,
    "CREATE INDEX entry_person ON transfer.entry (register, person_key, unit, information_type)",
    """
    CREATE TABLE transfer.pending_event (
        register text NOT NULL REFERENCES transfer.register,
        person_key bytea NOT NULL CHECK (octet_length(person_key) = 16),
        unit text NOT NULL,
        information_type text NOT NULL,
        generation bigint NOT NULL DEFAULT 1,
        state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'refused', 'dead')),
        attempts integer NOT NULL DEFAULT 0,
        next_attempt timestamptz NOT NULL,
        reason text,
        PRIMARY KEY (register, person_key, unit, information_type)
    )
    """,
    "CREATE INDEX pending_event_due ON transfer.pending_event (register, next_attempt) WHERE state = 'waiting'",
    """
    CREATE TABLE transfer.pseudonym (
        register text NOT NULL REFERENCES transfer.register,
        person_key bytea NOT NULL CHECK (octet_length(person_key) = 16),
        pseudonym text NOT NULL,
        PRIMARY KEY (register, person_key),
        UNIQUE (register, pseudonym)
    )
    """,
    """
    CREATE TABLE transfer.record (
        register text NOT NULL REFERENCES transfer.register,
        record_key text NOT NULL,
        person_key bytea NOT NULL CHECK (octet_length(person_key) = 16),
        unit text NOT NULL,
        information_type text NOT NULL,
        source_record text NOT NULL,
        version integer NOT NULL,
        content_hash bytea,
        state text NOT NULL
            CHECK (state IN ('pending', 'delivered', 'retracting', 'retracted', 'quarantined')),
        held_version integer,
        quarantine text,
        changed timestamptz NOT NULL,
        PRIMARY KEY (register, record_key),
        UNIQUE (register, person_key, unit, information_type, source_record)
    )
    """,
    """
    CREATE TABLE transfer.delivery (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        register text NOT NULL REFERENCES transfer.register,
        record_key text NOT NULL,
        version integer NOT NULL,
        kind text NOT NULL CHECK (kind IN ('upsert', 'retract')),
        idempotency_key text NOT NULL UNIQUE,
        message_id text NOT NULL,
        payload bytea,
        state text NOT NULL DEFAULT 'queued'
            CHECK (state IN ('queued', 'sent', 'acknowledged', 'dead', 'cancelled')),
        attempts integer NOT NULL DEFAULT 0,
        attempt_limit integer,
        next_attempt timestamptz NOT NULL,
        answer text,
        queued_at timestamptz NOT NULL,
        settled_at timestamptz,
        CHECK (payload IS NOT NULL OR state IN ('acknowledged', 'cancelled', 'dead')),
        UNIQUE (register, record_key, version)
    )
    """,
    "CREATE INDEX delivery_open ON transfer.delivery (register, record_key, id) WHERE state IN ('queued', 'sent')",
    "CREATE INDEX delivery_due ON transfer.delivery (register, next_attempt) WHERE state IN ('queued', 'sent')",
    """
    CREATE TABLE transfer.opposition (
        register text NOT NULL REFERENCES transfer.register,
        person_key bytea NOT NULL CHECK (octet_length(person_key) = 16),
        consent_id text NOT NULL,
        since timestamptz NOT NULL,
        PRIMARY KEY (register, person_key, consent_id)
    )
    """,
    """
    CREATE TABLE transfer.erasure (
        register text NOT NULL REFERENCES transfer.register,
        person_key bytea NOT NULL CHECK (octet_length(person_key) = 16),
        requested_at timestamptz NOT NULL,
        erased_at timestamptz,
        PRIMARY KEY (register, person_key)
    )
    """,
)

_NAMES = (
    "register", "feed_cursor", "entry", "pending_event", "pseudonym", "record", "delivery", "opposition", "erasure",
)  # fmt: skip


def upgrade() -> None:
    """Makes the tables."""
    for statement in _TABLES:
        op.execute(statement)


def downgrade() -> None:
    """Drops them."""
    for name in _NAMES[::-1]:
        op.execute(f"DROP TABLE transfer.{name}")
