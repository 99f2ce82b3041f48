"""Settings from the environment, read once by the edges (see README for the list)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

KEY_BYTES = 32


class SettingsError(Exception):
    """A setting that cannot be used; the text names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Attributes:
    home: where the embedded database and the local keys live (``ECIF_HOME``, default ``~/.ecif``).
    database_url: a PostgreSQL of your own (``ECIF_DATABASE_URL``), used instead of the embedded one.
    host, port: where the API listens (``ECIF_HOST``, ``ECIF_PORT``).
    jwks: file or URL of the key set that tokens are verified with (``ECIF_JWKS``), instead of the local key.
    jwt_issuer, jwt_audience: who makes those tokens and whom for (``ECIF_JWT_ISSUER``, ``ECIF_JWT_AUDIENCE``).
    """

    home: Path
    database_url: str = field(default="", repr=False)
    host: str = "127.0.0.1"
    port: int = 8000
    jwks: str = field(default="", repr=False)
    jwt_issuer: str = ""
    jwt_audience: str = ""

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
        return cls(home, url, environ.get("ECIF_HOST") or "127.0.0.1", int(port), *_token_settings(environ))


def _token_settings(environ: Mapping[str, str]) -> tuple[str, str, str]:
    """The key set, issuer and audience: all of them, or none. A half would let other tokens in than was meant."""
    place, issuer, audience = given = tuple(
        environ.get(name, "") for name in ("ECIF_JWKS", "ECIF_JWT_ISSUER", "ECIF_JWT_AUDIENCE")
    )
    if any(given) and not all(given):
        raise SettingsError(
            "ECIF_JWKS, ECIF_JWT_ISSUER, ECIF_JWT_AUDIENCE: 须同时设置 set all of them, or none for local tokens"
        )
    if "://" in place:
        _check_url(place)
    elif place:
        place = _file(place)
    return place, issuer, audience


def _check_url(place: str) -> None:
    try:
        parts = urlsplit(place)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError("ECIF_JWKS: 应为文件路径或 https:// 地址 give the path of a file, or an https:// address")


def _file(place: str) -> str:
    path = Path(place).absolute()
    if not path.is_file():
        raise SettingsError("ECIF_JWKS: 没有这个文件 there is no such file")
    return str(path)


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
