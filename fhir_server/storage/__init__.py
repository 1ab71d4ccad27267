# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Where resources are kept: raw bytes, append-only history, search values."""
