"""Versions as entity tags (RFC 9110, 8.8.3): a golden record's version 7 is ``"v7"``."""

from __future__ import annotations


def etag(version: int) -> str:
    """The entity tag of a version."""
    return f'"v{version}"'


def named(tags: str, version: int) -> bool:
    """Whether a list of entity tags (``"v7", W/"v6"``, or ``*``) names the version, by weak comparison."""
    said = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
    return "*" in said or etag(version) in said
