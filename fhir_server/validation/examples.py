# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Addresses that stand for examples. https://www.rfc-editor.org/rfc/rfc2606"""

import re
from typing import Final

_EXAMPLE: Final = re.compile(
    r"https?://(?:[^/?#@]*@)?(?:[^/?#:]+\.)?example\.(?:com|net|org)(?:[:/?#]|$)", re.IGNORECASE
)


def is_example(url: str) -> bool:
    """Whether a URL's host is kept for examples."""
    return _EXAMPLE.match(url) is not None
