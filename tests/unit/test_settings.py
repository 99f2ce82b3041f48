"""Settings: which are taken, and which are refused with a sentence in two languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ecif.settings import Settings, SettingsError

ISSUED = {"ECIF_JWT_ISSUER": "https://issuer.bank.example", "ECIF_JWT_AUDIENCE": "ecif"}


def test_a_key_set_is_a_file_or_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("keys.json").touch()
    assert Settings.from_env(ISSUED | {"ECIF_JWKS": "keys.json"}).jwks == str(tmp_path / "keys.json")
    for url in ("https://issuer.bank.example/keys", "http://127.0.0.1:8080/keys"):
        found = Settings.from_env(ISSUED | {"ECIF_JWKS": url})
        assert (found.jwks, found.jwt_issuer, found.jwt_audience) == (url, *ISSUED.values())
        assert url not in repr(found)  # it may hold a password
    assert Settings.from_env({"ECIF_JWKS": "", "ECIF_JWT_ISSUER": ""}).jwks == ""


@pytest.mark.parametrize("left_out", ["ECIF_JWKS", *ISSUED])
@pytest.mark.parametrize("empty", [True, False])
def test_key_set_issuer_and_audience_go_together(left_out: str, empty: bool) -> None:
    given = ISSUED | {"ECIF_JWKS": "https://issuer.bank.example/keys"}
    with pytest.raises(SettingsError) as error:
        Settings.from_env(given | {left_out: ""} if empty else {n: v for n, v in given.items() if n != left_out})
    assert all(name in str(error.value) for name in given)


@pytest.mark.parametrize(
    "place",
    ["no-such-file", ".", "ftp://host/keys", "file:///etc/passwd", "https://", "https://:s3cret@/", "http://h:x/"],
)
def test_a_key_set_that_cannot_be_had(place: str) -> None:
    with pytest.raises(SettingsError, match="ECIF_JWKS") as error:
        Settings.from_env(ISSUED | {"ECIF_JWKS": place})
    said = str(error.value)
    assert re.search("[一-鿿]", said) and "s3cret" not in said
