# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Changes described as data: JSON Patch, JSON Merge Patch and FHIRPath Patch, on JSON that keeps number text."""
