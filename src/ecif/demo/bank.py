"""Writes the demo bank: each identity in one to five records of four systems, each record with its share of dirt."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

from ecif.demo import entities, words
from ecif.demo.entities import Entity
from ecif.domain.han import readings

HEADERS = {
    "core": (
        "CIFNO,CUSTTYPE,CUSTNM,ENGNM,IDTYPE,IDNO,IDEXPDT,SEX,BIRDT,NATION,MOBILE,TELNO,ADDR,REGADDR,POSTCD,EMPLOYER,OCCUP,"
        "EMAIL,LEGALNM,LEGALIDTP,LEGALID,ORGCODE,TAXNO,OPNBR,OPNDAT,LASTUPD,STATUS,ACCTS"
    ),
    "loan": (
        "CUSTOMERID,CUSTOMERTYPE,CUSTOMERNAME,CERTTYPE,CERTID,SEX,BIRTHDAY,COUNTRY,MOBILETELEPHONE,FAMILYTEL,WORKTEL,"
        "FAMILYADD,NATIVEADD,WORKCORP,OCCUPATION,EDUEXPERIENCE,MARRIAGE,SPOUSENAME,SPOUSECERTID,EMAILADD,FICTITIOUSPERSON,"
        "FICTITIOUSPERSONID,CORPID,TAXNO,REGISTERADD,INPUTDATE,UPDATEDATE,STATUS,ACCOUNTS"
    ),
    "card": (
        "CUST_NO,CUST_CLASS,CN_NAME,EMBOSS_NAME,ID_TYPE,ID_NUM,GENDER,DOB,NATIONALITY,MOBILE_NO,HOME_TEL,OFFICE_TEL,"
        "HOME_ADDR,OFFICE_ADDR,COMPANY,POSITION,EMAIL,OPEN_DT,UPD_DT,STATUS,CARDS"
    ),
    "ebank": (
        "USER_ID,CUST_KIND,REAL_NAME,NAME_PY,CERT_TYPE,CERT_NO,GENDER,BIRTH,LOGIN_MOBILE,LOGIN_EMAIL,CONTACT_ADDR,"
        "CORP_USCC,LEGAL_NAME,REG_TIME,UPD_TIME,STATUS,ACCTS"
    ),
}
KINDS = {
    "core": {"CITIZEN_ID": "10", "PASSPORT": "12", "USCC": "21"},
    "loan": {"CITIZEN_ID": "Ind01", "PASSPORT": "Ind03", "USCC": "Ent01"},
    "card": {"CITIZEN_ID": "I", "PASSPORT": "P", "USCC": "U"},
    "ebank": {"CITIZEN_ID": "0", "PASSPORT": "2", "USCC": "A"},
}
DIRT = {
    "no number": 0.04, "placeholder number": 0.015, "15 digits": 0.02, "mistyped number": 0.01, "full width": 0.01,
    "lower x": 0.3, "no birth date": 0.08, "no phone": 0.05, "placeholder phone": 0.02, "other phone": 0.12,
    "moved": 0.1, "no address": 0.08, "traditional": 0.02, "homophone": 0.005, "masked": 0.05, "invisible": 0.01,
    "form": 0.1, "wrong gender": 0.02,
}  # fmt: skip
"""How often each slip happens to a record."""
SHARE = {"core": 1.0, "loan": 0.2, "card": 0.38, "ebank": 0.5}
"""How many of the customers each system knows."""
_FIRST, _LAST = date(2008, 1, 1), date(2026, 6, 30)


class _Slips:
    """Draws the dirt of one record."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng

    def __call__(self, name: str) -> bool:
        return self.rng.random() < DIRT[name]

    def number(self, entity: Entity) -> str:
        rng, number = self.rng, entity.number
        if self("no number"):
            return ""
        if self("placeholder number"):
            return rng.choice(("无", "111111111111111111", "123456789012345678", "NULL"))
        if (
            entity.number_kind == "CITIZEN_ID"
            and entity.birth.year < 1985
            and number[6:8] == "19"
            and self("15 digits")
        ):
            return number[:6] + number[8:17]
        if self("mistyped number"):
            place = rng.randrange(4, len(number) - 1)
            return (
                number[:place]
                + str((int(number[place]) + 1) % 10 if number[place].isdigit() else 1)
                + number[place + 1 :]
            )
        if self("full width"):
            return "".join(chr(ord(c) + 0xFEE0) for c in number)
        return number.lower() if self("lower x") else number

    def name(self, entity: Entity) -> str:
        name = entity.name
        if not entity.person:
            if self("form"):
                name = name.replace("有限责任公司", "有限公司")
            return name.replace("市", "", 1) if self("form") else name
        if self("traditional"):
            return "".join(words.TRADITIONAL.get(c, c) for c in name)
        if self("homophone"):
            return name[:-1] + words.HOMOPHONES.get(name[-1], name[-1])
        return f"{name[0]} {name[1:]}" if self("invisible") else name

    def phone(self, entity: Entity) -> str:
        if self("no phone"):
            return ""
        if self("placeholder phone"):
            return self.rng.choice(("13800000000", "18888888888", "无"))
        number = entities.mobile(self.rng) if self("other phone") else entity.mobile
        return self.rng.choice((number, number, number, f"+86{number}", f"{number[:3]}-{number[3:7]}-{number[7:]}"))

    def address(self, entity: Entity) -> str:
        if self("no address"):
            return self.rng.choice(("", "同上", "不详"))
        province, city, district, road, estate, building, unit, room = (
            entities.address(self.rng) if self("moved") else entity.address
        )
        head = self.rng.choice((f"{province}{city}{district}", f"{city}{district}", f"{province[:2]}{city}{district}"))
        return head + self.rng.choice(
            (
                f"{road}{estate}{building}栋{unit}单元{room}室",
                f"{road}{estate}{building}-{unit}-{room}",
                f"{estate}{building}幢{room}室({road})",
                f"{road}{estate}{building}#{room}",
            )
        )

    def birth(self, entity: Entity) -> date | None:
        if self("no birth date"):
            return date(1900, 1, 1) if self.rng.random() < 0.4 else None
        return entity.birth

    def male(self, entity: Entity) -> bool:
        return entity.male != self("wrong gender")

    def noise(self, text: str) -> str:
        if text and self("invisible"):
            place = self.rng.randrange(len(text) + 1)
            return text[:place] + self.rng.choice("\u200b\ufeff\u3000\x1a") + text[place:]
        return text


def generate(folder: Path, *, records: int = 22_000, seed: int = 20_260_101) -> int:
    """Writes ``core.csv``, ``loan.csv``, ``card.csv``, ``ebank.csv``, ``truth.csv`` and ``entities.csv``.

    Returns:
        The number of rows in the four source files, rejected ones included: about ``records``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = Random(seed)
    files = {name: (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") for name in HEADERS}
    writers = {name: csv.writer(file, lineterminator="\r\n") for name, file in files.items()}
    for name, header in HEADERS.items():
        writers[name].writerow(header.split(","))
    truth: list[tuple[str, str, str]] = []
    kinds: list[tuple[str, str, str]] = []
    for entity in _entities(rng, records):
        kinds.append((entity.id, entity.id[0], ";".join(entity.tags)))
        for system in _systems(rng):
            serial = len(truth)
            row = ROWS[system](rng, _Slips(rng), entity, serial)
            writers[system].writerow(row)
            truth.append((system, str(row[0]), entity.id))
        if len(truth) >= records:
            break
    bad = _bad_rows(files["core"])
    for file in files.values():
        file.close()
    _write(folder / "entities.csv", ("entity_id", "kind", "tags"), kinds)
    _write(folder / "truth.csv", ("source", "source_key", "entity_id"), truth)
    return len(truth) + bad


def _write(path: Path, header: tuple[str, ...], rows: list[tuple[str, str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def _bad_rows(core: Any) -> int:
    """Rows that must be rejected, so that the reject store has something to show."""
    width = HEADERS["core"].count(",")
    core.write("," * width + "\r\n")  # no key
    core.write("10999999901,7,张三" + "," * (width - 2) + "\r\n")  # unknown party type
    core.write("10999999902,1,李四\r\n")  # ragged
    core.write("10999999903,1,王\x00五" + "," * (width - 2) + "\r\n")  # NUL byte
    return 4


def _entities(rng: Random, most: int) -> Iterator[Entity]:
    """People, and every now and then a twin, a namesake, a child, a company, its branch."""
    for serial in range(0, 10 * most, 10):
        one = entities.person(rng, serial)
        yield one
        roll = rng.random()
        if one.number_kind == "CITIZEN_ID" and roll < 0.012:
            yield (entities.twin if roll < 0.006 else entities.namesake)(rng, serial + 1, one)
        elif roll < 0.05:
            yield entities.child(rng, serial + 2, one)
        elif roll < 0.17:
            firm = entities.organization(rng, serial + 3, one)
            yield firm
            if rng.random() < 0.1:
                yield entities.branch(rng, serial + 4, firm)


def _systems(rng: Random) -> list[str]:
    found = [name for name, share in SHARE.items() if rng.random() < share]
    return [*found, "core"] if rng.random() < 0.06 else found


def _dates(rng: Random) -> tuple[date, date]:
    opened = _FIRST + timedelta(days=rng.randrange((_LAST - _FIRST).days))
    return opened, opened + timedelta(days=rng.randrange((_LAST - opened).days + 1))


def _latin(rng: Random, entity: Entity) -> str:
    if not entity.person or any(c.isascii() for c in entity.name):
        return entity.name if entity.name.isascii() else ""
    if "·" in entity.name or len(entity.name) > 4:
        return ""
    surname, given = min(readings(entity.name))
    return f"{surname} {given}" if rng.random() < 0.8 else f"{given} {surname}"


def _day(form: str, day: date | None) -> str:
    return day.strftime(form) if day else ""


def _core(rng: Random, slip: _Slips, e: Entity, serial: int) -> list[str]:
    opened, updated = _dates(rng)
    account = f"6217{rng.randrange(10**15):015d}|{rng.choice(('SAV', 'CUR', 'FIX'))}|{int(rng.random() < 0.1)}|{opened:%Y%m%d}"
    valid_to = f"{2027 + rng.randrange(14)}0101" if e.person else ""
    gender = ("1" if slip.male(e) else "2") if e.person else ""
    nation = "CHN" if e.number_kind != "PASSPORT" else "USA"
    legal = [e.legal_name, "10" if e.legal_number else "", e.legal_number]
    return [
        f"10{serial:09d}", slip.noise("1" if e.person else "2"), slip.name(e), "", KINDS["core"][e.number_kind],
        slip.noise(slip.number(e)), valid_to, gender, _day("%Y%m%d", slip.birth(e)), nation, slip.phone(e), "",
        slip.noise(slip.address(e)), slip.address(e), "000000", e.employer, e.job, e.email, *legal, "", "",
        f"{rng.choice(('11', '31', '44'))}00{rng.randrange(100):02d}", f"{opened:%Y%m%d}", f"{updated:%Y%m%d}",
        slip.noise(str(int(rng.random() < 0.15))), account,
    ]  # fmt: skip


def _loan(rng: Random, slip: _Slips, e: Entity, serial: int) -> list[str]:
    opened, updated = _dates(rng)
    kind = "03" if e.person else "0120" if "shop" in e.tags else "01"
    accounts = [{"contract": f"DK{serial:012d}", "type": "消费贷", "status": "正常", "open": f"{opened:%Y%m%d}"}]
    gender = ("M" if slip.male(e) else "F") if e.person else ""
    return [
        f"CI{serial:012d}", kind, slip.name(e), KINDS["loan"][e.number_kind], slip.noise(slip.number(e)), gender,
        _day("%Y/%m/%d", slip.birth(e)) if e.person else "", "CHN", slip.phone(e), "", "",
        slip.address(e), "", e.employer, e.job, "20" if e.person else "", rng.choice(("10", "20")) if e.person else "",
        "", "", e.email, e.legal_name, e.legal_number, "", "", slip.address(e) if not e.person else "",
        f"{opened:%Y/%m/%d}", f"{updated:%Y/%m/%d}", slip.noise("01" if rng.random() < 0.8 else "02"),
        json.dumps(accounts, ensure_ascii=False),
    ]  # fmt: skip


def _card(rng: Random, slip: _Slips, e: Entity, serial: int) -> list[str]:
    opened, updated = _dates(rng)
    cards = [{"card": f"6225{serial:012d}", "product": "金卡", "status": "正常", "open": f"{opened:%Y%m%d}"}]
    gender = ("男" if slip.male(e) else "女") if e.person else ""
    return [
        f"{serial:010d}C", "P" if e.person else "C", slip.name(e), _latin(rng, e)[:19], KINDS["card"][e.number_kind],
        slip.noise(slip.number(e)), gender, _day("%Y-%m-%d", slip.birth(e)) if e.person else "", "中国", slip.phone(e),
        "", "", slip.address(e), "", e.employer, e.job, e.email, f"{opened:%Y-%m-%d}", f"{updated:%Y-%m-%d}",
        slip.noise("A" if rng.random() < 0.8 else "C"), json.dumps(cards, ensure_ascii=False),
    ]  # fmt: skip


def _ebank(rng: Random, slip: _Slips, e: Entity, serial: int) -> list[str]:
    opened, updated = _dates(rng)
    name, number = slip.name(e), slip.number(e)
    if e.person and slip("masked"):
        name, number = "*" + name[1:], f"{number[:6]}********{number[-4:]}" if len(number) == 18 else number
    born = slip.birth(e) if e.person and rng.random() < 0.7 else None
    gender = ("1" if slip.male(e) else "0") if e.person else ""
    return [
        f"U{serial:010d}", "P" if e.person else "E", name, _latin(rng, e) if rng.random() < 0.2 else "",
        KINDS["ebank"][e.number_kind], slip.noise(number), gender, _day("%Y-%m-%d 00:00:00", born), slip.phone(e), e.email,
        slip.address(e), "", e.legal_name, f"{opened:%Y-%m-%d} 10:00:00", f"{updated:%Y-%m-%d} 10:30:00",
        slip.noise("N" if rng.random() < 0.8 else "L"), f"EB{serial:012d}:1",
    ]  # fmt: skip


ROWS = {"core": _core, "loan": _loan, "card": _card, "ebank": _ebank}
