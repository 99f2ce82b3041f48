"""The online service at bad moments: many callers open the same people while a file brings them too, and a killed server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from time import sleep
from typing import Any

import httpx
import pytest
from people import citizen
from processes import PLAIN, free_port, person, run, spawn, wait_for, write_source

pytestmark = pytest.mark.slow

ROUNDS, PEOPLE, CALLERS, OPENS = 20, 20, 64, 4
CHANNELS = ("COUNTER", "EBANK", "MOBILE", "PHONE", "WECHAT", "API")
TRADITIONAL = str.maketrans("张刘陈赵黄吴孙马罗郑", "張劉陳趙黃吳孫馬羅鄭")
GIVEN = "明华国强丽娟建军秀英志伟春梅海燕文杰兰芳云鹏涛超"


@contextmanager
def service(home: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The served program, as a process of its own: its URL, and the header of a caller who may do everything."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with spawn(home, "serve", ECIF_PORT=port) as server:
        wait_for(server, f"{url}/readyz")
        yield url, {"Authorization": f"Bearer {run(home, 'token').stdout.strip()}"}


def crowd(rng: Random, turn: int) -> list[tuple[str, str]]:
    """Names and numbers of people nobody has seen."""
    return [
        (
            f"{rng.choice('张刘陈赵黄吴孙马罗郑')}{rng.choice(GIVEN)}{rng.choice(GIVEN)}",
            citizen(rng.randrange(100, 999), f"19{60 + turn}{1 + n % 12:02d}{1 + n:02d}", f"{11 + turn % 5}0199"),
        )
        for n in range(PEOPLE)
    ]


def typed(rng: Random, name: str, number: str) -> tuple[str, str]:
    """The same person, as another clerk types him."""
    number = rng.choice(
        (
            number,
            number.lower(),
            "".join(chr(ord(c) + 0xFEE0) for c in number),
            f"{number[:6]} {number[6:14]} {number[14:]}",
            number[:6] + number[8:17],
        )
    )
    return rng.choice((name, name.translate(TRADITIONAL), f" {name[0]} {name[1:]}　")), number


def opening(rng: Random, name: str, number: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Body and headers of an opening with all that a counter states."""
    name, number = typed(rng, name, number)
    body = {
        "party_type": "PERSON",
        "name": name,
        "identifiers": [{"kind": "CITIZEN_ID", "number": number, "valid_to": "2035-01-01"}],
        "nationality": "CHN",
        "occupation": "教师",
        "addresses": ["广东省深圳市南山区人民路9号"],
        "phones": [f"137{rng.randrange(10**8):08d}"],
        "on_exists": "return",
    }
    return body, {"X-Channel": rng.choice(CHANNELS)}


def test_the_same_people_by_every_channel_and_by_a_file_get_one_number_each(home: Path, tmp_path: Path) -> None:
    rng = Random(20)
    with service(home) as (url, token):
        for turn in range(ROUNDS):
            people = crowd(rng, turn)
            rows = (person(f"{turn * 100 + n}", name, number) for n, (name, number) in enumerate(people))
            file = write_source(tmp_path / f"core{turn}.csv", "core", *rows)
            given = one_round(rng, people, url, token, home, file)
            assert {status for status, _, _ in given} <= {200, 201}, given
            numbers = {(n, no) for _, n, no in given}
            assert len(numbers) == len({no for _, no in numbers}) == PEOPLE, sorted(numbers)


def one_round(
    rng: Random, people: list[tuple[str, str]], url: str, token: dict[str, str], home: Path, file: Path
) -> list[tuple[int, int, str]]:
    """Everybody at once: status, whose opening it was, and the number he was given."""
    begin = threading.Barrier(CALLERS + 1)

    def caller(seed: int) -> list[tuple[int, int, str]]:
        rng, given = Random(seed), []
        with httpx.Client(base_url=url, headers=token, timeout=60, verify=PLAIN) as client:
            begin.wait()
            for n in ((seed + k * 7) % PEOPLE for k in range(OPENS)):
                body, headers = opening(rng, *people[n])
                answer = client.post("/v1/customers", json=body, headers=headers)
                given.append((answer.status_code, n, answer.json().get("customer_no", answer.text)))
        return given

    with ThreadPoolExecutor(CALLERS) as pool:
        callers = [pool.submit(caller, rng.randrange(10**9) // PEOPLE * PEOPLE + k) for k in range(CALLERS)]
        with spawn(home, "load", "--core", file) as load:
            sleep(rng.uniform(0.8, 1.6))  # until it is about to write
            begin.wait()
            answers = [answer for caller in callers for answer in caller.result()]
            out, err = load.communicate(timeout=60)
            assert load.returncode == 0, (out, err)
    return answers


def test_a_killed_server_opens_each_person_once(home: Path) -> None:
    """The client tries again with the same key until it is answered; nobody is opened twice, and no answer changes."""
    rng, count = Random(9), 500
    people = [
        (f"张{GIVEN[n % 20]}{GIVEN[n // 25]}", citizen(n % 500 + 100, "19800101", f"4403{99 - n // 450}"))
        for n in range(count)
    ]
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    token = {"Authorization": f"Bearer {run(home, 'token').stdout.strip()}"}
    heard: dict[int, set[str]] = {n: set() for n in range(count)}

    def ask(n: int) -> None:
        name, number = people[n]
        body = {"party_type": "PERSON", "name": name, "identifiers": [{"kind": "CITIZEN_ID", "number": number}]}
        while True:
            with suppress(httpx.HTTPError):
                keyed = token | {"Idempotency-Key": f"open-{n}"}
                answer = httpx.post(f"{url}/v1/customers", json=body, headers=keyed, timeout=20, verify=PLAIN)
                if answer.status_code != 503:
                    assert answer.status_code == 201, answer.text
                    heard[n].add(answer.text)
                    return
            sleep(0.1)

    with ThreadPoolExecutor(16) as pool:
        asked = None
        for kills in range(4):
            with spawn(home, "serve", ECIF_PORT=port) as server:
                wait_for(server, f"{url}/healthz")
                asked = asked or [pool.submit(ask, n) for n in range(count)]
                if kills == 3:
                    for done in asked:
                        done.result()
                    for n in range(0, count, 7):
                        ask(n)
                else:
                    sleep(rng.uniform(0.3, 1.2))
                    server.kill()
                    server.wait()
    assert all(len(said) == 1 for said in heard.values())
    numbers = {answer.split('"customer_no":"')[1][:12] for said in heard.values() for answer in said}
    assert len(numbers) == count
    links = run(home, "export-links", home / "links.csv")
    assert links.returncode == 0
    rows = (home / "links.csv").read_text().splitlines()[1:]
    assert len(rows) == count and len({row.rpartition(",")[2] for row in rows}) == count
