# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""`ndi fhir package`: add, list, remove, and what is wrong in one line."""

from pathlib import Path

import pytest

from ndi.cli import main
from tests.fhir_server.validation.test_packages import URL, archive, whole


def test_packages_are_added_listed_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NDI_DATA", str(tmp_path / "data"))
    file = archive(tmp_path / "p.tgz", whole())
    assert main(["fhir", "package", "add", str(file)]) == 0
    said = capsys.readouterr().out
    assert "a.package#1.0.0: 1 profiles, 2 definitions" in said
    assert "not here: other" in said
    assert main(["fhir", "package", "list"]) == 0
    assert URL in capsys.readouterr().out
    assert main(["fhir", "package", "remove", "a.package#1.0.0"]) == 0
    assert main(["fhir", "package", "remove", "a.package"]) == 1
    assert "there is no package a.package" in capsys.readouterr().err
    file.write_bytes(b"x")
    assert main(["fhir", "package", "add", str(file)]) == 1
    assert "no package, or damaged" in capsys.readouterr().err
    assert main(["fhir", "package", "add", str(tmp_path / "none.tgz")]) == 1
    assert "none.tgz" in capsys.readouterr().err
