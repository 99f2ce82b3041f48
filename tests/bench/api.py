"""The API under load: how long calls take, how many a second, and where the time goes. ``make api-bench``.

    python tests/bench/api.py [--customers 100000] [--seconds 8] [--runs 3] [--cache FOLDER]

The servers are processes of their own (``ecif serve``, and a bare FastAPI that reads one row, see servers.py), and so is the
load generator (callers.py). Measures are taken in turn, RUNS times, and their medians shown; ratios are of one run. The demo
bank that fills the database is kept in the cache folder (``ECIF_BENCH_CACHE``), so that the next time is quick. At the end
each kind of call is made one at a time against a watched server: what its statements take, and what remains.
Prints a table, and the same as one line of JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import httpx
import psutil
import psycopg

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from processes import PROGRAM, environment, free_port, postmasters, run, spawn, wait_for  # noqa: E402

from ecif.demo import words  # noqa: E402
from ecif.domain.checks import citizen_check_digit  # noqa: E402
from ecif.embedded import embedded_server  # noqa: E402

SERVERS = (sys.executable, str(HERE / "servers.py"))
RECORDS_PER_CUSTOMER = 2.12
"""Of the demo bank."""
READERS, WRITERS = 16, 8
READS, CHECKS, OPENS, NEW, UPDATES = "golden record", "existence check", "open", "upsert, new", "upsert, update"
BARE, BARE_ASYNC = "bare FastAPI, def", "bare FastAPI, async"
NEW_BY_TWO, UPDATES_BY_TWO = "new, two processes", "update, two processes"
BY_TWO = {NEW_BY_TWO: NEW, UPDATES_BY_TWO: UPDATES}
"""The same calls, to two ``ecif serve`` on one home, each with half of the callers: a process of Python has one core."""
CALLERS = {READS: READERS, CHECKS: READERS} | dict.fromkeys((OPENS, NEW, UPDATES, *BY_TWO), WRITERS)
CALL = "CALL"
"""The name under which a watched server counts whole calls."""
CALLS_MAX = 2_000
"""Requests that are prepared for a second of a measure."""
WATCHED_CALLS = 200
STATEMENTS_SHOWN = 8
WHOLE = ("per second", "not 2xx")
Request = tuple[str, str, Any]


@dataclass
class Measure:
    """What one kind of call did in one run; latencies in milliseconds, processor seconds by process."""

    calls: int
    seconds: float
    latencies: list[float]
    statuses: dict[str, int]
    processor: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.calls / self.seconds

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]

    @property
    def failed(self) -> int:
        return sum(n for status, n in self.statuses.items() if not status.startswith("2"))


@dataclass
class People:
    """Whom the calls are about: those whom the bank knows, and any number of new ones."""

    known: list[dict[str, Any]]
    rng: Random

    def new(self) -> dict[str, Any]:
        """Somebody of a district that does not exist."""
        rng = self.rng
        born = datetime(1950, 1, 1) + timedelta(days=rng.randrange(20_000))
        stem = f"{rng.choice(words.CITIES)[3]}99{born:%Y%m%d}{rng.randrange(1000):03d}"
        name = rng.choice(words.SURNAMES) + "".join(rng.sample(words.GIVEN, 2))
        return _party(name, stem + citizen_check_digit(stem), f"139{rng.randrange(10**8):08d}")

    def any(self) -> dict[str, Any]:
        """One whom the bank knows or somebody new, as often."""
        return self.rng.choice(self.known) if self.rng.random() < 0.5 else self.new()


def _party(name: str, number: str, phone: str) -> dict[str, Any]:
    return {
        "party_type": "PERSON",
        "name": name,
        "identifiers": [{"kind": "CITIZEN_ID", "number": number}],
        "phones": [phone],
    }


def known_people(home: Path) -> list[dict[str, Any]]:
    """The customers of the demo bank's core file whose numbers are whole."""
    (path,) = home.glob("demo-*/core.csv")
    with path.open(encoding="utf-8", errors="replace") as file:
        rows = [r for r in csv.DictReader(line.replace("\0", "") for line in file) if r.get("IDTYPE") == "10"]
    return [
        _party(r["CUSTNM"], r["IDNO"], r["MOBILE"])
        for r in rows
        if r["IDNO"]
        and len(r["IDNO"]) == 18
        and r["IDNO"].isascii()
        and (r["MOBILE"] or "").isdecimal()
        and r["CUSTNM"]
    ]


def customer_numbers(url: str, count: int) -> tuple[int, list[str]]:
    """How many customers there are, and some of them, in no order."""
    with psycopg.connect(url) as connection:
        (total,) = connection.execute("SELECT count(*) FROM party WHERE status <> 'MERGED'").fetchone() or (0,)
        rows = connection.execute(
            "SELECT customer_no FROM party WHERE status = 'ACTIVE' ORDER BY md5(customer_no) LIMIT %s", (count,)
        )
        return total, [no for (no,) in rows]


class Upserts:
    """New source records, and later word of the same ones."""

    def __init__(self, people: People) -> None:
        self.people, self.batch, self.clock = people, secrets.token_hex(4), datetime.now(UTC) - timedelta(days=1)
        self.written: list[tuple[str, dict[str, Any]]] = []

    def _put(self, path: str, party: dict[str, Any]) -> Request:
        self.clock += timedelta(milliseconds=1)
        return "PUT", path, party | {"business_time": f"{self.clock:%Y-%m-%dT%H:%M:%S.%fZ}"}

    def new(self) -> Iterator[Request]:
        while True:
            path, party = f"/v1/source-records/ebank/{self.batch}-{len(self.written)}", self.people.any()
            self.written.append((path, party))
            yield self._put(path, party)

    def updates(self) -> Iterator[Request]:
        """Each with another phone."""
        for path, party in self.written:
            yield self._put(path, party | {"phones": [f"138{self.people.rng.randrange(10**8):08d}"]})


def tree(process: psutil.Process) -> float:
    """The seconds of processor that a process and its children took."""
    took = 0.0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.Error):
            took += sum(one.cpu_times()[:2])
    return took


@dataclass
class Server:
    """A server, or several, and the database behind it."""

    ports: list[int]
    processes: list[psutil.Process]
    database: psutil.Process

    @property
    def url(self) -> str:
        """Where the first of them is."""
        return f"http://127.0.0.1:{self.ports[0]}"

    def __add__(self, other: Server) -> Server:
        return Server(self.ports + other.ports, self.processes + other.processes, self.database)

    def measure(self, headers: dict[str, str], requests: Iterable[Request], callers: int, seconds: str) -> Measure:
        """Lets the load generator loose on it."""
        lines = "".join(json.dumps(line) + "\n" for line in (headers, *requests))
        before = sum(map(tree, self.processes)), tree(self.database)
        ports = ",".join(map(str, self.ports))
        command = [sys.executable, str(HERE / "callers.py"), ports, str(callers), seconds]
        done = subprocess.run(command, input=lines, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"load generator: {done.stderr[-2000:]}")
        found = json.loads(done.stdout)
        used = {"callers": found.pop("processor")} | {
            "server": sum(map(tree, self.processes)) - before[0],
            "PostgreSQL": tree(self.database) - before[1],
        }
        return Measure(**found, processor=used)


@contextmanager
def serving(home: Path, *arguments: str, path: str, program: Sequence[str]) -> Iterator[Server]:
    """A server process that answers."""
    port = free_port()
    told = [port if a == "PORT" else a for a in arguments]
    with spawn(home, *told, program=program, ECIF_PORT=port) as process:
        wait_for(process, f"http://127.0.0.1:{port}{path}")
        (database,) = postmasters(home)
        yield Server([port], [psutil.Process(process.pid)], database)


def offered(server: Server) -> set[str]:
    """The calls that this version has."""
    paths = httpx.get(f"{server.url}/openapi.json", timeout=30).json()["paths"]
    found = {READS}
    found |= {CHECKS} if "/v1/customers:exists" in paths else set()
    found |= {OPENS} if "post" in paths["/v1/customers"] else set()
    found |= {NEW, UPDATES, *BY_TWO} if "/v1/source-records/{system}/{key}" in paths else set()
    return found


class Bench:
    """All servers on one filled home, and what they are asked."""

    def __init__(self, home: Path, headers: dict[str, str], seconds: float) -> None:
        self.home, self.headers, self.seconds = home, headers, seconds
        self.people = People(known_people(home), Random(secrets.randbits(64)))
        self.upserts = Upserts(self.people)
        with embedded_server(home) as url:
            self.customers, self.numbers = customer_numbers(url, 5_000)

    def _golden(self) -> Iterator[Request]:
        return (("GET", f"/v1/customers/{no}", None) for no in self.numbers)

    def _checks(self) -> Iterator[Request]:
        while True:
            yield "POST", "/v1/customers:exists", self.people.any() | {"mode": "STRICT"}

    def _opens(self) -> Iterator[Request]:
        while True:
            yield "POST", "/v1/customers", self.people.new() | {"on_exists": "return"}

    def requests(self, kind: str) -> Iterator[Request]:
        """What is asked; reads are few enough to begin again with the first."""
        kinds = {CHECKS: self._checks, OPENS: self._opens, NEW: self.upserts.new, UPDATES: self.upserts.updates}
        return kinds.get(BY_TWO.get(kind, kind), self._golden)()

    def measure(self, server: Server, kind: str, callers: int, seconds: float, most: int = 0) -> Measure:
        """One kind of call, for a time, or ``most`` times."""
        written = len(self.upserts.written)
        asked = islice(self.requests(kind), most or int(seconds * CALLS_MAX))
        again = "*" if kind in (READS, BARE, BARE_ASYNC) and not most else ""
        done = server.measure(self.headers, asked, callers, f"{seconds}{again}")
        if BY_TWO.get(kind, kind) == NEW:
            del self.upserts.written[written + done.calls :]  # was prepared, but not sent
        return done


def measures(bench: Bench, runs: int) -> dict[str, list[Measure]]:
    """Every kind of call, in turn, after a short warming up."""
    found: dict[str, list[Measure]] = {}
    bare = {BARE: "def", BARE_ASYNC: "async"}
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(
                serving(bench.home, kind, str(bench.home), "PORT", path="/v1/customers/0", program=SERVERS)
            )
            for name, kind in bare.items()
        }
        program, second = (
            stack.enter_context(serving(bench.home, "serve", path="/healthz", program=PROGRAM)) for _ in range(2)
        )
        servers |= dict.fromkeys(BY_TWO, program + second)
        kinds = [kind for kind in (BARE, BARE_ASYNC, *CALLERS) if kind in {*bare, *offered(program)}]
        for run, kind in ((run, kind) for run in range(runs + 1) for kind in kinds):
            server, seconds = servers.get(kind, program), bench.seconds if run else 1
            done = bench.measure(server, kind, CALLERS.get(kind, READERS), seconds)
            if run:
                found.setdefault(kind, []).append(done)
                print(f"  run {run}: {kind:20} {done.rate:7,.0f}/s", file=sys.stderr)
    return found


def watch(bench: Bench, kinds: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Where the time of single calls goes, one after the other."""
    with serving(bench.home, "watched", str(bench.home), "PORT", path="/healthz", program=SERVERS) as server:
        found = {}
        for kind in kinds:
            for most in (50, WATCHED_CALLS):  # the first ones warm up
                httpx.get(f"{server.url}/watched")
                bench.measure(server, kind, 1, 60, most)
            found[kind] = summary(httpx.get(f"{server.url}/watched").json())
        return found


def summary(spent: dict[str, tuple[int, float]]) -> dict[str, Any]:
    """What a call takes, how many statements it makes, and those that take most; milliseconds a call."""
    calls, seconds = spent.pop(CALL)
    asked, taken = (sum(found[n] for found in spent.values()) for n in (0, 1))
    longest = sorted(spent.items(), key=lambda item: -item[1][1])[:STATEMENTS_SHOWN]
    return {
        "ms": seconds / calls * 1000,
        "database": taken / seconds,
        "statements": asked / calls,
        "longest": [(sql, times / calls, took / calls * 1000) for sql, (times, took) in longest],
    }


def table(found: dict[str, list[Measure]]) -> dict[str, dict[str, float]]:
    """The medians of the runs; processor time in milliseconds a call."""
    rows = {}
    for kind, runs in found.items():
        rows[kind] = {
            "per second": median(m.rate for m in runs),
            "p50 ms": median(m.percentile(0.5) for m in runs),
            "p99 ms": median(m.percentile(0.99) for m in runs),
            "not 2xx": sum(m.failed for m in runs),
        } | {
            f"{name} ms": median(m.processor[name] / m.calls * 1000 for m in runs)
            for name in ("server", "PostgreSQL", "callers")
        }
    return rows


def ratios(found: dict[str, list[Measure]]) -> dict[str, float]:
    """The golden record against the bare endpoints: medians of the ratios within each run."""
    return {
        bare: median(ours.rate / theirs.rate for ours, theirs in zip(found[READS], found[bare], strict=True))
        for bare in (BARE, BARE_ASYNC)
    }


def show(rows: dict[str, dict[str, float]]) -> None:
    """Prints the table; the last three columns are processor time a call."""
    columns = list(rows[READS])
    print(f"{'':22}" + "".join(f"{name:>15}" for name in columns))
    for kind, row in rows.items():
        print(f"{kind:22}" + "".join(f"{row[name]:15,.{0 if name in WHOLE else 2}f}" for name in columns))


def show_watched(seen: dict[str, dict[str, Any]]) -> None:
    """Prints where the time of a single call goes."""
    for kind, told in seen.items():
        print(f"\n{kind}: {told['ms']:.2f} ms a call alone, {told['database']:.0%} of it in the database", end=", ")
        print(f"{told['statements']:.1f} statements, COMMIT and ROLLBACK among them")
        for sql, times, took in told["longest"]:
            print(f"  {took:6.2f} ms  {times:4.1f} ×  {sql}")


def fill(cache: Path, customers: int) -> Path:
    """The home of a bank of about so many customers, loaded if it is not there whole."""
    home = cache / f"home-{customers}"
    home.mkdir(parents=True, exist_ok=True)
    for folder in (cache, home):
        folder.chmod(0o755)
    loaded = [*PROGRAM, "demo", "--records", str(int(customers * RECORDS_PER_CUSTOMER))]
    for command in (loaded, [*PROGRAM, "rebuild"], loaded):  # what another version filled has to be rebuilt
        if subprocess.run(command, env=environment(home)).returncode == 0 and command is loaded:
            return home
    raise SystemExit(f"{home}: 无法装载演示银行 the demo bank cannot be loaded; remove the folder to begin anew")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=8, help="of one measure")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=os.environ.get("ECIF_BENCH_CACHE") or "/var/tmp/ecif-api-bench")
    asked = parser.parse_args()
    home = fill(asked.cache, asked.customers)
    headers = {"Authorization": f"Bearer {run(home, 'token').stdout.strip()}"}
    bench = Bench(home, headers, asked.seconds)
    found = measures(bench, asked.runs)
    rows, against = table(found), ratios(found)
    print(
        f"\n{bench.customers:,} customers, {READERS} callers that read, {WRITERS} that write; medians of {asked.runs} runs"
    )
    show(rows)
    for bare, ratio in against.items():
        print(f"golden record: {ratio:.2f} × {bare}")
    seen = watch(bench, [kind for kind in CALLERS if kind in found and kind not in BY_TWO])
    show_watched(seen)
    print(
        json.dumps(
            {"customers": bench.customers, "ratios": against, "medians": rows, "watched": seen}, ensure_ascii=False
        )
    )


if __name__ == "__main__":
    main()
