# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Pure rules of security: scopes, client assertions, PKCE, the claims of an access token."""
