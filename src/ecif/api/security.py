"""Who calls, and which scope a route needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.base import SecurityBase

from ecif.api.problems import Problem
from ecif.api.tokens import Caller, KeysAway, TokenError, Verifier

bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="`ecif token` prints a local one")


async def caller(request: Request, given: HTTPAuthorizationCredentials | None = Depends(bearer)) -> Caller:
    """The caller of a request.

    Raises:
        Problem: 401, no token or one that does not hold; 503, it cannot be told now.
    """
    if given is None:
        raise Problem.of("ECIF-5001", 401)
    verifier: Verifier = request.app.state.verifier
    try:
        return await verifier.caller(given.credentials)
    except TokenError as error:
        raise Problem.of("ECIF-5002", 401) from error
    except KeysAway as error:
        raise Problem.of("ECIF-9004", 503) from error


def needs(scope: str) -> Callable[[Caller], Awaitable[Caller]]:
    """A dependency that lets only callers with the scope through."""

    async def check(who: Caller = Depends(caller)) -> Caller:
        if scope not in who.scopes:
            raise Problem.of("ECIF-5003", 403, detail=scope)
        return who

    return check


class Scoped(SecurityBase):
    """Lets only callers with the scope through. One dependency instead of three, which FastAPI resolves one by one."""

    model, scheme_name = bearer.model, bearer.scheme_name

    def __init__(self, scope: str) -> None:
        self._check = needs(scope)

    async def __call__(self, request: Request) -> Caller:
        """The caller.

        Raises:
            Problem: 401, 403, he may not.
        """
        return await self._check(await caller(request, await bearer(request)))
