"""Tokens of the bank's own issuer: which hold, which do not, and what becomes of them when keys change or are away."""

from __future__ import annotations

import asyncio
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import repeat
from pathlib import Path
from time import monotonic, sleep, time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from issuer import AUDIENCE, ISSUER, KeyServer, SigningKey, claims, document, ec_key, key_server, rsa_key
from jose import jwk, jwt

from ecif.api import tokens
from ecif.api.jwks import BODY_BYTES_MAX, FETCH_S, KEEP_S, REFRESH_S, RETRY_S, Jwks, key_set
from ecif.api.tokens import (
    FIELD_CLASSES,
    LEEWAY_S,
    REMEMBER_S,
    REMEMBERED_MAX,
    SCOPES,
    SUBJECT_LENGTH_MAX,
    TOKEN_LENGTH_MAX,
    Caller,
    KeysAway,
    TokenError,
    Verifier,
    issue_token,
)

SECRET = b"s" * 32
TELLER = Caller("teller-app", frozenset({"customers:read"}), frozenset({"ebank"}), frozenset({"COUNTER", "MOBILE"}))


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """A verifier on a key server, with a clock of their own."""

    def __init__(self, server: KeyServer) -> None:
        self.server, self.clock = server, Clock()
        self.verifier = Verifier(Jwks.at(server.url, self.clock), ISSUER, AUDIENCE, self.clock)

    def read(self, *given: str) -> list[Caller | type[Exception]]:
        """What becomes of tokens that come at once."""
        return asyncio.run(_all(self.verifier, given))


async def _all(verifier: Verifier, given: tuple[str, ...]) -> list[Caller | type[Exception]]:
    found = await asyncio.gather(*map(verifier.caller, given), return_exceptions=True)
    return [type(one) if isinstance(one, Exception) else one for one in found]  # type: ignore[misc]


@pytest.fixture
def desk() -> Iterator[Desk]:
    """With an RSA and an EC key."""
    with key_server(rsa_key(), ec_key()) as server:
        yield Desk(server)


def test_tokens_of_both_algorithms_hold(desk: Desk, tmp_path: Path) -> None:
    given = (rsa_key().sign(), ec_key().sign())
    assert desk.read(*given) == [TELLER, TELLER]
    assert desk.server.asked == 1
    file = tmp_path / "keys.json"
    file.write_bytes(document(rsa_key(), ec_key()))
    assert asyncio.run(_all(Verifier(Jwks.at(str(file)), ISSUER, AUDIENCE), given)) == [TELLER, TELLER]


def part(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=lambda d: int(d.timestamp()))
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def unsigned(**header: Any) -> str:
    return f"{part(header)}.{part(claims())}."


def with_secret(secret: str, kid: str = "rsa") -> str:
    """Signed by one who takes the public key for the secret of an HMAC."""
    head = f"{part({'alg': 'HS256', 'kid': kid})}.{part(claims())}"
    signature = hmac.new(secret.encode(), head.encode(), "sha256").digest()
    return f"{head}.{urlsafe_b64encode(signature).decode().rstrip('=')}"


def public_pem() -> str:
    return str(jwk.construct(rsa_key().public(), "RS256").to_pem().decode())


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)  # noqa: TID251


BAD: dict[str, Callable[[], str]] = {
    "none": lambda: unsigned(alg="none", kid="rsa"),
    "no algorithm": lambda: unsigned(kid="rsa"),
    "a list of algorithms": lambda: unsigned(alg=["RS256"], kid="rsa"),
    "the public key as a secret": lambda: with_secret(public_pem()),
    "the entry of the key as a secret": lambda: with_secret(json.dumps(rsa_key().public())),
    "an empty secret": lambda: with_secret(""),
    "the local key": lambda: issue_token(SECRET, subject="x", scopes=SCOPES, now=soon(0)),
    "another algorithm of the same key": lambda: SigningKey("rsa", "RS512").sign(),
    "the name of a key of another type": lambda: ec_key().sign(headers={"kid": "rsa"}),
    "the name of another key": lambda: rsa_key("other").sign(headers={"kid": "rsa"}),
    "an unknown name": lambda: rsa_key("other").sign(),
    "no name": lambda: rsa_key().sign(headers={"kid": None}),
    "a list of names": lambda: rsa_key().sign(headers={"kid": ["rsa"]}),
    "a number for a name": lambda: rsa_key().sign(headers={"kid": 1}),
    "a key of its own": lambda: rsa_key("other").sign(headers={"kid": "rsa", "jwk": rsa_key("other").public()}),
    "an extension that must be understood": lambda: rsa_key().sign(headers={"crit": ["b64"], "b64": True}),
    "another issuer": lambda: rsa_key().sign(iss="https://issuer.other.example"),
    "no issuer": lambda: rsa_key().sign(iss=None),
    "another audience": lambda: rsa_key().sign(aud=["payments"]),
    "no audience": lambda: rsa_key().sign(aud=None),
    "expired": lambda: rsa_key().sign(exp=soon(-LEEWAY_S - 5)),
    "never expires": lambda: rsa_key().sign(exp=None),
    "expires beyond numbers": lambda: rsa_key().sign(exp=float("inf")),
    "expires when?": lambda: rsa_key().sign(exp=[1]),
    "not yet valid": lambda: rsa_key().sign(nbf=soon(LEEWAY_S + 5)),
    "nobody": lambda: rsa_key().sign(sub=None),
    "an empty name": lambda: rsa_key().sign(sub=""),
    "a number for a caller": lambda: rsa_key().sign(sub=7),
    "a caller that no table holds": lambda: rsa_key().sign(sub="x\x00"),
    "a caller that has no end": lambda: rsa_key().sign(sub="x" * (SUBJECT_LENGTH_MAX + 1)),
    "scopes that are none": lambda: rsa_key().sign(scope={"customers:read": True}),
    "systems that are none": lambda: rsa_key().sign(systems=[1]),
    "channels that are none": lambda: rsa_key().sign(channels=7),
    "too long": lambda: rsa_key().sign(more="x" * TOKEN_LENGTH_MAX),
    "nested without end": lambda: f"{part('[' * 5000)}.{part('{}')}.x",
    "a blank": lambda: " ",
    "points": lambda: "...",
    "not ASCII": lambda: "令.牌.é\udcff".encode("utf-8", "replace").decode(),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_token_that_does_not_hold(desk: Desk, kind: str) -> None:
    made = BAD[kind]()
    assert desk.read(made) == [TokenError]
    assert desk.read(rsa_key().sign(), made) == [TELLER, TokenError]


def test_clocks_may_differ_a_little(desk: Desk) -> None:
    made = (rsa_key().sign(exp=soon(5 - LEEWAY_S)), rsa_key().sign(nbf=soon(LEEWAY_S - 5)))
    assert desk.read(*made) == [TELLER, TELLER]


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=60) | st.lists(st.text('abcdefghijk{}[]":,=-_+/é令', max_size=30), max_size=4).map(".".join))
def test_garbage_holds_nowhere(garbage: str) -> None:
    verifiers = (Verifier.local(SECRET), Verifier(Jwks.at("/no/such/file"), ISSUER, AUDIENCE))
    for verifier in verifiers:
        (found,) = asyncio.run(_all(verifier, (garbage.encode("utf-8", "replace").decode(),)))
        assert found is TokenError


JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=9), lambda s: st.lists(s, max_size=3))


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jku"]), JSON | st.just("HS256")),
       st.dictionaries(st.sampled_from(["iss", "aud", "sub", "exp", "nbf", "iat", "jti", "scope", "systems"]), JSON))  # fmt: skip
def test_odd_claims_of_a_good_signature_never_are_a_fault(header: dict[str, Any], odd: dict[str, Any]) -> None:
    good = {"iss": "ecif-local", "aud": "ecif", "sub": "x", "exp": int(time()) + 60}
    made = jwt.encode(good | odd, SECRET.hex(), algorithm="HS256", headers=header)
    (found,) = asyncio.run(_all(Verifier.local(SECRET), (made,)))
    assert found is TokenError or isinstance(found, Caller)


def test_only_public_keys_of_signatures_are_taken() -> None:
    passed_over = [
        rsa_key("a").public(use="enc"),
        rsa_key("b").public(key_ops=["sign"]),
        rsa_key("c").public(key_ops="verify"),
        rsa_key("d").public(alg="RS512"),
        rsa_key("e").public(alg="HS256"),
        rsa_key("f").public(n=None),
        rsa_key("g").public(n=7),
        rsa_key("h").public(e="AQ"),
        rsa_key("").public(),
        rsa_key("i").public(kid=None),
        rsa_key("j").public(kid=["j"]),
        rsa_key("k").public(kty="EC"),
        SigningKey("l", "RS256", "1024").public(),
        SigningKey("m", "ES384", "P-384").public(alg="ES256"),
        SigningKey("n", "ES384", "P-384").public(alg=None),
        ec_key("o").public(y=ec_key("o").public()["x"]),
        {"kty": "oct", "kid": "p", "alg": "HS256", "k": "c2VjcmV0"},
        {"kty": ["RSA"], "kid": "q"},
        {},
    ]
    taken = [rsa_key().public(alg=None, use="sig", key_ops=["verify"]), ec_key().public(alg=None)]
    found = key_set(json.dumps({"keys": [*passed_over, "text", None, *taken]}).encode())
    assert {name: key.algorithm for name, key in found.items()} == {"rsa": "RS256", "ec": "ES256"}


def test_a_private_key_that_was_published_leaves_its_public_half() -> None:
    leaked = rsa_key().private.to_dict() | {"kid": "rsa"}
    assert "d" in leaked and key_set(json.dumps({"keys": [leaked]}).encode())["rsa"].key.is_public()


def test_a_new_key_is_found_by_its_name(desk: Desk) -> None:
    assert desk.read(rsa_key().sign()) == [TELLER]
    desk.server.publish(rsa_key(), rsa_key("new"))
    desk.clock.now += RETRY_S
    assert desk.read(*[rsa_key("new").sign()] * 20, rsa_key().sign(jti="again")) == [TELLER] * 21
    assert desk.server.asked == 2


def test_names_that_nobody_knows_do_not_hammer_the_server(desk: Desk) -> None:
    for turn in range(3):
        for number in range(30):
            strangers = [rsa_key("other").sign(headers={"kid": f"{turn}-{number}-{n}"}) for n in range(3)]
            assert desk.read(*strangers) == [TokenError] * 3
        assert desk.server.asked == turn + 1
        desk.clock.now += RETRY_S


def test_a_withdrawn_key_is_refused_in_time(desk: Desk) -> None:
    made = rsa_key().sign()
    assert desk.read(made) == [TELLER]
    desk.server.publish(ec_key())
    desk.clock.now += REFRESH_S - 1
    assert desk.read(rsa_key().sign(jti="another")) == [TELLER]  # remembered from now
    desk.clock.now += REMEMBER_S
    assert desk.read(rsa_key().sign(jti="another"), made) == [TokenError] * 2
    assert desk.read(ec_key().sign()) == [TELLER]


def test_after_a_quiet_time_nobody_is_let_in_by_old_keys(desk: Desk) -> None:
    assert desk.read(rsa_key().sign()) == [TELLER]
    desk.server.publish(ec_key())
    desk.clock.now += KEEP_S - 1
    assert desk.read(*(rsa_key().sign(jti=str(n)) for n in range(8))) == [TokenError] * 8


def test_the_last_good_keys_go_on_for_a_while(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    serial = iter(range(99))

    def known() -> str:
        return rsa_key().sign(jti=str(next(serial)))

    assert desk.read(known()) == [TELLER]
    desk.server.status = 503
    for wait in (REFRESH_S, RETRY_S - 1, 1, KEEP_S - REFRESH_S - RETRY_S - 1):
        desk.clock.now += wait
        assert desk.read(known(), rsa_key("new").sign()) == [TELLER, KeysAway]
    desk.clock.now += 1
    assert desk.read(known(), rsa_key("new").sign()) == [KeysAway] * 2
    assert set(caplog.messages) == {"the key set cannot be read: ValueError"}
    desk.server.status = 200
    desk.clock.now += RETRY_S
    assert desk.read(known(), rsa_key("new").sign()) == [TELLER, TokenError]


def test_while_keys_are_away_known_names_do_not_wait(desk: Desk) -> None:
    assert desk.read(rsa_key().sign()) == [TELLER]
    desk.server.status = 503
    desk.clock.now += REFRESH_S
    desk.read(rsa_key().sign(jti="finds out"))
    desk.server.status, desk.server.parts = 200, slowly(b" ")
    desk.clock.now += RETRY_S
    began = monotonic()
    assert desk.read(rsa_key().sign(jti="does not wait")) == [TELLER]
    assert monotonic() - began < FETCH_S / 2


def slowly(piece: bytes) -> Iterator[bytes]:
    for one in repeat(piece, int(FETCH_S * 20)):
        sleep(0.1)
        yield one


MISBEHAVIOUR: dict[str, dict[str, Any]] = {
    "a fault": {"status": 500},
    "a redirect to elsewhere": {"status": 302},
    "no JSON": {"body": b"<html>"},
    "no key set": {"body": b"[]"},
    "keys that are no list": {"body": b'{"keys": {}}'},
    "nested without end": {"body": b"[" * 10_000},
    "too long": {"body": b" " * BODY_BYTES_MAX + b'{"keys": []}'},
    "compressed": {"headers": {"Content-Encoding": "gzip"}, "body": b"\x1f\x8b"},
    "without end": {"parts": repeat(b" " * 1000)},
    "one byte at a time": {"parts": slowly(b" ")},
}


@pytest.mark.parametrize("kind", MISBEHAVIOUR)
def test_a_server_that_misbehaves_is_away(desk: Desk, kind: str) -> None:
    for name, value in MISBEHAVIOUR[kind].items():
        setattr(desk.server, name, value)
    with key_server(rsa_key()) as elsewhere:
        if desk.server.status == 302:
            desk.server.headers["Location"] = elsewhere.url
        began = monotonic()
        assert desk.read(*[rsa_key().sign()] * 5) == [KeysAway] * 5
        assert monotonic() - began < FETCH_S + 2
        assert (desk.server.asked, elsewhere.asked) == (1, 0)


def test_a_server_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    verifier = Verifier(Jwks.at("http://user:s3cret@127.0.0.1:9/keys"), ISSUER, AUDIENCE)
    made = rsa_key().sign()
    assert asyncio.run(_all(verifier, (made,))) == [KeysAway]
    said = caplog.text + repr(verifier) + repr(vars(verifier))
    assert "ConnectError" in said and "s3cret" not in said and made.split(".")[2] not in said


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file, clock = tmp_path / "keys.json", Clock()
    verifier = Verifier(Jwks.at(str(file), clock), ISSUER, AUDIENCE, clock)

    def read() -> list[Caller | type[Exception]]:
        clock.now += REMEMBER_S
        return asyncio.run(_all(verifier, (rsa_key().sign(), ec_key().sign())))

    assert read() == [KeysAway] * 2
    file.write_bytes(document(rsa_key()))
    assert read() == [TELLER, TokenError]
    file.write_bytes(document(ec_key()))
    assert read() == [TokenError, TELLER]
    file.write_bytes(document(ec_key())[:-5])
    assert read() == [KeysAway, TELLER]
    clock.now += KEEP_S
    assert read() == [KeysAway] * 2
    file.write_bytes(document(rsa_key(), ec_key()))
    assert read() == [TELLER] * 2


def test_a_remembered_token_expires_all_the_same() -> None:
    verifier = Verifier.local(SECRET)
    made = issue_token(SECRET, subject="x", scopes=(), now=soon(2 - LEEWAY_S - 3600), hours=1)
    assert isinstance(asyncio.run(_all(verifier, (made,)))[0], Caller)
    sleep(3.1)
    assert asyncio.run(_all(verifier, (made,))) == [TokenError]


def test_few_tokens_are_remembered_and_none_of_them_kept() -> None:
    verifier = Verifier.local(SECRET)
    made = tuple(issue_token(SECRET, subject=f"caller-{n}", scopes=(), now=soon(0)) for n in range(REMEMBERED_MAX + 9))
    found = asyncio.run(_all(verifier, made))
    assert [who.subject for who in found] == [f"caller-{n}" for n in range(len(made))]  # type: ignore[union-attr]
    remembered = verifier._remembered
    assert len(remembered) == REMEMBERED_MAX and all(len(digest) == 16 for digest in remembered)
    assert asyncio.run(_all(verifier, made[:9])) == found[:9]


def test_no_secret_is_in_a_repr() -> None:
    verifier = Verifier.local(SECRET)
    asyncio.run(_all(verifier, (issue_token(SECRET, subject="x", scopes=(), now=soon(0)),)))
    key = asyncio.run(verifier._keys.find(None))
    said = repr(verifier) + repr(vars(verifier)) + repr(key) + repr(vars(verifier._keys))
    assert SECRET.hex() not in said and str(SECRET) not in said


def test_what_a_caller_may_do() -> None:
    for everywhere in (["*"], "*", ["core", "*"]):
        made = issue_token(SECRET, subject="x", scopes=(), now=soon(0), systems=everywhere, channels=everywhere)
        (who,) = asyncio.run(_all(Verifier.local(SECRET), (made,)))
        assert isinstance(who, Caller) and who.may_write("card") and who.may_act_for("COUNTER")
    assert TELLER.may_write("ebank") and not TELLER.may_write("core") and not TELLER.may_write("ebank COUNTER")
    assert TELLER.may_act_for("MOBILE") and not TELLER.may_act_for("ebank")
    nobody = Caller("x", frozenset())
    assert not (nobody.may_write("core") or nobody.may_act_for("COUNTER") or nobody.may_write(""))


def test_which_field_classes_a_caller_sees_clear() -> None:
    def clears(*scopes: str) -> frozenset[str]:
        return Caller("x", frozenset(scopes)).clears()

    assert clears("customers:read", "accounts:read") == frozenset()
    assert clears("pii:clear") == FIELD_CLASSES == clears(*(s for s in SCOPES if s.startswith("pii:clear:")))
    assert clears("pii:clear:contact") == {"contact"} and clears("pii:clear:everything") == frozenset()
    assert {f"pii:clear:{name}" for name in FIELD_CLASSES} | {"pii:clear"} == {s for s in SCOPES if s.startswith("pii")}


def test_times_fit_together() -> None:
    assert FETCH_S < RETRY_S < REFRESH_S < KEEP_S and tokens.LEEWAY_S <= REMEMBER_S <= REFRESH_S
