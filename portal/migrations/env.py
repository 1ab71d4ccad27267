# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Alembic environment: the kernel's."""

from fhir_server.storage import migrations

migrations.run("portal")
