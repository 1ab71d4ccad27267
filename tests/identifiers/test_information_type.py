# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Information types against the table they were taken from."""

import json
from pathlib import Path

from identifiers import information_type, systems
from identifiers.information_type import ALERT, ALL, by_categorization, by_code, by_fhir_type


def test_each_agrees_with_the_published_table(shared: Path) -> None:
    rows = json.loads((shared / "index/ei/categories.json").read_text("utf-8"))["rows"]
    by_contract = {(row["serviceDomain"], row["contract"]): row for row in rows}
    for each in ALL:
        row = by_contract[(each.service_domain, each.contract)]
        assert row["categorization"] == each.categorization
        assert row["ehdsCategory"] == each.ehds_category
        assert set(each.fhir_types) <= {name.strip() for name in row["fhir"].split(",")}, each.code


def test_found_by_code_by_categorization_and_by_resource() -> None:
    assert by_code("alert") is ALERT
    assert by_code("no-such-code") is None
    assert by_categorization("riv:clinicalprocess:healthcond:description", "UPP") is ALERT
    assert by_categorization("riv:clinicalprocess:healthcond:description", "xyz") is None
    assert by_fhir_type("AllergyIntolerance") == (ALERT,)
    assert by_fhir_type("Basic") == ()
    assert len({each.code for each in ALL}) == len(ALL) == len(information_type.BY_CODE)


def test_aliases_of_systems(shared: Path) -> None:
    known = json.loads((shared / "index/identity/se-identifier-systems.json").read_text("utf-8"))["systems"]
    for system in known:
        for alias in (system["canonical"], *system["aliases"]):
            assert systems.canonical_system(alias) == system["canonical"], system["key"]
            if alias.startswith("urn:oid:"):
                assert systems.canonical_system(alias.removeprefix("urn:oid:")) == system["canonical"]
    assert systems.canonical_system("http://example.org/other") == "http://example.org/other"
