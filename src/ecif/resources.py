"""Where migrations and contracts are: at the top of a checkout, or packed into the installed wheel."""

from __future__ import annotations

from pathlib import Path


def resource_dir(name: str) -> Path:
    """The folder ``migrations`` or ``contracts``."""
    package = Path(__file__).resolve().parent
    bundled = package / "_bundled" / name
    return bundled if bundled.is_dir() else package.parents[1] / name
