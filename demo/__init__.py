# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The worked example: regions, a clinic, a register and a person, all of them black-box users of the product."""
