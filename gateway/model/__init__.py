# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""From what a source said to FHIR R4, with every source leaf accounted for. Pure: no I/O."""
