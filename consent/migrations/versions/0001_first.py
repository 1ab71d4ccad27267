# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The kernel's resource tables; access documents, the feed of changes, stated care relations.

Revision ID: 0001
"""

from alembic import op

from fhir_server.storage.schema import create_resource_tables, drop_resource_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_PARTITIONS = 8

_TABLES = (
    """
    CREATE TABLE consent.access_document (
        person_key bytea PRIMARY KEY CHECK (octet_length(person_key) = 16),
        version bigint NOT NULL,
        document jsonb NOT NULL,
        updated timestamptz NOT NULL
    ) PARTITION BY HASH (person_key)
    """,
    "COMMENT ON TABLE consent.access_document IS 'everything in force for a person; what decisions read'",
    """
    CREATE TABLE consent.change (
        seq bigint GENERATED ALWAYS AS IDENTITY,
        xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        person_key bytea NOT NULL,
        consent_id text NOT NULL,
        kind text NOT NULL,
        active boolean NOT NULL,
        register text,
        changed timestamptz NOT NULL,
        PRIMARY KEY (seq)
    )
    """,
    "CREATE INDEX change_feed ON consent.change (xid, seq)",
    "CREATE INDEX change_by_consent ON consent.change (person_key, consent_id)",
    "COMMENT ON COLUMN consent.change.xid IS 'writing transaction; the feed shows what every snapshot can see'",
    """
    CREATE TABLE consent.care_relation (
        id uuid NOT NULL,
        person_key bytea NOT NULL,
        provider text NOT NULL,
        unit text,
        user_id text NOT NULL,
        reason text NOT NULL,
        starts timestamptz NOT NULL,
        ends timestamptz NOT NULL CHECK (ends > starts),
        PRIMARY KEY (person_key, id)
    ) PARTITION BY HASH (person_key)
    """,
    "COMMENT ON TABLE consent.care_relation IS 'every stated care relation, kept for follow-up'",
)


def upgrade() -> None:
    """Makes the tables."""
    create_resource_tables("consent")
    for statement in _TABLES:
        op.execute(statement)
    for table in ("access_document", "care_relation"):
        for part in range(_PARTITIONS):
            op.execute(
                f"CREATE TABLE consent.{table}_{part} PARTITION OF consent.{table} "
                f"FOR VALUES WITH (MODULUS {_PARTITIONS}, REMAINDER {part})"
            )


def downgrade() -> None:
    """Drops them."""
    for table in ("care_relation", "change", "access_document"):
        op.execute(f"DROP TABLE consent.{table}")
    drop_resource_tables("consent")
