# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Writes down every request line the scenario sends and every link it is given, so that they can be searched."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2


class Recorder:
    """Writes to `requests.log` and `links.log` in the folder of logs."""

    def __init__(self, logs: Path) -> None:
        self._requests, self._links = logs / "play-requests.log", logs / "play-links.log"

    def client(self, *, seconds: float = 15.0) -> httpx2.AsyncClient:
        """A client whose traffic is written down."""
        return httpx2.AsyncClient(timeout=seconds, trust_env=False, event_hooks={"response": [self._note]})

    async def _note(self, answer: httpx2.Response) -> None:
        with self._requests.open("a") as file:
            file.write(f"{answer.request.method} {answer.request.url} {answer.status_code}\n")
        await answer.aread()
        links = [answer.headers.get("location", ""), *_links(_json(answer))]
        with self._links.open("a") as file:
            file.writelines(f"{each}\n" for each in links if each)


def _json(answer: httpx2.Response) -> Any:
    if "json" not in answer.headers.get("content-type", ""):
        return None
    try:
        return answer.json()
    except ValueError:
        return None


def _links(value: Any) -> Iterator[str]:
    """Every text below that is an address or a reference."""
    if isinstance(value, dict):
        for key, below in value.items():
            if key in ("reference", "fullUrl", "url", "address") and isinstance(below, str):
                yield below
            else:
                yield from _links(below)
    elif isinstance(value, list):
        for below in value:
            yield from _links(below)
    elif isinstance(value, str) and value.startswith(("http://", "https://")):
        yield value
