# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Three simulated regions and a private clinic, each a process of its own with its own records."""
