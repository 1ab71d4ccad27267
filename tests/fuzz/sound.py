# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What every answer keeps, whatever was asked: no 5xx, and who is refused is told what to change."""

import os
from typing import Any

import httpx2
from hypothesis import HealthCheck, settings
import orjson

SOAK = bool(os.environ.get("NDI_SOAK"))
EXAMPLES = 3000 if SOAK else 40
"""Of each property."""

fuzzing = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not SOAK,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
"""The same examples at every run, other ones at every soak."""


def check(answer: httpx2.Response) -> None:
    """Fails on an answer that tells of a fault of ours, or refuses without saying why."""
    asked = f"{answer.request.method} {answer.request.url}"
    assert answer.status_code < 500, f"{asked}: {answer.status_code} {answer.text[:2000]}"
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        check_outcome(answer.status_code, answer.headers.get("content-type", ""), answer.content, asked)
    elif answer.content and "json" in answer.headers.get("content-type", ""):
        orjson.loads(answer.content)


def check_outcome(status: int, media: str, content: bytes, asked: str) -> None:
    """An OperationOutcome that can be worked with: a code, a text for people, nothing of our inside."""
    assert media.startswith("application/fhir+json"), f"{asked}: {status} {media} {content[:500]!r}"
    outcome: dict[str, Any] = orjson.loads(content)
    assert outcome["resourceType"] == "OperationOutcome", f"{asked}: {outcome}"
    assert outcome["issue"], asked
    for issue in outcome["issue"]:
        assert issue["severity"] in ("fatal", "error", "warning", "information")
        assert issue["code"], outcome
        assert issue["details"]["coding"][0]["code"] not in ("", "internal-error"), f"{asked}: {outcome}"
        assert len(issue["diagnostics"]) > 8, outcome
        assert len(issue["diagnostics"]) < 20_000, outcome
        assert "Traceback" not in issue["diagnostics"], outcome
