# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The schema that answers are checked by: the published one, where the operator has loaded it, else our own.

`ndi gateway schemas add` loads the files of a contract; they are read at the first use after a start.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from lxml import etree
import structlog

from gateway import soap
from gateway.store import ArtifactStore

log = structlog.get_logger("ndi.gateway")

_XSD: Final = "{http://www.w3.org/2001/XMLSchema}"


class Contracts:
    """Schemas by contract."""

    def __init__(self, store: ArtifactStore | None) -> None:
        """`store`: what the operator has loaded; None for ours alone."""
        self._store = store
        self._loading = asyncio.Lock()
        self._schema: etree.XMLSchema | None = None

    async def alert_information(self) -> etree.XMLSchema:
        """The schema of GetAlertInformation 2.0."""
        async with self._loading:
            if self._schema is None:
                loaded = await self._loaded()
                self._schema = await asyncio.to_thread(compiled, loaded, soap.RESPONDER) or soap.own_schema()
            return self._schema

    async def _loaded(self) -> dict[str, bytes]:
        return {} if self._store is None else await self._store.contents("schema")


def compiled(files: Mapping[str, bytes], namespace: str) -> etree.XMLSchema | None:
    """The schema of `namespace` among the files, which find each other by name; None without it or if it is faulty."""
    roots = {name: soap.parse_xml(content) for name, content in files.items()}
    main = next((name for name, root in roots.items() if root.get("targetNamespace") == namespace), None)
    if main is None:
        return None
    for root in roots.values():
        for element in (*root.iter(f"{_XSD}import"), *root.iter(f"{_XSD}include")):
            location = element.get("schemaLocation")
            if location is not None:
                element.set("schemaLocation", location.rpartition("/")[2])
    with TemporaryDirectory() as folder:
        for name, root in roots.items():
            (Path(folder) / Path(name).name).write_bytes(etree.tostring(root))
        try:
            parser = etree.XMLParser(no_network=True, resolve_entities=False)
            return etree.XMLSchema(etree.parse(str(Path(folder) / Path(main).name), parser))
        except etree.XMLSchemaParseError:
            log.error("schema", file=main, error="the loaded files do not make a schema; the built-in one is used")
            return None
