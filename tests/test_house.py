# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The house keeps its own rules: what a folder must have, and that the checks look at every folder."""

from pathlib import Path
import re
import subprocess
import tomllib
from typing import Any

import pytest

from ndi.migrate import SERVICES
from tools.drift import without_licence

ROOT = Path(__file__).parents[1]
LICENCE_LINE = "SPDX-License-" + "Identifier: EUPL-1.2"  # in two parts, or reuse takes it for this file's own
NOT_IMPORTED = {"tests", "tools", "bench"}
"""Folders with code that import contracts have nothing to say about."""


def tracked(pattern: str = "*") -> list[str]:
    done = subprocess.run(["git", "ls-files", pattern], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("not a git work tree")
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def tools() -> dict[str, Any]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"])


def packages() -> set[str]:
    return {path.parent.name for path in ROOT.glob("*/__init__.py")} - NOT_IMPORTED


def test_import_contracts_name_every_package(tools: dict[str, Any]) -> None:
    assert set(tools["importlinter"]["root_packages"]) == packages()


def test_every_service_stands_in_the_contracts_of_services(tools: dict[str, Any]) -> None:
    contracts = {contract["name"]: contract for contract in tools["importlinter"]["contracts"]}
    entered = contracts["a service is entered through client.py"]
    assert set(entered["protected_modules"]) == set(SERVICES)
    assert {f"{name}.** -> {name}.**" for name in SERVICES} <= set(entered["ignore_imports"])
    assert set(contracts["SQL stands in store and migrations alone"]["source_modules"]) == set(SERVICES)
    assert set(contracts["demo imports none of ours"]["forbidden_modules"]) == packages() - {"demo"}


def test_types_are_checked_and_dead_code_is_sought_everywhere(tools: dict[str, Any]) -> None:
    assert packages() <= set(tools["mypy"]["files"])
    assert packages() <= set(tools["vulture"]["paths"])
    assert set(tools["hatch"]["build"]["targets"]["wheel"]["packages"]) == packages()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_its_rooms(service: str) -> None:
    folder = ROOT / service
    assert (folder / "README.md").is_file()
    assert (folder / "app.py").is_file()
    assert (folder / "model.py").is_file() or (folder / "model" / "__init__.py").is_file()


@pytest.mark.parametrize("folder", sorted(packages()))
def test_a_package_has_a_readme_that_says_what_it_is_for(folder: str) -> None:
    assert len((ROOT / folder / "README.md").read_text().split()) > 20


def test_a_program_without_its_licence_is_found_by_the_checks(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("made.py\n")
    (tmp_path / "good.py").write_text(f"# {LICENCE_LINE}\n")
    (tmp_path / "page.md").write_text("no program\n")
    for name in ("empty.py", "made.py", "tables.sql", "Makefile"):
        (tmp_path / name).write_text("")
    (tmp_path / "late.sh").write_text("\n" * 10 + f"# {LICENCE_LINE}\n")
    subprocess.run(["git", "add", "empty.py", "good.py"], cwd=tmp_path, check=True)
    found = {fault.partition(":")[0] for fault in without_licence(tmp_path)}
    assert found == {"empty.py", "tables.sql", "Makefile", "late.sh"}
    assert list(without_licence()) == []


def test_no_program_file_needs_a_table_of_contents() -> None:
    long = {name: lines for name in tracked("*.py") if (lines := len((ROOT / name).read_text().splitlines())) > 450}
    assert not long


def test_what_a_checker_is_told_to_overlook_has_a_reason_beside_it() -> None:
    overlooked = re.compile(r"#\s*(?:type: ignore|noqa)\b(\[[\w,-]+\]|: [A-Z]+\d+(?:, ?[A-Z]+\d+)*)?(.*)")
    found = 0
    for name in tracked("*.py"):
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
            if (told := overlooked.search(line)) is not None:
                found += 1
                assert told[1], f"{name}:{number}: say which check"
                assert len(told[2].split()) > 2, f"{name}:{number}: say why"
    assert found > 3


def test_links_to_files_in_documents_outside_docs_hold() -> None:
    for name in tracked("*.md"):
        if name.startswith("docs/"):
            continue  # mkdocs --strict sees to those
        for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", (ROOT / name).read_text()):
            assert (ROOT / name).parent.joinpath(target).exists(), f"{name}: {target} is not there"


def test_every_decision_stands_in_their_index() -> None:
    index = (ROOT / "docs" / "decisions" / "index.md").read_text()
    for page in (ROOT / "docs" / "decisions").glob("[0-9]*.md"):
        assert f"({page.name})" in index, f"{page.name} is not in the index"
