"""The people and organisations of the demo bank, before any system has written them down."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from random import Random

from stdnum.cn import uscc as uscc_check
from stdnum.iso7064 import mod_11_2

from ecif.demo import words
from ecif.domain.checks import check_org_code


@dataclass(frozen=True)
class Entity:
    """One identity, as it truly is."""

    id: str
    person: bool
    name: str
    number: str
    number_kind: str
    birth: date
    male: bool
    mobile: str
    address: tuple[str, str, str, str, str, int, int, int]
    employer: str = ""
    job: str = ""
    email: str = ""
    legal_name: str = ""
    legal_number: str = ""
    tags: tuple[str, ...] = field(default=())


def citizen_number(rng: Random, born: date, male: bool) -> str:
    """A number with a right check digit in a district that nobody has (…99)."""
    city = rng.choice(words.CITIES)[3]
    stem = f"{city}99{born:%Y%m%d}{rng.randrange(100):02d}{2 * rng.randrange(5) + male}"
    return stem + str(mod_11_2.calc_check_digit(stem))


def mobile(rng: Random) -> str:
    """Of the ordinary ranges."""
    return f"1{rng.choice((3, 5, 8))}{rng.randrange(10**9):09d}"


def address(rng: Random) -> tuple[str, str, str, str, str, int, int, int]:
    """Province, city, district, road with number, estate, building, unit, room."""
    province, city, district, _ = rng.choice(words.CITIES)
    road = f"{rng.choice(words.ROADS)}路{rng.randrange(1, 400)}号"
    room = rng.randrange(1, 31) * 100 + rng.randrange(1, 5)
    return province, city, district, road, rng.choice(words.ESTATES), rng.randrange(1, 31), rng.randrange(1, 5), room


def person(rng: Random, serial: int, *, surname: str = "") -> Entity:
    """Somebody, with everything a bank would ask."""
    born = date(1940, 1, 1) + timedelta(days=rng.randrange(25_500))
    male = rng.random() < 0.5
    kind, name, number = "CITIZEN_ID", "", citizen_number(rng, born, male)
    roll = rng.random()
    if roll < 0.01:
        name = f"{rng.choice(words.UYGHUR)}·{rng.choice(words.UYGHUR)}"
    elif roll < 0.02:
        kind, name = "PASSPORT", rng.choice(words.LATIN)
        number = f"{rng.choice('EGPX')}{rng.randrange(10**8):08d}"
    else:
        family = surname or (rng.choice(words.COMPOUND) if rng.random() < 0.01 else rng.choice(words.SURNAMES))
        name = family + "".join(rng.choice(words.GIVEN) for _ in range(1 if rng.random() < 0.2 else 2))
    return Entity(
        f"P{serial:08d}", True, name, number, kind, born, male, mobile(rng), address(rng),
        employer=company_name(rng) if rng.random() < 0.6 else "无",
        job=rng.choice(words.JOBS),
        email=f"u{rng.randrange(10**7)}@{rng.choice(words.MAIL)}" if rng.random() < 0.4 else "",
    )  # fmt: skip


def company_name(rng: Random) -> str:
    """In four parts."""
    trade = rng.choice(words.TRADES) + rng.choice(words.TRADES) + rng.choice(words.GIVEN)
    return f"{rng.choice(words.CITIES)[1]}{trade}{rng.choice(words.INDUSTRIES)}{rng.choice(words.FORMS)}"


def unified_code(rng: Random, category: str = "91") -> str:
    """A USCC with right check digits, of a district that nobody has."""
    body = f"{rng.randrange(10**8):08d}"
    org = next(body + c for c in "0123456789X" if check_org_code(body + c))
    stem = f"{category}{rng.choice(words.CITIES)[3]}99{org}"
    return stem + str(uscc_check.calc_check_digit(stem))


def organization(rng: Random, serial: int, head: Entity) -> Entity:
    """A company, or a shop of the person who heads it."""
    shop = rng.random() < 0.2
    city = rng.choice(words.CITIES)
    name = f"{city[1]}{city[2]}{head.name[-2:]}{rng.choice(words.SHOPS)}" if shop else company_name(rng)
    return Entity(
        f"O{serial:08d}", False, name, unified_code(rng, "92" if shop else "91"), "USCC",
        date(1995, 1, 1) + timedelta(days=rng.randrange(11_000)), True, head.mobile if shop else mobile(rng), address(rng),
        legal_name=head.name, legal_number=head.number, tags=("shop",) if shop else ("co",),
    )  # fmt: skip


def twin(rng: Random, serial: int, of: Entity) -> Entity:
    """Same day, same home, the parents' phone; a number beside and a name that sounds alike."""
    stem = of.number[:14] + f"{(int(of.number[14:17]) + 2) % 1000:03d}"
    last = of.name[-1]
    name = of.name[:-1] + words.HOMOPHONES.get(last, "文" if last != "文" else "武")
    return replace(
        of, id=f"P{serial:08d}", name=name, number=stem + str(mod_11_2.calc_check_digit(stem)), tags=("twin",)
    )


def namesake(rng: Random, serial: int, of: Entity) -> Entity:
    """Same name, same birthday, another person."""
    number = citizen_number(rng, of.birth, of.male)
    found = person(rng, serial)
    return replace(
        found, name=of.name, number=number, number_kind="CITIZEN_ID", birth=of.birth, male=of.male, tags=("namesake",)
    )


def branch(rng: Random, serial: int, of: Entity) -> Entity:
    """A branch: its own code, its parent's name."""
    name = f"{of.name}{rng.choice(words.CITIES)[1]}分公司"
    code = unified_code(rng)
    return replace(
        of, id=f"O{serial:08d}", name=name, number=code, mobile=mobile(rng), address=address(rng), tags=("branch",)
    )


def child(rng: Random, serial: int, of: Entity) -> Entity:
    """A child on a parent's phone, in a parent's home."""
    grown = person(rng, serial, surname=of.name[0])
    return replace(grown, mobile=of.mobile, address=of.address, tags=("shared_phone",))
