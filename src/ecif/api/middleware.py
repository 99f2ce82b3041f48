"""What every call goes through: a name, a place among the calls in flight, and a body that is bounded and JSON."""

from __future__ import annotations

import logging
import re
from asyncio import timeout
from collections.abc import AsyncIterator
from time import perf_counter
from typing import Any
from uuid import uuid4

import orjson
from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ecif.api.metrics import Meters, route_of
from ecif.api.problems import Problem, answer

CALLS_MAX = 128
"""Calls in flight. More are refused at once: they would only wait for a thread, longer than their callers wait for them."""
PROBES = ("/healthz", "/readyz", "/metrics")
"""Not counted, so that a service that is busy still says that it lives."""
BODY_BYTES_MAX = 1024 * 1024
DISCARDED_BYTES_MAX = 8 * BODY_BYTES_MAX
"""Of a body that is too large this much is read and dropped: a caller who is cut off while he sends sees no answer."""
BODY_S = 10
"""Until a body must have arrived."""
DEPTH_MAX = 32
"""Arrays and objects inside each other."""
MEDIA_TYPES = ("application/json", "application/merge-patch+json")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_CLOSE = {"Connection": "close"}
"""To a caller of whom more may come, so that nobody reads on for ever."""

_log = logging.getLogger("ecif.api")


def front(app: ASGIApp, meters: Meters) -> ASGIApp:
    """The application behind all of it."""
    return _Named(_Counted(_Bodies(app), meters), meters)


class _Named:
    """Gives every call its name and, whatever happens, an answer, which it measures; tells of those that failed."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app, self._meters = app, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request, begun, status = Request(scope), perf_counter(), 0
        given = request.headers.get("X-Request-Id", "")
        request.state.request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request.state.request_id
            await send(message)

        try:
            await self._app(scope, receive, named)
        except ClientDisconnect:
            return None
        except Exception as error:
            response = answer(request, error)
            if not status:
                await response(scope, receive, named)
        seconds = perf_counter() - begun
        self._meters.observe(scope, status, seconds)
        if status >= 500:
            _tell(request, status, seconds)
        return None


def _tell(request: Request, status: int, seconds: float) -> None:
    """One line for a call that failed: its route, but neither path, query, header nor body, which name people."""
    line = {
        "request_id": request.state.request_id,
        "method": request.method,
        "route": route_of(request.scope),
        "status": status,
        "code": request.state.code,
        "ms": round(seconds * 1000),
        "fault": getattr(request.state, "fault", ""),
    }
    _log.error("%s", orjson.dumps(line).decode())


class _Counted:
    """Refuses calls when too many are in flight."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app, self._meters = app, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            return await self._app(scope, receive, send)
        if self._meters.calls_in_flight >= CALLS_MAX:
            raise Problem.of("ECIF-9003", 503)
        self._meters.calls_in_flight += 1
        try:
            return await self._app(scope, receive, send)
        finally:
            self._meters.calls_in_flight -= 1


class _Bodies:
    """Reads a body before anything is done with it, so that a slow one holds no connection of the database."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        if headers.get("Content-Length", "0") == "0" and "Transfer-Encoding" not in headers:
            return await self._app(scope, receive, send)
        if int(headers.get("Content-Length", 0)) > DISCARDED_BYTES_MAX:
            raise Problem.of("ECIF-1005", 413, headers=_CLOSE)
        body = await _read(receive)
        _check_type(headers)
        _check_json(body)
        rest: list[Message] = [{"type": "http.request", "body": body}]

        async def again() -> Message:
            return rest.pop() if rest else await receive()

        return await self._app(scope, again, send)


def _check_type(headers: Headers) -> None:
    media, _, options = headers.get("Content-Type", "").lower().partition(";")
    if media.strip() not in MEDIA_TYPES or ("charset" in options and "utf-8" not in options):
        raise Problem.of("ECIF-1006", 415)


async def _read(receive: Receive) -> bytes:
    """A whole body.

    Raises:
        Problem: it is too large, or does not come in time.
        ClientDisconnect: nobody is there any more.
    """
    parts: list[bytes] = []
    size = 0
    try:
        async with timeout(BODY_S):
            async for part in _parts(receive):
                size += len(part)
                if size <= BODY_BYTES_MAX:
                    parts.append(part)
                elif size > DISCARDED_BYTES_MAX:
                    raise Problem.of("ECIF-1005", 413, headers=_CLOSE)
    except TimeoutError:
        raise Problem.of("ECIF-1008", 408, headers=_CLOSE) from None
    if size > BODY_BYTES_MAX:
        raise Problem.of("ECIF-1005", 413)
    return b"".join(parts)


async def _parts(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        yield message.get("body", b"")
        more = message.get("more_body", False)


def _check_json(body: bytes) -> None:
    """Strict, where the framework is not: no NaN, no half of a character, no nest that overflows a stack."""
    try:
        if not _deeper_than(DEPTH_MAX, orjson.loads(body)):
            return
    except orjson.JSONDecodeError:
        pass
    raise Problem.of("ECIF-1007", 400)


def _deeper_than(most: int, value: Any) -> bool:
    level = [value]
    for _ in range(most + 1):
        nests = [nest for nest in level if isinstance(nest, dict | list)]
        level = [inner for nest in nests for inner in (nest.values() if isinstance(nest, dict) else nest)]
    return bool(nests)
