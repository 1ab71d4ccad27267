# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Values that all services share: person numbers, HSA-ids, person keys, information types. Pure: no I/O."""
