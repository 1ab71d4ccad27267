# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What `make conformance-kernel` runs, with fewer searches, so that its numbers are held by every run of the tests."""

from pathlib import Path

import pytest

from tests.fhir_server.validation.published import needs_data
from tools.conformance import bindings, capabilities, examples, report, search
from tools.conformance.engine import common, evaluate, rewritten
from tools.conformance.report import BEGIN, END, Area, Row
from tools.conformance.server import Server, opened

KINDS = ("Location", "Observation", "Patient")


@needs_data
@pytest.mark.slow
@pytest.mark.servers
@pytest.mark.timeout(600)
async def test_examples_are_kept_and_found(server: str) -> None:
    async with opened(server) as sandbox:
        await _kept_and_found(sandbox)


async def _kept_and_found(sandbox: Server) -> None:
    kept = await examples.run(sandbox)
    assert not kept.failures
    assert kept.row(examples.STORED).passed == kept.row(examples.READ).passed == kept.row(examples.READ).of == 505
    found = await search.run(sandbox, most=1)
    assert not found.failures
    assert (found.row(search.SEARCHES).of, found.row(search.EXACT).of) == (1103, 560)
    claims = await capabilities.run(sandbox, KINDS)
    assert not claims.failures
    assert sum(each.of for each in claims.rows) > 500


@needs_data
@pytest.mark.slow
def test_required_bindings_over_all_examples() -> None:
    area = bindings.run()
    assert not area.failures
    assert [(each.passed, each.of) for each in area.rows] == [(3711, 3711), (3711, 3711)]


@needs_data
def test_the_types_of_health_data_exchange() -> None:
    assert len(common()) == 47


@needs_data
@pytest.mark.parametrize(
    ("expression", "kind", "text"),
    [
        ("(Goal.target.due as date)", "Goal", "Goal.target.dueDate"),
        ("value.as(Quantity) | value.as(Range)", "X", "valueQuantity | valueRange"),
        ("Resource.meta.tag", "Patient", "Patient.meta.tag"),
        ("Consent.source", "Consent", "(Consent.sourceAttachment | Consent.sourceReference)"),
        ("Patient.deceased.exists() and Patient.deceased != false", "Patient", None),
    ],
)
def test_expressions_for_the_other_engine(expression: str, kind: str, text: str | None) -> None:
    assert rewritten(expression, kind) == (text or expression)


@needs_data
def test_the_other_engine_asks_the_text_of_a_reference() -> None:
    account = {"resourceType": "Account", "subject": [{"reference": "Patient/1"}, {"reference": "Device/1"}]}
    assert evaluate("Account.subject.where(resolve() is Patient)", account, "Account") == [{"reference": "Patient/1"}]


@pytest.mark.parametrize(
    ("documentation", "modifiers", "prefixes"),
    [
        (
            "Modifiers of search parameters, by type: string :exact :missing; date :missing. "
            "Prefixes of date, number and quantity: eq ne. More.",
            {"string": frozenset({"exact", "missing"}), "date": frozenset({"missing"})},
            ["eq", "ne"],
        ),
        ("Nothing.", {}, []),
    ],
)
def test_claims_are_read_from_the_statement(
    documentation: str, modifiers: dict[str, frozenset[str]], prefixes: list[str]
) -> None:
    assert capabilities.claims(documentation) == (modifiers, prefixes)


def test_the_table_is_written_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    report.write([Area("Search", (Row("a | b", 1200, 1201, "note"),), known=("`x`: why.",))], page)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert r"| Search | a \| b | 1,200 | 1,201 | note |" in text
    assert "### Search: what is otherwise\n\n- `x`: why." in text
    page.write_text("no markers")
    with pytest.raises(ValueError, match="no place"):
        report.write([], page)


def test_what_failed_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    report.show([Area("Search", (Row("reference with :[type]", 1, 2),), ("a[b] fails",))])
    said = capsys.readouterr().out
    assert ":[type]" in said and "FAILED Search: a[b] fails" in said
