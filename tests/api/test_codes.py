"""Code tables over HTTP: for whoever has a token, and kept by callers until the program changes."""

from __future__ import annotations

from served import Api

from ecif.api.routers.codes import TABLES


def test_all_tables_and_each(api: Api) -> None:
    body = api.get("/v1/codes", scopes=()).json()
    assert body["tables"].keys() == TABLES.keys()
    for name, rows in body["tables"].items():
        assert api.get(f"/v1/codes/{name}", scopes=()).json() == {"table": name, "items": rows}


def test_a_caller_keeps_them(api: Api) -> None:
    for path in ("/v1/codes", "/v1/codes/identifier_kinds"):
        first = api.get(path)
        assert first.headers["Cache-Control"] == "private, max-age=3600"
        tag = first.headers["ETag"]
        for known in (tag, f'"other", W/{tag}'):
            again = api.get(path, headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
        assert api.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_who_has_no_token_and_tables_that_are_not_there(api: Api) -> None:
    nobody, nowhere = api.client.get("/v1/codes"), api.get("/v1/codes/shoe_sizes")
    assert (nobody.status_code, nobody.json()["code"]) == (401, "ECIF-5001")
    assert (nowhere.status_code, nowhere.json()["code"]) == (422, "ECIF-1001")
    assert all(name in nowhere.json()["errors"][0]["message_en"] for name in TABLES)
