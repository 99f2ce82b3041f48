"""Bearer tokens (JWT): who calls, and what he may do. Made and read with the local key, or read with a key set (``jwks``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from time import monotonic, time
from typing import Any, NamedTuple, Protocol

from jose import JWTError, jwk, jwt
from jose.backends.base import Key

ISSUER = "ecif-local"
AUDIENCE = "ecif"
SCOPES: dict[str, str] = {
    "customers:read": "read golden records, masked 读取统一视图 (脱敏)",
    "customers:check": "check whether a customer exists 客户存在性检查",
    "customers:open": "open customers 客户开立",
    "customers:write": "change, close and reactivate customers 修改客户, 客户销户与重新激活",
    "changes:approve": "approve or refuse changes that others prepared 复核他人提交的变更申请",
    "merges:read": "preview merges, splits and undoes, read operations and judgements 预览合并拆分, 查看归并操作与人工裁决",
    "merges:write": "judge records, ask for merges, splits and undoes 人工裁决, 申请合并, 拆分与撤销",
    "merges:approve": "approve or refuse merges, splits and undoes that others asked for 复核他人申请的合并, 拆分与撤销",
    "reviews:read": "read the queue of merge reviews 查看疑似合并审核队列",
    "reviews:write": "claim, comment and decide merge reviews 认领, 备注与裁决疑似合并审核",
    "records:write": "send source records 上送源记录",
    "events:read": "read change events 读取变更事件",
    "accounts:read": "read the accounts index 读取账户索引",
    "pii:clear": "see clear values of every class, with a stated purpose 查看全部明文 (须说明用途)",
    "pii:clear:identity": "see clear names, identifiers and birth dates, with a stated purpose 查看身份明文 (须说明用途)",
    "pii:clear:contact": "see clear phones, e-mails and addresses, with a stated purpose 查看联系方式明文 (须说明用途)",
    "pii:clear:account": "see clear account numbers, with a stated purpose 查看账号明文 (须说明用途)",
}
FIELD_CLASSES = frozenset({"identity", "contact", "account"})
EVERY = "*"
"""In a list of systems or channels: all of them."""

LEEWAY_S = 30
"""By how much the issuer's clock may differ from ours."""
TOKEN_LENGTH_MAX = 8192
SUBJECT_LENGTH_MAX = 200
HOURS_MAX = 24 * 7
"""A local token lasts a week at most."""
REMEMBER_S = 60
"""For how long a token that held is believed without looking again, though never after it expired."""
REMEMBERED_MAX = 1024

_LOCAL_ALGORITHM = "HS256"
_CHECKS = {f"require_{claim}": True for claim in ("aud", "exp", "iss", "sub")} | {"leeway": LEEWAY_S}
_FAULTS = (JWTError, TypeError, ValueError, OverflowError, RecursionError)
"""What python-jose raises on hostile tokens: more than it says."""


class TokenError(Exception):
    """A token that does not hold."""


class KeysAway(Exception):
    """The keys cannot be had now, so that nobody can tell whether the token holds."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what he may do.

    Attributes:
        systems: the source systems whose records he may write; ``*`` is every one.
        channels: the channels in whose name he may act; ``*`` is every one.
    """

    subject: str
    scopes: frozenset[str]
    systems: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()

    def may_write(self, system: str) -> bool:
        """Whether he may write records of a source system."""
        return not self.systems.isdisjoint((system, EVERY))

    def may_act_for(self, channel: str) -> bool:
        """Whether he may act in the name of a channel."""
        return not self.channels.isdisjoint((channel, EVERY))

    def clears(self) -> frozenset[str]:
        """The field classes whose clear values he may see, if he says what for."""
        if "pii:clear" in self.scopes:
            return FIELD_CLASSES
        return frozenset(name for name in FIELD_CLASSES if f"pii:clear:{name}" in self.scopes)


class PinnedKey(NamedTuple):
    """A key and the one algorithm it is for: what a token says of its algorithm chooses nothing."""

    algorithm: str
    key: Key


class Keys(Protocol):
    """Where the keys are that tokens are verified with."""

    async def find(self, kid: object) -> PinnedKey:
        """The key that a token names.

        Raises:
            TokenError: there is no such key.
            KeysAway: it cannot be told.
        """


class LocalKey:
    """The key of this installation, for development: it is the only one, whatever a token names."""

    def __init__(self, secret: bytes) -> None:
        self._key = PinnedKey(_LOCAL_ALGORITHM, jwk.construct(secret.hex(), _LOCAL_ALGORITHM))

    async def find(self, kid: object) -> PinnedKey:
        """The key."""
        return self._key


class Verifier:
    """Reads tokens of one issuer for one audience. It lives in the event loop of the server, so that it needs no locks.

    A token that holds is remembered, by its digest: most calls verify no signature. One whose key was withdrawn is
    refused ``REMEMBER_S`` after the key is gone at the latest.
    """

    def __init__(self, keys: Keys, issuer: str, audience: str, clock: Callable[[], float] = monotonic) -> None:
        self._keys, self._issuer, self._audience, self._clock = keys, issuer, audience, clock
        self._remembered: dict[bytes, tuple[Caller, float]] = {}

    @classmethod
    def local(cls, secret: bytes) -> Verifier:
        """Of the tokens that ``issue_token`` makes."""
        return cls(LocalKey(secret), ISSUER, AUDIENCE)

    async def caller(self, token: str) -> Caller:
        """The caller whom a token names.

        Raises:
            TokenError: another key or algorithm, not for us, expired, not valid yet, or no token at all.
            KeysAway: it cannot be told now.
        """
        if len(token) > TOKEN_LENGTH_MAX:
            raise TokenError
        digest = blake2b(token.encode(), digest_size=16).digest()
        who, until = self._remembered.get(digest, (None, 0.0))
        if who and self._clock() < until:
            return who
        claims = await self._claims(token)
        who = _caller(claims)
        self._remember(digest, who, int(claims["exp"]) + LEEWAY_S - int(time()))
        return who

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            if "crit" in header:  # extensions that have to be understood (RFC 7515, 4.1.11): none is
                raise TokenError
            algorithm, key = await self._keys.find(header.get("kid"))
            return jwt.decode(token, key, [algorithm], _CHECKS, audience=self._audience, issuer=self._issuer)
        except _FAULTS as error:
            raise TokenError from error

    def _remember(self, digest: bytes, who: Caller, valid_s: int) -> None:
        self._remembered.pop(digest, None)
        if len(self._remembered) >= REMEMBERED_MAX:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[digest] = who, self._clock() + min(REMEMBER_S, valid_s)


def _caller(claims: dict[str, Any]) -> Caller:
    subject: str = claims["sub"]
    if not is_subject(subject):
        raise TokenError
    return Caller(subject, *(_words(claims.get(name, "")) for name in ("scope", "systems", "channels")))


def is_subject(text: str) -> bool:
    """Whether a caller can be named so: it is kept with every change."""
    return 0 < len(text) <= SUBJECT_LENGTH_MAX and text.isprintable()


def _words(claim: object) -> frozenset[str]:
    """Issuers write lists as arrays, or as one text with blanks between (RFC 8693, 4.2)."""
    words = claim.split() if isinstance(claim, str) else claim
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise TokenError
    return frozenset(words)


def issue_token(
    secret: bytes,
    *,
    subject: str,
    scopes: Iterable[str],
    now: datetime,
    hours: int = 12,
    systems: Iterable[str] = (EVERY,),
    channels: Iterable[str] = (EVERY,),
) -> str:
    """A token signed with the local key."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject,
        "scope": " ".join(scopes),
        "systems": list(systems),
        "channels": list(channels),
        "iat": now,
        "nbf": now,
        "exp": now + timedelta(hours=hours),
    }
    return jwt.encode(claims, secret.hex(), algorithm=_LOCAL_ALGORITHM)
