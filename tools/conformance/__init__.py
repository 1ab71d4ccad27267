# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The kernel held against published suites: `make conformance-kernel` (docs/conformance.md)."""
