"""A key set (JWKS, RFC 7517) of the bank's own token issuer, in a file or behind a URL: read, refreshed, rotated, lost.

Keys are public ones: RSA of 2,048 bits and more for RS256, P-256 for ES256; others, and secrets, are passed over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import orjson
from jose import JWSError, jwk
from jose.exceptions import JWKError
from jose.utils import base64_to_long

from ecif.api.tokens import KeysAway, PinnedKey, TokenError

REFRESH_S = 300
"""How old the keys of a URL get: a withdrawn key is refused after this and ``tokens.REMEMBER_S``."""
RETRY_S = 10
"""A URL is asked no more often than this, whatever keys tokens name."""
KEEP_S = 3600
"""For how long the last good keys go on when no new ones can be had."""
FETCH_S = 3
"""The longest that one reading takes; shorter than ``RETRY_S``."""
BODY_BYTES_MAX = 65_536
RSA_BITS_MIN = 2048

_KINDS = {"RSA": ("RS256", ("kty", "n", "e")), "EC": ("ES256", ("kty", "crv", "x", "y"))}
"""By key type: its algorithm, and the members that make the public key."""
_FAULTS = (httpx.HTTPError, OSError, ValueError)

_log = logging.getLogger("ecif.api")


class Jwks:
    """Keys by their names. All callers who need a new set wait for one reading.

    Args:
        read: gives the document.
        refresh_s, retry_s: as ``REFRESH_S`` and ``RETRY_S``.
        clock: seconds, from wherever.
    """

    def __init__(
        self, read: Callable[[], Awaitable[bytes]], refresh_s: float, retry_s: float, clock: Callable[[], float]
    ) -> None:
        self._read, self._refresh_s, self._retry_s, self._clock = read, refresh_s, retry_s, clock
        self._keys: dict[str, PinnedKey] = {}
        self._good_at = self._tried_at = -inf
        self._away = False
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    def at(cls, place: str, clock: Callable[[], float] = monotonic) -> Jwks:
        """The set in a file or behind a URL. A file costs little: it is read for every token that is not remembered."""
        if is_url(place):
            trust = httpx.create_ssl_context()
            return cls(lambda: _fetch(place, trust), REFRESH_S, RETRY_S, clock)
        return cls(lambda: _open(Path(place)), 0, 0, clock)

    async def find(self, kid: object) -> PinnedKey:
        """The key of a name. While the set is away, known names do not wait for it.

        Raises:
            TokenError: the set has no such key.
            KeysAway: it may have, but cannot be read. Not a 401, at which callers would throw good tokens away.
        """
        if not isinstance(kid, str):
            raise TokenError
        if self._reading is None and self._is_due(kid):
            self._reading = asyncio.create_task(self._renew())
        if self._reading and not (self._away and self._held(kid)):
            await asyncio.shield(self._reading)  # it is others' too
        key = self._held(kid)
        if key is None:
            raise KeysAway if self._away else TokenError
        return key

    def _is_due(self, kid: str) -> bool:
        now = self._clock()
        wanted = kid not in self._keys or now - self._good_at >= self._refresh_s
        return wanted and now - self._tried_at >= self._retry_s

    def _held(self, kid: str) -> PinnedKey | None:
        return self._keys.get(kid) if self._clock() - self._good_at < KEEP_S else None

    async def _renew(self) -> None:
        self._tried_at = self._clock()
        try:
            self._keys = key_set(await self._read())
        except _FAULTS as error:  # its text may hold a password of the URL
            self._away = True
            _log.warning("the key set cannot be read: %s", type(error).__name__)
        else:
            self._good_at, self._away = self._tried_at, False
        finally:
            self._reading = None


def is_url(place: str) -> bool:
    """Whether a key set is behind a URL; else it is in a file."""
    return place.startswith(("http://", "https://"))


async def _open(path: Path) -> bytes:
    with path.open("rb") as file:
        return _bounded(file.read(BODY_BYTES_MAX + 1))


async def _fetch(url: str, trust: Any) -> bytes:
    """What a URL answers itself: a redirect is a fault, and so is an answer that takes too long or has no end."""
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with (
        asyncio.timeout(FETCH_S),
        httpx.AsyncClient(verify=trust, follow_redirects=False) as client,
        client.stream("GET", url, headers=headers) as answer,
    ):
        if answer.status_code != httpx.codes.OK:
            raise ValueError("no key set")
        body = b""
        async for part in answer.aiter_raw():
            body = _bounded(body + part)
        return body


def _bounded(body: bytes) -> bytes:
    if len(body) > BODY_BYTES_MAX:
        raise ValueError("too long for a key set")
    return body


def key_set(document: bytes) -> dict[str, PinnedKey]:
    """The keys of a document that can be used, by name.

    Raises:
        ValueError: it is no key set.
    """
    found = orjson.loads(document)
    if not isinstance(found, dict) or not isinstance(found.get("keys"), list):
        raise ValueError("no key set")
    keys = ((entry.get("kid"), _pinned(entry)) for entry in found["keys"] if isinstance(entry, dict))
    return {kid: key for kid, key in keys if key and kid and isinstance(kid, str)}


def _pinned(entry: dict[str, Any]) -> PinnedKey | None:
    algorithm, members = _KINDS.get(str(entry.get("kty")), ("", ()))
    if not (algorithm and entry.get("alg", algorithm) == algorithm and _is_for_signatures(entry)):
        return None
    try:
        public = {member: entry[member] for member in members}
        strong = public.get("crv") == "P-256" or base64_to_long(public["n"]).bit_length() >= RSA_BITS_MIN
        return PinnedKey(algorithm, jwk.construct(public, algorithm)) if strong else None
    except (JWKError, JWSError, LookupError, TypeError, ValueError):
        return None


def _is_for_signatures(entry: dict[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    return entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
