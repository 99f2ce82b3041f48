"""Bearer tokens (JWT) and what they allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from jose import JWTError, jwt

from ecif.api.problems import Problem

ALGORITHM = "HS256"
"""Pinned: a token that names another algorithm is refused."""
ISSUER = "ecif-local"
AUDIENCE = "ecif"
SCOPES: dict[str, str] = {
    "customers:read": "read golden records, masked 读取统一视图 (脱敏)",
    "accounts:read": "read the accounts index 读取账户索引",
    "pii:clear": "see clear values, with a stated purpose 查看明文 (须说明用途)",
}

_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="`ecif token` prints a local one")


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


def caller(request: Request, given: HTTPAuthorizationCredentials | None = Depends(_bearer)) -> Caller:
    """The caller of a request.

    Raises:
        Problem: 401, no token or one that does not hold.
    """
    if given is None:
        raise Problem.of("ECIF-5001", 401)
    try:
        secret = request.app.state.token_secret.hex()
        options = {"require_exp": True, "require_aud": True, "require_iss": True, "require_sub": True}
        claims = jwt.decode(
            given.credentials, secret, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER, options=options
        )
    except JWTError as error:
        raise Problem.of("ECIF-5002", 401) from error
    return Caller(str(claims["sub"]), frozenset(str(claims.get("scope", "")).split()))


def needs(scope: str) -> Callable[[Caller], Caller]:
    """A dependency that lets only callers with the scope through."""

    def check(who: Caller = Depends(caller)) -> Caller:
        if scope not in who.scopes:
            raise Problem.of("ECIF-5003", 403, detail=scope)
        return who

    return check
