"""The command line: the composition root. Exit codes: 0 done, 1 something to look at, 2 wrong use, 3 cannot run."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import NoReturn

from ecif import terminal
from ecif.adapters.sources import ContractError, SourceFileError
from ecif.cli import loading, serving, stewards
from ecif.cli.runtime import app
from ecif.db import DatabaseError
from ecif.migrate import MigrationError
from ecif.settings import SettingsError

VERBS = (loading, serving, stewards)
"""In the order in which help lists them."""


def main() -> None:
    """Runs a command; what stops it is told in one sentence, in Chinese and English."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stopped)
    try:
        app()
    except (SettingsError, DatabaseError, MigrationError, ContractError, SourceFileError) as error:
        terminal.complain(error)
    except OSError as error:
        terminal.complain(f"{error.filename or ''}: {error.strerror or error}; 请检查该路径 check this path")
    except Exception as error:  # its text may name a person, its place does not
        where = error.__traceback__
        while where and where.tb_next:
            where = where.tb_next
        place = f"{Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}" if where else ""
        terminal.complain(f"程序错误, 请报告 a fault of the program, please report it: {type(error).__name__} {place}")
    sys.exit(3)


def _stopped(number: int, _: object) -> NoReturn:
    """Leaves by the door, so that the database is stopped too."""
    sys.exit(128 + number)
