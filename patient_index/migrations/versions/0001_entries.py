# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Entries, their append-only history, and the sealed identifiers of persons, each in 16 hash partitions."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

PARTITIONS = 16

COLUMNS = """
    person_key bytea NOT NULL CHECK (octet_length(person_key) = 16),
    entry_key bytea NOT NULL CHECK (octet_length(entry_key) = 16),
    custodian text NOT NULL,
    unit text NOT NULL,
    information_type text NOT NULL,
    source_system text NOT NULL,
    business_object text NOT NULL,
    service_domain text NOT NULL,
    categorization text NOT NULL,
    clinical_process_interest text NOT NULL,
    owner text,
    status text NOT NULL CHECK (status IN ('current', 'superseded', 'withdrawn')),
    most_recent timestamptz,
    items integer CHECK (items >= 0),
    period_start timestamptz,
    period_end timestamptz,
    created timestamptz NOT NULL,
    updated timestamptz,
    version integer NOT NULL,
    change_xid xid8 NOT NULL DEFAULT pg_current_xact_id()
"""


def upgrade() -> None:
    _partitioned("entry", COLUMNS, "person_key, entry_key")
    _partitioned("entry_history", COLUMNS, "person_key, entry_key, version")
    _partitioned(
        "person",
        """
    person_key bytea NOT NULL CHECK (octet_length(person_key) = 16),
    system text NOT NULL,
    sealed bytea NOT NULL,
    key_version smallint NOT NULL
""",
        "person_key",
    )
    op.execute("CREATE INDEX entry_history_feed ON patient_index.entry_history (change_xid, entry_key)")
    op.execute(
        """
        CREATE FUNCTION patient_index.refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the history of the index is append-only';
        END
        $$
        """
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON patient_index.entry_history "
        "FOR EACH ROW EXECUTE FUNCTION patient_index.refuse_rewriting()"
    )


def downgrade() -> None:
    for name in ("person", "entry_history", "entry"):
        op.execute(f"DROP TABLE patient_index.{name}")
    op.execute("DROP FUNCTION patient_index.refuse_rewriting()")


def _partitioned(name: str, columns: str, key: str) -> None:
    op.execute(f"CREATE TABLE patient_index.{name} ({columns}, PRIMARY KEY ({key})) PARTITION BY HASH (person_key)")
    for number in range(PARTITIONS):
        op.execute(
            f"CREATE TABLE patient_index.{name}_{number:02d} PARTITION OF patient_index.{name} "
            f"FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {number})"
        )
