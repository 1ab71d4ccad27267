# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Derives the compact tables of validation from the FHIR R4 definitions. Run by hand; the results are committed.

Input: a folder with elements-r4.ndjson.gz, required-bindings-r4.json.gz, invariants-r4.json.gz, derived from the
package hl7.fhir.r4.examples 4.0.1 (CC0-1.0). What every resource or element has in common is left out.
A second folder holds the StructureDefinitions of hl7.fhir.r4.core 4.0.1 (CC0-1.0), for the published extensions.

    python tools/derive_validation.py FOLDER CORE
"""

import csv
import gzip
import json
from pathlib import Path
import sys
from typing import Any

OUT = Path(__file__).parent.parent / "fhir_server" / "validation"
COMMON = {"id", "extension", "modifierExtension"}
COMMON_RESOURCE = COMMON | {"meta", "implicitRules", "language", "text", "contained"}
QUANTITIES = {"Age", "Count", "Distance", "Duration"}
# Two definitions use the key inv-1 for other rules; the input has merged them under the first.
ONLY = {"inv-1": ["Parameters.parameter"]}
BASES = {
    **dict.fromkeys(("code", "id", "markdown"), "string"),
    **dict.fromkeys(("url", "canonical", "oid", "uuid"), "uri"),
    **dict.fromkeys(("positiveInt", "unsignedInt"), "integer"),
}


def main(folder: str, core: str) -> None:
    """Writes elements.csv, codes.csv, invariants.csv and extensions.csv."""
    source = Path(folder)
    with gzip.open(source / "elements-r4.ndjson.gz", "rt", encoding="utf-8") as lines:
        elements = [json.loads(line) for line in lines]
    required = json.loads(gzip.decompress((source / "required-bindings-r4.json.gz").read_bytes()))
    invariants = json.loads(gzip.decompress((source / "invariants-r4.json.gz").read_bytes()))
    bound = {each["path"]: each["valueSet"].rsplit("/", 1)[1] for each in required["bindings"]}
    open_sets = {each.rsplit("/", 1)[1] for each in required["openValueSets"]}
    _write("elements.csv", ["path", "min", "max", "types", "targets", "codes"], _elements(elements, bound, open_sets))
    rows = [
        [name.rsplit("/", 1)[1], system, json.dumps(codes, ensure_ascii=False, separators=(",", ":"))]
        for name, systems in sorted(required["valueSets"].items())
        for system, codes in systems.items()
    ]
    _write("codes.csv", ["valueSet", "system", "codes"], rows)
    _write("invariants.csv", ["key", "severity", "paths", "expression", "human"], _invariants(invariants))
    _write("extensions.csv", ["url", "contexts", "types"], _extensions(Path(core)))


def _extensions(core: Path) -> list[list[str]]:
    """Where each published extension may stand and what its value may be; no types: it has extensions of its own."""
    rows = []
    for file in core.glob("StructureDefinition-*.json"):
        definition = json.loads(file.read_bytes())
        if definition.get("type") != "Extension" or definition.get("derivation") != "constraint":
            continue
        elements = {each["id"]: each for each in definition["snapshot"]["element"]}
        value = elements.get("Extension.value[x]")
        types = [] if value is None or value["max"] == "0" else [each["code"] for each in value["type"]]
        contexts = [each["expression"] for each in definition.get("context", ())]
        rows.append([definition["url"], " ".join(contexts), " ".join(types)])
    return sorted(rows)


def _elements(elements: list[dict[str, Any]], bound: dict[str, str], open_sets: set[str]) -> list[list[str]]:
    children: dict[str, set[str]] = {}
    for each in elements:
        parent, _, name = each["path"].rpartition(".")
        children.setdefault(parent, set()).add(name)
    rows = []
    for each in elements:
        path = each["path"]
        parent, _, name = path.rpartition(".")
        if not parent:
            rows.append([path, "", "", _base(path, children.get(path, set())), "", ""])
            continue
        if name in (COMMON_RESOURCE if "meta" in children[parent] else COMMON) and parent not in BASES.values():
            continue
        if parent[0].islower():
            continue
        kinds = each.get("type", [])
        types = " ".join(kind["code"] for kind in kinds) or each["contentReference"]
        targets = " ".join(dict.fromkeys(target for kind in kinds for target in kind.get("target", [])))
        codes = bound.get(path, "")
        rows.append([path, str(each["min"]), each["max"], types, targets, "" if codes in open_sets else codes])
    return rows


def _base(path: str, names: set[str]) -> str:
    if path[0].islower():
        return BASES.get(path, "Element")
    if path in ("Element", "Resource"):
        return ""
    if path in QUANTITIES:
        return "Quantity"
    if "contained" in names:
        return "DomainResource" if path != "DomainResource" else "Resource"
    if "meta" in names:
        return "Resource"
    return "BackboneElement" if "modifierExtension" in names and path != "BackboneElement" else "Element"


def _invariants(invariants: list[dict[str, Any]]) -> list[list[str]]:
    rows = []
    for each in invariants:
        paths = ONLY.get(each["key"], each["paths"])
        if "DomainResource" in paths:
            paths = ["DomainResource"]
        rows.append([each["key"], each["severity"], " ".join(paths), each["expression"], each["human"]])
    return rows


def _write(name: str, header: list[str], rows: list[list[str]]) -> None:
    with (OUT / name).open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(header)
        table.writerows(rows)
    print(f"{name}: {len(rows)} rows")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: derive_validation.py FOLDER CORE")
    main(sys.argv[1], sys.argv[2])
