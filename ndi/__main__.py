# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""`python -m ndi`."""

import sys

from ndi.cli import main

sys.exit(main())
