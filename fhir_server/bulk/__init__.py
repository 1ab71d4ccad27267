# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Work that is ordered now and fetched later: exports of the Bulk Data Access IG, long searches."""
