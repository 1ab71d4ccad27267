# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Rules and values of the transfer service, free of I/O: variables, plan, message, retry."""
