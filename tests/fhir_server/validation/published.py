# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Where the published data are not beside a checkout, what is held against them is skipped."""

import pytest

from tools.conformance.published import FHIR, SHARED

DATA = SHARED
needs_data = pytest.mark.skipif(not FHIR.is_dir(), reason="the published data is not beside this checkout")
