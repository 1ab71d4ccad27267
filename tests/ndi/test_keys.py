# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
from multiprocessing import get_context
from pathlib import Path
import stat

import pytest

from identifiers.person_number import parse
from identifiers.systems import PERSONNUMMER
from ndi.keys import KeyFolder, KeysError

ASTRID = parse(PERSONNUMMER, "195701032863")


def test_keys_are_made_once_and_are_for_the_owner_alone(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    folder.prepare()
    before = {path.name: path.read_bytes() for path in folder.folder.iterdir()}
    assert set(before) == {"person-1.key", "cipher-1.key", "cursor.key"}
    assert stat.S_IMODE(folder.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.folder.iterdir()} == {0o600}
    folder.prepare(has_data=True)
    assert {path.name: path.read_bytes() for path in folder.folder.iterdir()} == before


def test_a_new_version_becomes_the_current_one_and_the_old_one_still_reads(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    folder.prepare()
    sealed, key = folder.cipher().encrypt(b"text", b"context"), folder.person_keys().of(ASTRID)
    (tmp_path / "cipher-2.key").write_text("ab" * 32)
    (tmp_path / "person-2.key").write_text("cd" * 32)
    assert folder.cipher().version == folder.person_keys().version == 2
    assert folder.cipher().decrypt(sealed, b"context") == b"text"
    assert folder.person_keys().of(ASTRID) != key == folder.person_keys().of(ASTRID, version=1)


def test_lost_keys_are_not_replaced_when_there_are_data(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="restore it from its backup"):
        KeyFolder(tmp_path).prepare(has_data=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "zz" * 32, "ab" * 31])
def test_a_damaged_key_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "cipher-1.key").write_text(content)
    with pytest.raises(KeysError, match=r"cipher-1\.key"):
        KeyFolder(tmp_path).cipher()


def _prepare(folder: Path) -> bytes:
    KeyFolder(folder).prepare()
    return b"".join((folder / f"{name}.key").read_bytes() for name in ("person-1", "cipher-1", "cursor"))


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    with get_context("spawn").Pool(4) as pool:
        assert len(set(pool.map(_prepare, [tmp_path / "keys"] * 8))) == 1
