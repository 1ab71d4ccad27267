# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
from collections.abc import Iterator
import os
from pathlib import Path
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

import asyncpg
import psutil
import pytest

from ndi import embedded_settings
from ndi.embedded import EmbeddedError, EmbeddedPostgres

pytestmark = pytest.mark.timeout(180)

MIB = 1024 * 1024
ROUNDS = 200 if os.environ.get("NDI_SOAK") else 3


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's own: its path is long, and what is left there would be a running server's.
    base = Path(tempfile.mkdtemp(prefix="ndi-test-"))
    yield base / "postgres"
    EmbeddedPostgres(base / "postgres").stop()
    shutil.rmtree(base)


async def execute(url: str, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(statement)
    finally:
        await connection.close()


async def test_a_start_makes_the_database_and_the_last_user_stops_it(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder)
    with postgres.used() as url:
        assert (await execute(url, "SELECT current_database()"))[0][0] == "ndi"
        with EmbeddedPostgres(folder).used() as second:
            assert second == url
            pid = postgres.running_pid()
        assert postgres.running_pid() == pid is not None
    assert postgres.running_pid() is None


async def test_data_outlive_kill_9_of_the_server(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder)
    with postgres.used() as url:
        await execute(url, "CREATE TABLE kept (value int)")
        for value in range(ROUNDS):
            await execute(url, f"INSERT INTO kept VALUES ({value})")
            pid = postgres.running_pid()
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            # At once, while the process may be a zombie and its children still leave.
            with EmbeddedPostgres(folder).used() as again:
                assert again == url
                assert postgres.running_pid() != pid
        assert [row[0] for row in await execute(url, "SELECT value FROM kept ORDER BY 1")] == [*range(ROUNDS)]


async def test_a_user_that_is_killed_does_not_keep_the_server_from_stopping(folder: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from ndi.embedded import EmbeddedPostgres\n"
        "with EmbeddedPostgres(Path(sys.argv[1])).used(): print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout is not None
        assert user.stdout.readline() == "up\n"
        user.kill()
    postgres = EmbeddedPostgres(folder)
    pid = postgres.running_pid()
    assert pid is not None, "the server outlives a killed user and is reused"
    with postgres.used():
        assert postgres.running_pid() == pid
    assert postgres.running_pid() is None


def test_a_start_by_hand_outlives_its_users_until_it_is_stopped(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder)
    postgres.start()
    with EmbeddedPostgres(folder).used():
        pid = postgres.running_pid()
    assert postgres.running_pid() == pid is not None
    assert postgres.stop()
    with postgres.used():
        assert postgres.running_pid() != pid
    assert postgres.running_pid() is None


def test_a_pid_file_that_names_another_program_does_no_harm(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder)
    with postgres.used():
        file = (folder / "postmaster.pid").read_text()
        pid = postgres.running_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        (folder / "postmaster.pid").write_text(file.replace(str(pid), str(os.getpid()), 1))
        with EmbeddedPostgres(folder).used():
            assert postgres.running_pid() not in (None, pid, os.getpid())


async def test_a_path_too_long_for_a_socket(folder: Path) -> None:
    deep = folder.parent / ("d" * 60) / ("e" * 60) / "postgres"
    postgres = EmbeddedPostgres(deep)
    with postgres.used() as url:
        assert str(deep) not in url
        sockets = Path(url.partition("host=")[2])
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert (await execute(url, "SELECT 1"))[0][0] == 1
    sockets.rmdir()


def test_a_socket_folder_of_somebody_else_is_refused(folder: Path) -> None:
    deep = folder.parent / ("d" * 60) / ("e" * 60) / "postgres"
    postgres = EmbeddedPostgres(deep)
    sockets = Path(postgres.url().partition("host=")[2])
    sockets.mkdir(mode=0o777)
    sockets.chmod(0o777)
    try:
        with pytest.raises(EmbeddedError, match="not ours alone"):
            postgres.start()
    finally:
        sockets.rmdir()


def test_only_the_right_to_pass_is_given_to_folders_above(folder: Path) -> None:
    folder.parent.chmod(0o700)
    with EmbeddedPostgres(folder).used():
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        mode = stat.S_IMODE(folder.parent.stat().st_mode)
        assert mode == (0o701 if os.geteuid() == 0 else 0o700)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedError) as error:
        EmbeddedPostgres(tmp_path / "file" / "var" / "postgres").start()
    assert "\n" not in str(error.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_one_line_and_leaves_nothing_half_made(tmp_path: Path) -> None:
    disk = Path(tempfile.mkdtemp(prefix="ndi-disk-"))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True).returncode != 0:
        disk.rmdir()
        pytest.xfail("this machine lets nobody mount")
    try:
        postgres = EmbeddedPostgres(disk / "postgres")
        for _ in range(2):
            with pytest.raises(EmbeddedError, match="disk is full") as error:
                postgres.start()
            assert "\n" not in str(error.value)
            assert not list((disk / "postgres").iterdir())
    finally:
        subprocess.run(["umount", disk], check=True)
        disk.rmdir()


async def test_nothing_that_may_hold_personal_data_is_logged(folder: Path) -> None:
    with EmbeddedPostgres(folder).used() as url:
        await execute(url, "CREATE TABLE number (value text PRIMARY KEY)")
        await execute(url, "INSERT INTO number VALUES ('195701032863')")
        for statement in ("INSERT INTO number VALUES ('195701032863')", "SELECT '195701032863'::date / 0"):
            with pytest.raises(asyncpg.PostgresError):
                await execute(url, statement)
    log = (folder / "server.log").read_text()
    assert "ready to accept connections" in log
    assert "195701032863" not in log


@pytest.mark.parametrize(
    ("memory", "shared"), [(64 * MIB, 32), (512 * MIB, 128), (4096 * MIB, 1024), (24 * 1024 * MIB, 2048)]
)
def test_the_cache_is_a_quarter_of_the_memory_at_most_two_gigabytes(memory: int, shared: int) -> None:
    assert f"shared_buffers = {shared}MB\n" in embedded_settings.render(memory, Path("/run/it's"))
    assert "unix_socket_directories = '/run/it''s'\n" in embedded_settings.render(memory, Path("/run/it's"))
