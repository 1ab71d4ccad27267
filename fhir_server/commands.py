# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What a service's commands get from the `ndi` command line: the database and the keys of the deployment.

A command takes `context: typer.Context` and asks `deployment(context)`:

    @app.command()
    def add(context: typer.Context, name: str) -> None:
        with deployment(context).database() as url:
            asyncio.run(_add(url, name))
"""

from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

from fhir_server.crypto import Cipher
from identifiers.person_key import PersonKeys


class CommandError(Exception):
    """A command cannot do what was asked; the text is the one line that people see."""


class Deployment(Protocol):
    """The deployment that a command works on."""

    def database(self) -> AbstractContextManager[str]:
        """The address of the upgraded database; the embedded one runs while the block does."""
        ...

    def person_keys(self) -> PersonKeys:
        """What makes person keys."""
        ...

    def cipher(self) -> Cipher:
        """What encrypts the few columns that must be shown again."""
        ...


def deployment(context: Any) -> Deployment:
    """The deployment that `ndi` put into the command's context (`typer.Context`)."""
    return cast(Deployment, context.find_root().obj)
