"""Whatever others wrote, a terminal only shows it: no text moves its cursor, turns its lines round or stops it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.table import Table

from ecif import terminal

STEERING = ("\x1b[2J\x1b]0;pwn\x07", "\x9b2J", "\r", "\x00", "\x7f", "\u202e", "\u2067", "\ud800", "\u2028")


def in_a_table(text: str) -> None:
    table = Table(text)
    table.add_row(text)
    terminal.out.print(table)


SHOWN: dict[str, Callable[[str], None]] = {
    "line": terminal.out.print,
    "table": in_a_table,
    "JSON": lambda text: terminal.out.print_json(data={text: text}, ensure_ascii=False),
}


@pytest.mark.parametrize("how", SHOWN)
@example("".join(STEERING))
@given(st.text(st.characters(categories=["L", "N", "Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_what_is_shown_never_steers_the_terminal(how: str, text: str) -> None:
    with terminal.out.capture() as shown:
        SHOWN[how](text)
    left = {c for c in shown.get() if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert not left, left


def test_what_can_be_read_stays_readable(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.complain("张三\x1b[31m 已核\u202e")
    assert "张三[31m 已核" in capsys.readouterr().err
