# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The order of versions."""

from hypothesis import given
from hypothesis import strategies as st

from terminology.model import latest, version_key


def test_versions_sort_as_people_number_them() -> None:
    ordered = [None, "0.9", "1.0.0-alpha", "1.0.0-beta", "1.0.0", "1.0.1", "1.2", "1.10", "2", "2018-08-12", "2019-03"]
    shuffled = ordered[::-1]
    assert sorted(shuffled, key=version_key) == ordered


@given(st.dictionaries(st.text(min_size=1), st.none() | st.text(), min_size=1))
def test_one_is_the_latest_whatever_the_order(versions: dict[str, str | None]) -> None:
    assert latest(versions) == latest(dict(reversed(versions.items())))
