"""Two persons for what one alone may not do (双人复核): who asked (经办) and who decides (复核)."""

from __future__ import annotations

from unicodedata import category, normalize

from ecif.services.context import Context


class MakerIsChecker(Exception):
    """Whoever asked for something can't decide it."""


class NotMaker(Exception):
    """Only whoever asked for something can take it back."""


def must_be_other(context: Context, maker: str, caller: str) -> None:
    """Whoever decides has to be another person than the maker, who called through ``caller``.

    A name in another case or width, with other blanks or with what nobody sees, is the same person's. A caller who names no
    clerk may be any of his: he is another only than one who named none either, and called through another caller.

    Raises:
        MakerIsChecker: he is, or may be, the same.
    """
    call = context.call
    if call is None or _is(context, maker):
        raise MakerIsChecker
    nameless = _shown(maker) in ("", _shown(caller))
    if not (_shown(call.caller) != _shown(caller) if nameless else _shown(call.operator)):
        raise MakerIsChecker


def must_be_maker(context: Context, maker: str) -> None:
    """Whoever takes something back has to be the person who asked for it.

    Raises:
        NotMaker: he is another.
    """
    if not _is(context, maker):
        raise NotMaker


def _is(context: Context, person: str) -> bool:
    return _shown(context.person) == _shown(person)


def _shown(name: str) -> str:
    """What a reader tells a name by: letters, digits and signs, of whatever width and case."""
    return "".join(c for c in normalize("NFKC", name) if category(c)[0] in "LNPS").casefold()
