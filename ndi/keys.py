# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The secret keys of a deployment: files only their owner may read, made at the first start.

| file | holds |
|---|---|
| `person-<version>.key` | secret of the person keys, 64 hexadecimal digits |
| `cipher-<version>.key` | key of the few encrypted columns, 64 hexadecimal digits |
| `cursor.key` | secret that signs paging cursors, 64 hexadecimal digits |
| `<client>.jwk` | private key of one of our own clients, e.g. `ndi-portal`, EC P-256, JWK |

The highest version is the current one; older ones stay for reading. Losing `person-*` or `cipher-*` loses the
data: they belong in a backup of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import json
import os
from pathlib import Path
import re
import secrets
import stat
from typing import Any

from joserfc.jwk import ECKey

from fhir_server.crypto import Cipher
from identifiers.person_key import PersonKeys


class KeysError(Exception):
    """The keys cannot be used; the text is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class KeyFolder:
    """The folder of the keys."""

    folder: Path

    def prepare(self, *, has_data: bool = False) -> None:
        """Makes the folder and the keys that are missing.

        `has_data`: the database was used before. Raises `KeysError` if then the keys are missing, since new ones
        would make its data unreadable, and if others may read the folder.
        """
        missing = [name for name in ("person", "cipher") if not self._versions(name)]
        if has_data and missing:
            raise KeysError(
                f"{self.folder} holds no {missing[0]} key although the database was used before: restore it from its "
                "backup, or remove the database to begin anew"
            )
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if stat.S_IMODE(self.folder.stat().st_mode) & 0o077 and self.folder.stat().st_uid == os.geteuid():
                self.folder.chmod(0o700)
            for name in missing:
                _write_once(self.folder / f"{name}-1.key", secrets.token_hex(32).encode() + b"\n")
            if not (self.folder / "cursor.key").exists():
                _write_once(self.folder / "cursor.key", secrets.token_hex(32).encode() + b"\n")
        except OSError as error:
            raise KeysError(f"{self.folder} cannot be written: {error.strerror}") from error

    def person_keys(self) -> PersonKeys:
        """What makes person keys. Raises `KeysError`."""
        versions = self._read_all("person")
        return PersonKeys(versions, max(versions))

    def cipher(self) -> Cipher:
        """What encrypts the few columns that must be shown again. Raises `KeysError`."""
        versions = self._read_all("cipher")
        return Cipher(versions, max(versions))

    def cursor_secret(self) -> bytes:
        """What signs paging cursors. Raises `KeysError`."""
        return _read_hex(self.folder / "cursor.key")

    def client_key(self, name: str) -> dict[str, Any]:
        """The private JWK of one of our own clients, made if it is missing. Raises `KeysError`.

        Its public part is registered by `ndi security client add --jwks <file>`.
        """
        path = self.folder / f"{name}.jwk"
        try:
            if not path.exists():
                key = ECKey.generate_key("P-256", parameters={"kid": name, "alg": "ES256", "use": "sig"})
                _write_once(path, json.dumps(key.as_dict(private=True)).encode())
            return dict(json.loads(path.read_text()))
        except OSError as error:
            raise KeysError(f"{path} cannot be used: {error.strerror}") from error
        except ValueError:
            raise KeysError(f"{path} is no JWK") from None

    def _versions(self, name: str) -> Mapping[int, Path]:
        if not self.folder.is_dir():
            return {}
        found = ((re.fullmatch(rf"{name}-([0-9]+)\.key", path.name), path) for path in self.folder.iterdir())
        return {int(match[1]): path for match, path in found if match}

    def _read_all(self, name: str) -> dict[int, bytes]:
        versions = {version: _read_hex(path) for version, path in self._versions(name).items()}
        if not versions:
            raise KeysError(f"{self.folder} holds no {name} key")
        return versions


def _read_hex(path: Path) -> bytes:
    try:
        value = bytes.fromhex(path.read_text().strip())
    except OSError as error:
        raise KeysError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise KeysError(f"{path} is not written in hexadecimal digits") from None
    if len(value) != 32:
        raise KeysError(f"{path} must hold 64 hexadecimal digits")
    return value


def _write_once(path: Path, content: bytes) -> None:
    """Writes a file that only we may read; if another process was quicker, its file stays."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
    finally:
        temporary.unlink()
