# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Clients and their keys, used assertion ids, authorization codes, test people, signing keys."""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "security"


def _moment(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=nullable)


def _texts(name: str) -> sa.Column:
    return sa.Column(name, pg.ARRAY(sa.Text), nullable=False)


def upgrade() -> None:
    op.create_table(
        "client",
        sa.Column("client_id", sa.Text, primary_key=True),
        _text("name"),
        _text("organisation"),
        _text("organisation_name"),
        _texts("scopes"),
        _texts("roles"),
        _texts("grants"),
        _texts("redirect_uris"),
        _text("purpose"),
        _moment("valid_from"),
        _moment("valid_to", nullable=True),
        _moment("revoked", nullable=True),
        schema=SCHEMA,
    )
    op.create_table(
        "client_key",
        sa.Column("client_id", sa.Text, sa.ForeignKey(f"{SCHEMA}.client.client_id"), primary_key=True),
        sa.Column("kid", sa.Text, primary_key=True),
        sa.Column("jwk", pg.JSONB, nullable=False),
        _moment("added"),
        _moment("revoked", nullable=True),
        schema=SCHEMA,
    )
    op.create_table(
        "used_jti",
        sa.Column("client_id", sa.Text, primary_key=True),
        sa.Column("jti_hash", sa.LargeBinary, primary_key=True),
        _moment("expires"),
        schema=SCHEMA,
    )
    op.create_index("used_jti_expires", "used_jti", ["expires"], schema=SCHEMA)
    op.create_table(
        "test_person",
        sa.Column("id", sa.Text, primary_key=True),
        _text("name"),
        _text("kind"),
        sa.Column("person_key", sa.LargeBinary),
        _text("hsa_id", nullable=True),
        _text("organisation", nullable=True),
        _text("organisation_name", nullable=True),
        _text("unit", nullable=True),
        _text("unit_name", nullable=True),
        _text("profession", nullable=True),
        _texts("roles"),
        sa.Column("assurance", sa.Integer, nullable=False),
        sa.CheckConstraint("kind = 'patient' AND person_key IS NOT NULL OR kind = 'staff' AND hsa_id IS NOT NULL"),
        schema=SCHEMA,
    )
    op.create_table(
        "authorization_code",
        sa.Column("code_hash", sa.LargeBinary, primary_key=True),
        sa.Column("client_id", sa.Text, sa.ForeignKey(f"{SCHEMA}.client.client_id"), nullable=False),
        sa.Column("person_id", sa.Text, sa.ForeignKey(f"{SCHEMA}.test_person.id"), nullable=False),
        _text("redirect_uri"),
        _text("challenge"),
        sa.Column("scopes", pg.ARRAY(sa.Text)),
        _moment("expires"),
        _moment("used", nullable=True),
        schema=SCHEMA,
    )
    op.create_index("authorization_code_expires", "authorization_code", ["expires"], schema=SCHEMA)
    op.create_table(
        "signing_key",
        sa.Column("kid", sa.Text, primary_key=True),
        sa.Column("public", pg.JSONB, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        _moment("created"),
        _moment("retired", nullable=True),
        schema=SCHEMA,
    )


def downgrade() -> None:
    for table in ("signing_key", "authorization_code", "test_person", "used_jti", "client_key", "client"):
        op.drop_table(table, schema=SCHEMA)
