# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Topic-based subscriptions in R4 (https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/)."""
