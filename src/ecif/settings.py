"""Settings from the environment, read once by the edges (see README for the list)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

KEY_BYTES = 32


class SettingsError(Exception):
    """A setting that cannot be used; the text names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Attributes:
    home: where the embedded database and the local keys live (``ECIF_HOME``, default ``~/.ecif``).
    database_url: a PostgreSQL of your own (``ECIF_DATABASE_URL``), used instead of the embedded one.
    host, port: where the API listens (``ECIF_HOST``, ``ECIF_PORT``).
    """

    home: Path
    database_url: str = field(default="", repr=False)
    host: str = "127.0.0.1"
    port: int = 8000

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Reads and checks the settings.

        Raises:
            SettingsError: a value is not usable.
        """
        try:
            home = Path(environ.get("ECIF_HOME") or "~/.ecif").expanduser().absolute()
        except RuntimeError as error:
            raise SettingsError("ECIF_HOME: 没有这样的主目录 there is no such home directory: set ECIF_HOME") from error
        port = environ.get("ECIF_PORT") or "8000"
        if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
            raise SettingsError(f"ECIF_PORT={port}: 端口应为 1–65535 的整数 a port is a number from 1 to 65535")
        url = environ.get("ECIF_DATABASE_URL", "")
        if url and not url.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
            raise SettingsError("ECIF_DATABASE_URL: 只支持 PostgreSQL (postgresql://…) only PostgreSQL is supported")
        return cls(home, url, environ.get("ECIF_HOST") or "127.0.0.1", int(port))


def local_secret(home: Path, name: str) -> bytes:
    """A random key kept under ``home``, made at first use; two processes that race get the same one.

    Raises:
        SettingsError: the folder cannot be written.
    """
    path = home / name
    try:
        home.mkdir(mode=0o711, parents=True, exist_ok=True)
        if not path.exists():
            draft = home / f".{name}.{os.getpid()}"
            draft.touch(0o600)
            draft.write_bytes(secrets.token_bytes(KEY_BYTES))
            try:
                os.link(draft, path)
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        secret = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{path}: 无法读写密钥文件, 请设置可写的 ECIF_HOME cannot keep the key here ({error.strerror}): set ECIF_HOME"
        ) from error
    if len(secret) != KEY_BYTES:
        raise SettingsError(f"{path}: 密钥文件已损坏, 请从备份恢复 the key is damaged: restore it from a backup")
    return secret
