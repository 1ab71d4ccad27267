# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Derives which elements _summary and _elements keep, from the FHIR R4 definitions. Run by hand, committed.

Input: one line of JSON for each element (path, min, isModifier, isSummary, type), derived from the package
hl7.fhir.r4.examples 4.0.1 (CC0-1.0).

    python tools/derive_subsets.py PATH/elements-r4.ndjson.gz
"""

import csv
import gzip
import json
from pathlib import Path
import sys

OUT = Path(__file__).parent.parent / "fhir_server" / "search" / "subsets.csv"


def main(source: str) -> None:
    """Writes, for each resource type, the paths marked as summary and the elements that must always be there."""
    summary: dict[str, list[str]] = {}
    always: dict[str, list[str]] = {}
    with gzip.open(source, "rt", encoding="utf-8") as lines:
        elements = [json.loads(line) for line in lines]
    types = {each["path"] for each in elements if "." not in each["path"]}
    for each in elements:
        kind, _, path = each["path"].partition(".")
        if kind not in types or not path or path.endswith((".id", ".extension")):
            continue
        if each.get("isSummary"):
            summary.setdefault(kind, []).append(path)
        if "." not in path and (each.get("min", 0) > 0 or each.get("isModifier")):
            always.setdefault(kind, []).append(path)
    resources = sorted(kind for kind in summary if "meta" in summary[kind])
    with OUT.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(["resource", "summary", "always"])
        for kind in resources:
            table.writerow([kind, " ".join(summary[kind]), " ".join(always.get(kind, []))])
    print(f"{len(resources)} resource types written")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: derive_subsets.py elements-r4.ndjson.gz")
    main(sys.argv[1])
