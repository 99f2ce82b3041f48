"""What every verb of the command line works with."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

import typer
from sqlalchemy import Engine

from ecif import terminal
from ecif.db import open_database, transaction
from ecif.domain.text import visible
from ecif.migrate import upgrade
from ecif.services import derivation
from ecif.services.context import KeyDigests
from ecif.settings import Settings, SettingsError, local_secret

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # it would print local variables, and with them people
    help="ECIF 企业级客户信息系统: customer master data of a bank",
)


class System(StrEnum):
    """The source systems, as options name them."""

    CORE = "core"
    LOAN = "loan"
    CARD = "card"
    EBANK = "ebank"


EVERYTHING = (derivation.DIGEST_KEY, derivation.POLICIES)
UNLIKE = {
    derivation.DIGEST_KEY: "ECIF_HOME 中的 digest.key 不是建库时的密钥, 请从原 ECIF_HOME 复制, 或运行 ecif rebuild "
    "the digest.key in ECIF_HOME is not the one this database was filled with: copy it from that ECIF_HOME, or run ecif rebuild",
    derivation.POLICIES: "数据库按其他版本的规则归并, 请先运行 ecif rebuild "
    "the database was filled under rules of another version: run ecif rebuild first",
}
"""What to do when the database does not fit."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a command works with."""

    settings: Settings
    engine: Engine
    digests: KeyDigests


@contextmanager
def open_runtime(*, fits: Collection[str] = (derivation.DIGEST_KEY,)) -> Iterator[Runtime]:
    """A migrated database and the local keys.

    Args:
        fits: what must be the same as when the database was filled.
    """
    settings = Settings.from_env(os.environ)
    with open_database(settings) as engine:
        upgrade(engine)
        digests = KeyDigests(local_secret(settings.home, "digest.key"))
        with transaction(engine) as session:
            unlike = derivation.unlike(session, digests)
        for name in fits:
            if name in unlike:
                raise SettingsError(UNLIKE[name])
        yield Runtime(settings, engine, digests)


def utf8(text: str) -> str:
    """What was given, if it is a text: the shell hands any bytes over, but nothing else can be looked up or kept.

    Raises:
        BadParameter: it is none.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise typer.BadParameter("应为 UTF-8 文本 a text in UTF-8 is wanted") from None
    return text


def readable(text: str) -> str:
    """What a reader sees of the text, which is what is kept, as of what callers of the API say."""
    return visible(utf8(text))


def wrong_use(sentence: str) -> NoReturn:
    """Ends a verb that was not called as it has to be."""
    terminal.complain(sentence)
    raise typer.Exit(2)
