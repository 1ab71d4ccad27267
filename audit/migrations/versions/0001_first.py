# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The access log: append-only events, and the function through which alone they are written."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

PARTITIONS = 8
"""On one machine; the column they are made of also distributes the table over several."""

_TABLE = """
CREATE TABLE audit.event (
    id uuid NOT NULL,
    recorded timestamptz NOT NULL,
    trace_id text NOT NULL,
    operation text NOT NULL,
    action text NOT NULL CHECK (action IN ('C', 'R', 'U', 'D', 'E')),
    outcome text NOT NULL CHECK (outcome IN ('success', 'denied', 'failed')),
    person_key bytea CHECK (octet_length(person_key) = 16),
    information_type text,
    holders text[] NOT NULL,
    ground text,
    reason text,
    law text,
    decision text,
    count bigint,
    detail jsonb NOT NULL,
    client_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('system', 'staff', 'patient')),
    scopes text[] NOT NULL,
    roles text[] NOT NULL,
    organisation text,
    organisation_name text,
    unit text,
    unit_name text,
    user_id text,
    user_name text,
    profession text,
    caller_person bytea,
    purpose text,
    assurance integer NOT NULL
) PARTITION BY HASH (person_key)
"""

# It runs with the rights of the table's owner, so that others need none on the table. PL/pgSQL keeps the plan of its
# statement for the session; a function in SQL would plan it anew at each call.
_APPEND = """
CREATE FUNCTION audit.append_events(events jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO audit.event (
        id, recorded, trace_id, operation, action, outcome, person_key, information_type, holders, ground, reason, law,
        decision, count, detail, client_id, kind, scopes, roles, organisation, organisation_name, unit, unit_name,
        user_id, user_name, profession, caller_person, purpose, assurance
    )
    SELECT
        id, recorded, trace_id, operation, action, outcome, person_key, information_type, holders, ground, reason, law,
        decision, count, detail, client_id, kind, scopes, roles, organisation, organisation_name, unit, unit_name,
        user_id, user_name, profession, caller_person, purpose, assurance
    FROM jsonb_to_recordset(events) AS event (
        id uuid, recorded timestamptz, trace_id text, operation text, action text, outcome text, person_key bytea,
        information_type text, holders text[], ground text, reason text, law text, decision text, count bigint,
        detail jsonb, client_id text, kind text, scopes text[], roles text[], organisation text,
        organisation_name text, unit text, unit_name text, user_id text, user_name text, profession text,
        caller_person bytea, purpose text, assurance integer
    )
    ON CONFLICT DO NOTHING;
END
$$
"""

_REFUSE = """
CREATE FUNCTION audit.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the access log is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$
"""


def upgrade() -> None:
    op.execute(_TABLE)
    for number in range(PARTITIONS):
        op.execute(
            f"CREATE TABLE audit.event_{number} PARTITION OF audit.event "
            f"FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {number})"
        )
    # An append that is sent again after a lost connection counts once, also where no person is named.
    op.execute("CREATE UNIQUE INDEX event_id ON audit.event (person_key, id) NULLS NOT DISTINCT")
    op.execute("CREATE INDEX event_person_recorded ON audit.event (person_key, recorded DESC, id DESC)")
    op.execute(_APPEND)
    op.execute(_REFUSE)
    # Triggers bind the owner of the table too; rights bind all others.
    op.execute(
        "CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE ON audit.event "
        "FOR EACH ROW EXECUTE FUNCTION audit.refuse_change()"
    )
    for table in ("event", *(f"event_{number}" for number in range(PARTITIONS))):
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON audit.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()"
        )
        op.execute(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON audit.{table} FROM PUBLIC")
    op.execute("REVOKE ALL ON FUNCTION audit.append_events(jsonb) FROM PUBLIC")


def downgrade() -> None:
    op.execute("DROP TABLE audit.event")
    op.execute("DROP FUNCTION audit.append_events(jsonb)")
    op.execute("DROP FUNCTION audit.refuse_change()")
