# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Derives the compact table of search parameters from the FHIR R4 definitions. Run by hand; the result is committed.

Input: a CSV of the base SearchParameters cut to each resource type (columns resource, code, type, expression,
target, components …) and the Bundle of the definitions themselves, for the types of components. Both are derived
from the package hl7.fhir.r4.examples 4.0.1 (CC0-1.0).

    python tools/derive_search_parameters.py PATH/search-expressions-r4.csv.gz PATH/search-parameters-r4.json.gz
"""

import csv
import gzip
import json
from pathlib import Path
import sys

EVERY_TARGET = 100
# The published components of DocumentReference.relationship name each other's definition: code is no reference.
EXCHANGED = {"DocumentReference-relatesto": "token", "DocumentReference-relation": "reference"}
# `entry[0].resource` is a composition in documents and a header in messages only.
TYPED = {("Bundle", "composition"): "Composition", ("Bundle", "message"): "MessageHeader"}
OUT = Path(__file__).parent.parent / "fhir_server" / "search" / "definitions.csv"


def main(expressions: str, definitions: str) -> None:
    """Writes the table for all resource types."""
    with gzip.open(expressions, "rt", encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    with gzip.open(definitions, "rt", encoding="utf-8") as lines:
        bundle = json.load(lines)
    types = {entry["resource"]["id"]: entry["resource"]["type"] for entry in bundle["entry"]} | EXCHANGED
    written = 0
    with OUT.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(["resource", "code", "type", "expression", "target", "components"])
        for row in rows:
            if not _served(row):
                continue
            target = row["target"].split()
            table.writerow(
                [row["resource"], row["code"], row["type"], _expression(row),
                 "*" if len(target) > EVERY_TARGET else " ".join(target), _components(row["components"], types)]
            )  # fmt: skip
            written += 1
    print(f"{written} search parameters written")


def _served(row: dict[str, str]) -> bool:
    """Not those every type has."""
    return bool(row["expression"]) and not row["code"].startswith("_")


def _expression(row: dict[str, str]) -> str:
    kind = TYPED.get((row["resource"], row["code"]))
    return row["expression"] if kind is None else f"{row['expression']}.ofType({kind})"


def _components(text: str, types: dict[str, str]) -> str:
    """`type expression;type expression`."""
    parts = (each.partition("=") for each in text.split(";") if each)
    return ";".join(f"{types[name]} {expression}" for name, _, expression in parts)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: derive_search_parameters.py search-expressions-r4.csv.gz search-parameters-r4.json.gz")
    main(sys.argv[1], sys.argv[2])
