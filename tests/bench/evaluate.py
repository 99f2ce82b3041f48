"""Matching quality: loads labelled banks into an empty database and scores the links. ``make eval`` calls it.

    python tests/bench/evaluate.py DATA_FOLDER SCORE_SCRIPT

Each folder below DATA_FOLDER holds core.csv, loan.csv, card.csv, ebank.csv, truth.csv and entities.csv. Where there are
none, the demo bank is scored instead by pair precision and recall.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

SYSTEMS = ("core", "loan", "card", "ebank")


def links_of(folder: Path, out: Path, home: Path) -> None:
    """Loads a bank by the command line and exports the links."""
    env = os.environ | {"ECIF_HOME": str(home), "ECIF_DATABASE_URL": ""}
    files = [part for name in SYSTEMS for part in (f"--{name}", str(folder / f"{name}.csv"))]
    subprocess.run([sys.executable, "-m", "ecif.cli", "load", *files], env=env, check=True)
    subprocess.run([sys.executable, "-m", "ecif.cli", "export-links", str(out)], env=env, check=True)


def pair_figures(truth: Path, links: Path) -> tuple[float, float]:
    """Pair precision and recall."""

    def read(path: Path, column: str) -> dict[tuple[str, str], str]:
        with path.open(encoding="utf-8") as file:
            return {(r["source"], r["source_key"]): r[column] for r in csv.DictReader(file)}

    true, found = read(truth, "entity_id"), read(links, "customer_no")
    pairs = lambda groups: sum(n * (n - 1) // 2 for n in Counter(groups).values())  # noqa: E731
    right = pairs((true[name], no) for name, no in found.items() if name in true)
    said, wanted = pairs(no for name, no in found.items() if name in true), pairs(true.values())
    return right / max(said, 1), right / max(wanted, 1)


def main() -> None:
    data, score = Path(sys.argv[1]), Path(sys.argv[2])
    banks = sorted(p.parent for p in data.glob("*/truth.csv")) if data.is_dir() else []
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="ecif-eval-") as work:
        Path(work).chmod(0o755)
        if not banks or not score.is_file():
            from ecif.demo import generate

            print(f"没有标注数据 no labelled data at {data}: the demo bank is scored instead")
            banks = [Path(work) / "demo"]
            generate(banks[0])
        for number, bank in enumerate(banks):
            out = Path(work) / f"links-{number}.csv"
            links_of(bank, out, Path(work) / f"home-{number}")
            print(
                f"\n== {bank.name}: precision {{:.5f}}, recall {{:.5f}}".format(*pair_figures(bank / "truth.csv", out))
            )
            if score.is_file():
                command = [sys.executable, str(score), str(bank / "truth.csv"), str(out)]
                subprocess.run([*command, "--entities", str(bank / "entities.csv")], check=True)


if __name__ == "__main__":
    main()
