# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Derives the Patient compartment from the FHIR R4 definitions. Run by hand; the result is committed.

Input: the CompartmentDefinitions cut to resource and parameters, derived from the package hl7.fhir.r4.examples 4.0.1
(CC0-1.0). The third column is the parameter that tells when the care took place, chosen from our table of search
parameters by the order below: what start and end of `$everything` are held against.

    python tools/derive_compartments.py PATH/compartments-r4.json.gz
"""

import csv
import gzip
import json
from pathlib import Path
import sys

FOLDER = Path(__file__).parent.parent / "fhir_server" / "search"
CARE = (
    "date", "effective", "period", "onset-date", "occurrence", "whenhandedover", "authoredon", "authored", "started",
    "request-date", "sent", "performed", "identified", "created", "recorded", "recorded-date", "effective-time",
    "event-date", "start-date", "collected", "datetime", "datewritten",
)  # fmt: skip


def main(source: str) -> None:
    """Writes, for each type in the compartment, the parameters that place a resource in it and the one of its date."""
    with gzip.open(source, "rt", encoding="utf-8") as text:
        patient = next(each for each in json.load(text) if each["code"] == "Patient")
    kinds: dict[str, dict[str, str]] = {}
    with (FOLDER / "definitions.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            kinds.setdefault(row["resource"], {})[row["code"]] = row["type"]
    written = 0
    with (FOLDER / "compartment.csv").open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(["resource", "parameters", "date"])
        for each in patient["resource"]:
            name = each["code"]
            # Patient.link leads to another record of, perhaps, another person: it places nobody in a compartment here.
            links = [code for code in each.get("param", ()) if kinds.get(name, {}).get(code) == "reference"]
            if name != "Patient" and links:
                dates = (code for code in CARE if kinds[name].get(code) == "date")
                table.writerow([name, " ".join(links), next(dates, "")])
                written += 1
    print(f"{written} resource types written")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: derive_compartments.py compartments-r4.json.gz")
    main(sys.argv[1])
