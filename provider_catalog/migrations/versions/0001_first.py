# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The kernel's resource tables, and addressing: units with their way upwards, routes.

Revision ID: 0001
"""

from alembic import op

from fhir_server.storage.schema import create_resource_tables, drop_resource_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    """
    CREATE TABLE provider_catalog.unit (
        hsa_id text PRIMARY KEY,
        resource_id text NOT NULL UNIQUE,
        name text NOT NULL,
        kind text NOT NULL CHECK (kind IN ('care-provider', 'care-unit', 'register')),
        active boolean NOT NULL,
        path text[] NOT NULL,
        provider text NOT NULL,
        CHECK (path[1] = hsa_id AND path[cardinality(path)] = provider)
    )
    """,
    "CREATE INDEX unit_by_path ON provider_catalog.unit USING gin (path)",
    "CREATE INDEX unit_by_provider ON provider_catalog.unit (provider)",
    "COMMENT ON COLUMN provider_catalog.unit.path IS 'from the unit itself up to its care provider'",
    """
    CREATE TABLE provider_catalog.route (
        unit text NOT NULL,
        information_type text NOT NULL,
        resource_id text NOT NULL,
        connection_type text NOT NULL,
        logical_address text NOT NULL,
        address text NOT NULL,
        status text NOT NULL,
        valid_from timestamptz,
        valid_to timestamptz,
        PRIMARY KEY (unit, information_type, resource_id)
    )
    """,
    "CREATE INDEX route_by_resource ON provider_catalog.route (resource_id)",
    "COMMENT ON COLUMN provider_catalog.route.valid_to IS 'first instant after the period'",
)


def upgrade() -> None:
    """Makes the tables."""
    create_resource_tables("provider_catalog")
    for statement in _TABLES:
        op.execute(statement)


def downgrade() -> None:
    """Drops them."""
    op.execute("DROP TABLE provider_catalog.route")
    op.execute("DROP TABLE provider_catalog.unit")
    drop_resource_tables("provider_catalog")
