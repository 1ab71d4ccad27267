# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""`ndi fhir …`: what an operator does with resources in bulk."""
