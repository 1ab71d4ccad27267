# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The FHIR R4 kernel every service stands on. It knows no service."""
