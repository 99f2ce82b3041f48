"""Bearer tokens (JWT): made with the local key, and read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from jose import JWTError, jwt

ALGORITHM = "HS256"
"""Pinned: a token that names another algorithm is refused."""
ISSUER = "ecif-local"
AUDIENCE = "ecif"
SCOPES: dict[str, str] = {
    "customers:read": "read golden records, masked 读取统一视图 (脱敏)",
    "accounts:read": "read the accounts index 读取账户索引",
    "events:read": "read change events 读取变更事件",
    "pii:clear": "see clear values, with a stated purpose 查看明文 (须说明用途)",
}
_REQUIRED = {f"require_{claim}": True for claim in ("aud", "exp", "iss", "sub")}


class TokenError(Exception):
    """A token that does not hold."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what he may do."""

    subject: str
    scopes: frozenset[str]


def issue_token(secret: bytes, *, subject: str, scopes: list[str], now: datetime, hours: int = 12) -> str:
    """A token signed with the local key."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject,
        "scope": " ".join(scopes),
        "iat": now,
        "nbf": now,
        "exp": now + timedelta(hours=hours),
    }
    return str(jwt.encode(claims, secret.hex(), algorithm=ALGORITHM))


def read_token(secret: bytes, token: str) -> Caller:
    """The caller whom a token names.

    Raises:
        TokenError: another key or algorithm, not for us, expired, not valid yet, or no token at all.
    """
    try:
        claims = jwt.decode(
            token, secret.hex(), algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER, options=_REQUIRED
        )
    except JWTError as error:
        raise TokenError from error
    return Caller(str(claims["sub"]), frozenset(str(claims.get("scope", "")).split()))
