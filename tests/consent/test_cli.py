# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The page of rules is what the rules say."""

from pathlib import Path

from typer.testing import CliRunner

from consent.cli import app, rules_page
from consent.model.rules import ALL

PAGE = Path(__file__).parents[2] / "docs" / "consent" / "rules.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == rules_page(), "run: ndi consent rules docs/consent/rules.md"


def test_every_rule_stands_on_the_page_once_with_its_source() -> None:
    page = rules_page()
    for rule in ALL.values():
        assert page.count(f"### {rule.id}\n") == 1
        assert rule.law in page
    assert "No lawyer has reviewed" in page


def test_check_tells_a_page_that_is_out_of_date(tmp_path: Path) -> None:
    page = tmp_path / "rules.md"
    page.write_text("old")
    run = CliRunner()
    assert run.invoke(app, ["rules", str(page), "--check"]).exit_code == 1
    assert run.invoke(app, ["rules", str(page)]).exit_code == 0
    assert run.invoke(app, ["rules", str(page), "--check"]).exit_code == 0
