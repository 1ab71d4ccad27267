# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The deployment that the settings describe, as the commands of the services see it."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import asyncpg
import structlog

from fhir_server.commands import CommandError
from fhir_server.crypto import Cipher
from identifiers.person_key import PersonKeys
from ndi import migrate
from ndi.embedded import EmbeddedPostgres
from ndi.keys import KeyFolder
from ndi.settings import Settings


class LocalDeployment:
    """Implements `fhir_server.commands.Deployment`."""

    def __init__(self, settings: Settings) -> None:
        """`settings`: of the deployment."""
        self.settings = settings
        self._upgraded = False

    @contextmanager
    def database(self) -> Iterator[str]:
        """The address of the upgraded database; the embedded one runs while the block does.

        Raises `EmbeddedError`, `KeysError`, `CommandError`.
        """
        with self.server() as url:
            if not self._upgraded:  # once for all commands of a batch
                upgrade(url)
                self._upgraded = True
            yield url

    @contextmanager
    def server(self) -> Iterator[str]:
        """The address of the database as it is; makes missing keys. Raises `EmbeddedError`, `KeysError`."""
        self.prepare()
        if self.settings.database_url is not None:
            yield self.settings.database_url.get_secret_value()
            return
        with EmbeddedPostgres(self.settings.database_folder).used() as url:
            yield url

    def prepare(self) -> None:
        """Makes missing keys. Raises `KeysError`."""
        self._keys().prepare(has_data=(self.settings.database_folder / "PG_VERSION").exists())

    def person_keys(self) -> PersonKeys:
        """What makes person keys. Raises `KeysError`."""
        return self._keys().person_keys()

    def cipher(self) -> Cipher:
        """What encrypts the few columns that must be shown again. Raises `KeysError`."""
        return self._keys().cipher()

    def _keys(self) -> KeyFolder:
        return KeyFolder(self.settings.keys_folder)


def upgrade(url: str, services: Sequence[str] | None = None) -> list[migrate.SchemaState]:
    """Upgrades the schemas; answers those that changed, as they were. Raises `CommandError` if it cannot."""
    try:
        states = asyncio.run(migrate.upgrade(url, services))
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise CommandError(f"the database does not answer: {first_line(error)}") from error
    changed = [state for state in states if not state.up_to_date]
    for state in changed:
        structlog.get_logger("ndi.migrate").info(
            "upgraded", service=state.service, before=state.current, now=state.head
        )
    return changed


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its kind."""
    return (str(error) or type(error).__name__).splitlines()[0]
