"""The verbs of an installed wheel, in an environment that has never seen the checkout."""

from __future__ import annotations

import signal
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest
from people import citizen
from processes import free_port, person, postmasters, run, spawn, wait_for, write_source

pytestmark = pytest.mark.slow
CHECKOUT = Path(__file__).resolve().parents[2]


def pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    subprocess.run(command, check=True, timeout=180)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, CHECKOUT)
    (built,) = folder.glob("ecif-*.whl")
    return built


@pytest.fixture(scope="module")
def ecif(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The installed program. Its dependencies are those of the tester: nothing is downloaded."""
    place = tmp_path_factory.mktemp("installed")
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    (site,) = place.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    where = subprocess.run([python, "-c", "import ecif; print(ecif.__file__)"], capture_output=True, text=True, cwd="/")
    assert where.stdout.startswith(str(place)), where
    return (str(place / "bin" / "ecif"),)


def test_the_wheel_holds_migrations_and_contracts_and_nothing_stray(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    for folder in ("migrations", "contracts"):
        for path in (CHECKOUT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert f"ecif/_bundled/{path.relative_to(CHECKOUT)}" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests")]


def test_every_verb_of_the_wheel(ecif: tuple[str, ...], home: Path, tmp_path: Path) -> None:
    core = write_source(
        tmp_path / "core.csv",
        "core",
        person("1", "张三丰", citizen(1)),
        person("2", "李四光", citizen(3), CUSTTYPE="?"),
    )
    port, links = free_port(), tmp_path / "links.csv"
    assert run(home, "--help", program=ecif).returncode == 0
    for arguments in (
        ("migrate",),
        ("migrate", "--check"),
        ("load", "--core", core),
        ("export-links", links),
        ("rebuild",),
    ):
        done = run(home, *arguments, program=ecif)
        assert done.returncode == 0, done.stderr
    no = links.read_text().splitlines()[1].split(",")[2]
    assert no in run(home, "customer", no, program=ecif).stdout
    assert "UNKNOWN_CODE" in run(home, "rejects", program=ecif).stdout
    token = run(home, "token", program=ecif).stdout.strip()
    with spawn(home, "demo", "--serve", program=ecif, ECIF_PORT=port) as process:
        wait_for(process, f"http://127.0.0.1:{port}/readyz")
        url = f"http://127.0.0.1:{port}/v1/customers/{no}"
        assert httpx.get(url, headers={"Authorization": f"Bearer {token}"}).json()["customer_no"] == no
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert postmasters(home) == []
