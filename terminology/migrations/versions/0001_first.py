# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The kernel's resource tables; concepts and map rows by key.

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
    CREATE TABLE terminology.code_system (
        resource_id text PRIMARY KEY,
        url text NOT NULL,
        version text,
        latest boolean NOT NULL,
        name text NOT NULL,
        content text NOT NULL,
        case_sensitive boolean NOT NULL,
        language text
    )
    """,
    "CREATE UNIQUE INDEX code_system_canonical ON terminology.code_system (url, coalesce(version, ''))",
    """
    CREATE TABLE terminology.concept (
        resource_id text NOT NULL,
        position integer NOT NULL,
        code text NOT NULL,
        key text NOT NULL,
        display text,
        definition text,
        parent text,
        designations jsonb NOT NULL,
        properties jsonb NOT NULL,
        PRIMARY KEY (resource_id, position)
    )
    """,
    "CREATE INDEX concept_by_key ON terminology.concept (resource_id, key)",
    "CREATE INDEX concept_by_code ON terminology.concept (resource_id, code)",
    "CREATE INDEX concept_by_parent ON terminology.concept (resource_id, parent)",
    "COMMENT ON COLUMN terminology.concept.position IS 'order in the resource'",
    "COMMENT ON COLUMN terminology.concept.key IS 'the code, in lower case where case has no meaning'",
    """
    CREATE TABLE terminology.concept_map (
        resource_id text PRIMARY KEY,
        url text NOT NULL,
        version text,
        latest boolean NOT NULL,
        source text,
        target text
    )
    """,
    "CREATE UNIQUE INDEX concept_map_canonical ON terminology.concept_map (url, coalesce(version, ''))",
    """
    CREATE TABLE terminology.map_element (
        resource_id text NOT NULL,
        position integer NOT NULL,
        source_system text NOT NULL,
        source_version text,
        source_code text NOT NULL,
        source_display text,
        target_system text,
        target_version text,
        target_code text,
        target_display text,
        equivalence text NOT NULL,
        depends boolean NOT NULL,
        products jsonb NOT NULL,
        PRIMARY KEY (resource_id, position)
    )
    """,
    "CREATE INDEX map_element_by_source ON terminology.map_element (source_code, source_system)",
    "CREATE INDEX map_element_by_target ON terminology.map_element (target_code, target_system)",
    """
    CREATE TABLE terminology.map_unmapped (
        resource_id text NOT NULL,
        position integer NOT NULL,
        source_system text NOT NULL,
        target_system text,
        target_version text,
        mode text NOT NULL,
        code text,
        display text,
        url text,
        PRIMARY KEY (resource_id, position)
    )
    """,
    "CREATE INDEX map_unmapped_by_source ON terminology.map_unmapped (source_system)",
)

_NAMES = ("code_system", "concept", "concept_map", "map_element", "map_unmapped")


def upgrade() -> None:
    """Makes the tables."""
    create_resource_tables("terminology")
    for statement in _TABLES:
        op.execute(statement)


def downgrade() -> None:
    """Drops them."""
    for name in _NAMES[::-1]:
        op.execute(f"DROP TABLE terminology.{name}")
    drop_resource_tables("terminology")
