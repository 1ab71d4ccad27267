# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Logins under way and sessions.

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
        CREATE TABLE portal.login (
            state bytea PRIMARY KEY,
            verifier bytea NOT NULL,
            kind text NOT NULL,
            expires timestamptz NOT NULL
        )
        """
    )
    op.execute(
        """
        CREATE TABLE portal.session (
            id bytea PRIMARY KEY,
            token bytea NOT NULL,
            csrf text NOT NULL,
            language text NOT NULL,
            expires timestamptz NOT NULL
        )
        """
    )
    op.execute("CREATE INDEX session_expires ON portal.session (expires)")
    op.execute("CREATE INDEX login_expires ON portal.login (expires)")


def downgrade() -> None:
    op.execute("DROP TABLE portal.session")
    op.execute("DROP TABLE portal.login")
