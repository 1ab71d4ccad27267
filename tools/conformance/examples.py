# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The published examples: stored by update, read back as they came."""

import json
from typing import Any

from tools.conformance.published import examples
from tools.conformance.report import Area, Row
from tools.conformance.server import Server

STORED, READ = "stored", "read back byte-identical (but for id and meta)"
BROKEN = {
    "Questionnaire/qs1": "items without linkId",
    "ActivityDefinition/blood-tubes-supply": "a narrative that shows nothing (txt-2)",
    "EventDefinition/example": "a narrative that shows nothing (txt-2)",
    "Questionnaire/zika-virus-exposure-assessment": "a narrative that shows nothing (txt-2)",
    "Media/1.2.840.11361907579238403408700.3.1.04.19970327150033": "an image fetched from elsewhere in the narrative",
    "DeviceMetric/example": "parent refers to a DeviceDefinition, not to a Device",
    "MedicationRequest/medrx0301": "dispenseRequest.performer refers to a Practitioner, not to an Organization",
    "Observation/clinical-gender": "performer refers to an Encounter",
    "Bundle/10bb101f-a121-4264-a920-67be9cb82c74": "fullUrl with another id than the resource's",
    "Bundle/3a0707d3-549e-4467-b8b8-5a2ab3800efe": "fullUrl with another id than the resource's",
    "Bundle/lri-example": "fullUrl with another id than the resource's",
}
"""Examples that break R4's own rules, so that the kernel refuses them. Without validation it keeps them too."""


async def run(server: Server) -> Area:
    """Stores and reads all; leaves them there for the search."""
    stored = same = refused = 0
    failures: list[str] = []
    published = examples()
    for name, body in published:
        kind, _, identity = name.partition("/")
        answer = await server.put(kind, identity, body)
        if name in BROKEN and answer.status_code == 422:
            refused += 1
            answer = await server.put(kind, identity, body, checked=False)
        if answer.status_code != 201:
            failures.append(f"{name} is not stored: {answer.status_code}")
            continue
        stored += 1
        if _plain((await server.get(name)).text) == _plain(body.decode()):
            same += 1
        else:
            failures.append(f"{name} comes back otherwise than it was sent")
    note = f"{refused} of them refused while validation is on, see below; kept while it is off"
    return Area(
        "Examples",
        (Row(STORED, stored, len(published), note), Row(READ, same, len(published))),
        tuple(failures),
        tuple(f"`{name}` is refused by validation: {why}." for name, why in BROKEN.items()),
    )


def _plain(text: str) -> tuple[dict[str, str], Any]:
    """Each element with its text, in their order, and meta without what the server sets. Not the product's parser."""
    found: dict[str, str] = {}
    decoder = json.JSONDecoder()
    at = text.index("{") + 1
    while True:
        at = _next(text, at)
        if text[at] == "}":
            break
        name, end = decoder.raw_decode(text, at)
        start = _next(text, end)
        _, at = decoder.raw_decode(text, start)
        found[name] = text[start:at]
    meta = json.loads(found.pop("meta", "{}"))
    for each in ("versionId", "lastUpdated"):
        meta.pop(each, None)
    found.pop("id", None)
    return found, meta


def _next(text: str, at: int) -> int:
    """Where the next token begins, separators left out."""
    while text[at] in " \t\r\n,:":
        at += 1
    return at
