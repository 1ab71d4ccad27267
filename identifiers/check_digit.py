# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The check digit of personal and organisation numbers."""


def luhn(digits: str) -> int:
    """The check digit for `digits` by the Luhn formula, weights 2 and 1 from the left."""
    total = 0
    for index, char in enumerate(digits):
        product = int(char) * (2 - index % 2)
        total += product - 9 if product > 9 else product
    return (10 - total % 10) % 10
