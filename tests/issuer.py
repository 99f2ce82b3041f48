"""The bank's own token issuer: keys that sign, and the server or file where their public halves are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jose import jwk, jwt
from jose.backends.base import Key

ISSUER, AUDIENCE = "https://issuer.bank.example", "ecif-test"


@lru_cache(maxsize=32)
def _private(kind: str, serial: str) -> str:
    curves = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}
    made: PrivateKeyTypes = (
        ec.generate_private_key(curves[kind]) if kind in curves else rsa.generate_private_key(65537, int(kind))
    )
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@lru_cache(maxsize=64)
def _signer(kind: str, serial: str, algorithm: str) -> Key:
    return jwk.construct(_private(kind, serial), algorithm)


@dataclass(frozen=True)
class SigningKey:
    """A key by its name; the same name is the same key in all tests of a process."""

    kid: str
    algorithm: str = "RS256"
    kind: str = "2048"

    @property
    def private(self) -> Key:
        return _signer(self.kind, self.kid, self.algorithm)

    def public(self, **changes: Any) -> dict[str, Any]:
        """Its entry in the key set."""
        made = self.private.public_key().to_dict()
        return {name: value for name, value in (made | {"kid": self.kid} | changes).items() if value is not None}

    def sign(self, headers: dict[str, Any] | None = None, **changes: Any) -> str:
        """A token; claims and headers that are None are left out."""
        named = {name: value for name, value in ({"kid": self.kid} | (headers or {})).items() if value is not None}
        return jwt.encode(claims(**changes), self.private, algorithm=self.algorithm, headers=named)


def claims(**changes: Any) -> dict[str, Any]:
    """What a good token says, unless told otherwise."""
    now = datetime.now(UTC)  # noqa: TID251
    made: dict[str, Any] = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "teller-app", "scope": "customers:read", "systems": ["ebank"],
        "channels": ["COUNTER", "MOBILE"], "nbf": now, "exp": now + timedelta(hours=1),
    }  # fmt: skip
    return {name: value for name, value in (made | changes).items() if value is not None}


def rsa_key(kid: str = "rsa") -> SigningKey:
    return SigningKey(kid)


def ec_key(kid: str = "ec") -> SigningKey:
    return SigningKey(kid, "ES256", "P-256")


def document(*keys: SigningKey | dict[str, Any]) -> bytes:
    """A key set."""
    return json.dumps({"keys": [key.public() if isinstance(key, SigningKey) else key for key in keys]}).encode()


@dataclass
class KeyServer:
    """A server of one document, which may be changed, and how it misbehaves."""

    body: bytes
    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    parts: Iterator[bytes] | None = None
    asked: int = 0

    def publish(self, *keys: SigningKey | dict[str, Any]) -> None:
        self.body = document(*keys)


@contextmanager
def key_server(*keys: SigningKey | dict[str, Any]) -> Iterator[KeyServer]:
    """A running server with these keys."""
    state = KeyServer(document(*keys))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked += 1
            self.send_response(state.status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for part in state.parts or [state.body]:
                    self.wfile.write(part)
                    self.wfile.flush()
            except OSError:
                pass  # who asked has gone

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/keys"
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
