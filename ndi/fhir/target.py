# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Where `ndi fhir` works: the sandbox, or a service by name, each on its own database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from audit.client import APPEND_FUNCTION
from fhir_server.commands import CommandError
from fhir_server.service import Service
from fhir_server.storage.database import create_engine
from fhir_server.validation.packages import Packages
from ndi.deployment import LocalDeployment
from ndi.migrate import SERVICES
from ndi.processes import sandbox as sandbox_process
from ndi.sandbox import sandbox_service
from ndi.settings import Settings

SANDBOX: Final = "sandbox"
_QUERY_SECONDS: Final = 600.0
"""A batch waits for a checkpoint or an index as long as it takes; there is nobody who waits for an answer."""


@dataclass(frozen=True, slots=True)
class Target:
    """A service and the database it keeps its resources in."""

    service: Service
    engine: AsyncEngine
    audit_function: str | None
    packages: Packages


@contextmanager
def target(settings: Settings, name: str, database: str | None) -> Iterator[Target]:
    """The target while the block runs; the embedded server with it. `database`: the sandbox's own alone.

    Raises `CommandError`, `EmbeddedError`, `KeysError`.
    """
    packages = Packages(settings.packages_folder)
    if name == SANDBOX:
        with sandbox_process.opened(settings, database) as url:
            yield Target(sandbox_service(), create_engine(url, size=2, query_seconds=_QUERY_SECONDS), None, packages)
        return
    if database is not None:
        raise CommandError("--database is the sandbox's: a service is found by NDI_DATABASE_URL")
    if name not in SERVICES:
        raise CommandError(f"there is no service {name}: choose among {', '.join(SERVICES)}, or {SANDBOX}")
    with LocalDeployment(settings).database() as url:
        from ndi import assembly  # imports every service: only where it is needed

        wide = settings.model_copy(update={"database_url": SecretStr(url), "query_seconds": _QUERY_SECONDS})
        try:
            service, engine = assembly.loadable(wide, name)
        except ValueError as error:
            raise CommandError(f"{error}, or {SANDBOX}") from None
        yield Target(service, engine, APPEND_FUNCTION, packages)
