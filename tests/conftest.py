# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What all tests share: the published data beside the project, fresh databases, keys."""

from collections.abc import AsyncIterator, Iterator
import os
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.crypto import Cipher
from fhir_server.storage.database import create_engine
from identifiers.person_key import PersonKeys
from ndi.embedded import EmbeddedPostgres
from tests.support import databases
from tools.conformance.published import SHARED as SHARED

ROOT = Path(__file__).parents[1]
IN_CI = os.environ.get("CI", "").lower() in ("1", "true")

_skipped: list[tuple[str, str]] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=("server", "embedded"),
        help="where tests that do not ask for both find their database: the server at NDI_TEST_DATABASE_URL "
        "(default if it answers) or the embedded PostgreSQL",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames and metafunc.definition.get_closest_marker("servers"):
        metafunc.parametrize("database_kind", ["server", "embedded"], scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The soak run lasts as long as its full numbers take."""
    if os.environ.get("NDI_SOAK"):
        for item in items:
            item.add_marker(pytest.mark.timeout(0), append=False)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        _skipped.append((report.nodeid, report.longrepr[2].removeprefix("Skipped: ")))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """On the CI machine everything is installed: a skipped test there is a test that silently stopped running."""
    if IN_CI and any(SHARED.is_dir() or "shared data" not in reason for _, reason in _skipped) and _is_main(session):
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if IN_CI:
        for test, reason in _skipped:
            if SHARED.is_dir() or "shared data" not in reason:
                terminalreporter.write_line(f"FAILED {test}: skipped although CI is set: {reason}", red=True)


def _is_main(session: pytest.Session) -> bool:
    return not hasattr(session.config, "workerinput")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of published schemas, examples and lists that are not part of the project."""
    if not SHARED.is_dir():
        pytest.skip("no shared data: set NDI_SHARED to the folder with the published schemas and examples")
    return SHARED


@pytest.fixture(scope="session")
def keys() -> PersonKeys:
    return PersonKeys({1: bytes(range(32))}, 1)


@pytest.fixture(scope="session")
def cipher() -> Cipher:
    return Cipher({1: bytes(range(32, 64))}, 1)


@pytest.fixture(scope="session")
async def database_kind(request: pytest.FixtureRequest) -> str:
    """server or embedded; tests marked `servers` run on both."""
    asked = request.config.getoption("--database")
    if asked is None:
        return "server" if await databases.answers(databases.SERVER_URL) or _installed() else "embedded"
    return str(asked)


@pytest.fixture(scope="session")
def embedded_server() -> Iterator[str]:
    """The embedded PostgreSQL, shared by all workers and kept for the next run; gives its address."""
    with EmbeddedPostgres(ROOT / "var" / "test" / "postgres").used() as url:
        yield url


@pytest.fixture(scope="session")
def installed_server() -> Iterator[str]:
    """A server of the PostgreSQL that the machine has installed, with data of our own; gives its address."""
    programs = _installed()
    if programs is None:
        pytest.skip("no PostgreSQL server answers at NDI_TEST_DATABASE_URL and none is installed")
    with EmbeddedPostgres(ROOT / "var" / "test" / f"postgres-{programs.parent.name}", programs).used() as url:
        yield url


@pytest.fixture(scope="session")
async def server(database_kind: str, request: pytest.FixtureRequest) -> str:
    """Address of a PostgreSQL server on which tests may create databases."""
    if database_kind == "embedded":
        return str(request.getfixturevalue("embedded_server"))
    if await databases.answers(databases.SERVER_URL):
        return databases.SERVER_URL
    return str(request.getfixturevalue("installed_server"))


def _installed() -> Path | None:
    """PostgreSQL's programs where Debian keeps them: the oldest, as the embedded one is the newest."""
    found = sorted(Path("/usr/lib/postgresql").glob("[0-9]*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[0].parent if found else None


@pytest.fixture(scope="session")
async def template(server: str) -> str:
    """Name of the migrated template database on the server."""
    return await databases.ensure_template(server)


@pytest.fixture
async def database_url(server: str, template: str) -> AsyncIterator[str]:
    """A fresh migrated database, dropped after the test."""
    async with databases.fresh_database(server, template) as url:
        yield url


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on a fresh migrated database."""
    made = create_engine(database_url)
    try:
        yield made
    finally:
        await made.dispose()
