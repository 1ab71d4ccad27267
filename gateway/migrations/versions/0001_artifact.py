# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What operators load: message schemas and openEHR templates.

Revision ID: 0001
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE gateway.artifact (
            kind text NOT NULL CHECK (kind IN ('schema', 'template')),
            name text NOT NULL,
            digest text NOT NULL CHECK (length(digest) = 64),
            size integer NOT NULL CHECK (size >= 0),
            content bytea NOT NULL,
            added timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (kind, name)
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE gateway.artifact")
