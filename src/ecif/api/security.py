"""Who calls, and which scope a route needs."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ecif.api.problems import Problem
from ecif.api.tokens import Caller, TokenError, read_token

_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="`ecif token` prints a local one")


def caller(request: Request, given: HTTPAuthorizationCredentials | None = Depends(_bearer)) -> Caller:
    """The caller of a request.

    Raises:
        Problem: 401, no token or one that does not hold.
    """
    if given is None:
        raise Problem.of("ECIF-5001", 401)
    try:
        return read_token(request.app.state.token_secret, given.credentials)
    except TokenError as error:
        raise Problem.of("ECIF-5002", 401) from error


def needs(scope: str) -> Callable[[Caller], Caller]:
    """A dependency that lets only callers with the scope through."""

    def check(who: Caller = Depends(caller)) -> Caller:
        if scope not in who.scopes:
            raise Problem.of("ECIF-5003", 403, detail=scope)
        return who

    return check
