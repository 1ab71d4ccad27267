# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Alembic's entry for the schema `patient_index`."""

from fhir_server.storage.migrations import run

run("patient_index")
