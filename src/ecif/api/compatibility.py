"""What a new contract breaks for those who call by the released one: a pure comparison of two OpenAPI 3.1 documents.

A schema is compared in one direction only: what callers send under the released contract must be accepted (each released
request fits the new one), and what they are sent must be as it was promised (each new answer fits the released one). What a
caller has to bear with is no break: a new path, an optional parameter or request field, a wider request, one more
field or status of an answer, and one more code in a list of codes of an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
SAME = ("pattern", "format", "multipleOf", "uniqueItems", "const")
"""Keywords of which we cannot tell which is wider: one that is set must have been set."""

REMOVED = "已删除 removed"
REQUIRED = "变为必填 is required now"
OPTIONAL = "不再保证返回 is no longer always there"
TYPE = "类型改变 has another type"
LIMIT = "限制改变 has another limit"
CODES = "代码减少 accepts fewer codes"
CLOSED = "不再接受其他字段 refuses other fields now"
ACCESS = "需要更多权限 needs more to be called"


@dataclass(frozen=True, slots=True)
class _Sides:
    """Two schemas: every value of ``narrow`` has to be one of ``wide``."""

    narrow: Schema
    wide: Schema


@dataclass(frozen=True, slots=True)
class Comparison:
    """The released contract and the one to be."""

    released: Schema
    current: Schema

    def breaks(self) -> Iterator[str]:
        """What breaks callers, each as ``place: what``."""
        for path, method, old in _operations(self.released):
            where = f"{method.upper()} {path}"
            new = self.current["paths"].get(path, {}).get(method)
            if new is None:
                yield f"{where}: {REMOVED}"
                continue
            yield from self._parameters(where, old, new)
            yield from self._body(f"{where} body", old.get("requestBody"), new.get("requestBody"))
            yield from self._responses(where, old["responses"], new["responses"])
            if not _as_open(_access(self.released, old), _access(self.current, new)):
                yield f"{where}: {ACCESS}"

    def _parameters(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        before, after = ({(p["in"], p["name"]): p for p in side.get("parameters", ())} for side in (old, new))
        for key in before.keys() - after.keys():
            yield f"{where} {' '.join(key)}: {REMOVED}"
        for key, parameter in after.items():
            known = before.get(key, {})
            if parameter.get("required") and not known.get("required"):
                yield f"{where} {' '.join(key)}: {REQUIRED}"
            if known:
                yield from self._request(f"{where} {' '.join(key)}", known["schema"], parameter["schema"])

    def _body(self, where: str, old: Schema | None, new: Schema | None) -> Iterator[str]:
        if old is None or new is None:
            if old:
                yield f"{where}: {REMOVED}"
            elif new and new.get("required"):
                yield f"{where}: {REQUIRED}"
            return
        if new.get("required") and not old.get("required"):
            yield f"{where}: {REQUIRED}"
        for kind, content in old["content"].items():
            if kind in new["content"]:
                yield from self._request(where, content.get("schema", {}), new["content"][kind].get("schema", {}))
            else:
                yield f"{where} {kind}: {REMOVED}"

    def _responses(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        for status, response in old.items():
            place = f"{where} {status}"
            if status not in new:
                yield f"{place}: {REMOVED}"
                continue
            for part in ("content", "headers"):
                before, after = response.get(part, {}), new[status].get(part, {})
                for name in before:
                    if name in after:
                        yield from self._answer(place, before[name].get("schema", {}), after[name].get("schema", {}))
                    else:
                        yield f"{place} {name}: {REMOVED}"

    def _request(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        return _Fit(self.released, self.current, sent=True).check(where, _Sides(old, new))

    def _answer(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        return _Fit(self.current, self.released, sent=False).check(where, _Sides(new, old))


class _Fit:
    """Whether one schema fits into another; ``sent``: by the caller, so that the narrow side is the released one."""

    def __init__(self, narrow: Schema, wide: Schema, *, sent: bool) -> None:
        self.documents, self.sent = (narrow, wide), sent
        self.under_way: set[tuple[str, str]] = set()

    def check(self, where: str, sides: _Sides) -> Iterator[str]:
        """Every alternative of the narrow side fits one of the wide side."""
        names = (sides.narrow.get("$ref", ""), sides.wide.get("$ref", ""))
        if all(names) and names in self.under_way:
            return  # a schema inside itself
        self.under_way.add(names)
        wide = _alternatives(self.documents[1], sides.wide)
        for narrow in _alternatives(self.documents[0], sides.narrow):
            tried = [list(self._one(where, narrow, other)) for other in wide if _type_fits(narrow, other)]
            yield from min(tried, key=len, default=[f"{where}: {TYPE}"])
        self.under_way.discard(names)

    def _one(self, where: str, narrow: Schema, wide: Schema) -> Iterator[str]:
        yield from self._fields(where, narrow, wide)
        if any(_tighter(name, narrow, wide) for name in (*LOWER, *UPPER, *SAME)):
            yield f"{where}: {LIMIT}"
        if self.sent and "enum" in wide and not ("enum" in narrow and set(narrow["enum"]) <= set(wide["enum"])):
            yield f"{where}: {CODES}"
        if "items" in wide:
            yield from self.check(f"{where}[]", _Sides(narrow.get("items", {}), wide["items"]))

    def _fields(self, where: str, narrow: Schema, wide: Schema) -> Iterator[str]:
        inner, outer = narrow.get("properties", {}), wide.get("properties", {})
        released, current = (inner, outer) if self.sent else (outer, inner)
        for name in released.keys() - current.keys():
            yield f"{where}.{name}: {REMOVED}"
        for name in inner.keys() & outer.keys():
            yield from self.check(f"{where}.{name}", _Sides(inner[name], outer[name]))
        for name in set(wide.get("required", ())) - set(narrow.get("required", ())):
            if self.sent or name in current:
                yield f"{where}.{name}: {REQUIRED if self.sent else OPTIONAL}"
        closed, others = wide.get("additionalProperties"), narrow.get("additionalProperties", True)
        if self.sent and closed is False and others is not False:
            yield f"{where}: {CLOSED}"
        if isinstance(closed, dict) and isinstance(others, dict):
            yield from self.check(f"{where}.*", _Sides(others, closed))


def _operations(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, item in document["paths"].items():
        yield from ((path, method, item[method]) for method in METHODS if method in item)


def _alternatives(document: Schema, schema: Schema) -> list[Schema]:
    """The schema without references, as alternatives of one type each."""
    if "$ref" in schema:
        schema = {k: v for k, v in schema.items() if k != "$ref"} | _referred(document, schema["$ref"])
    for word in ("anyOf", "oneOf"):
        if word in schema:
            common = {k: v for k, v in schema.items() if k != word}
            return [found for one in schema[word] for found in _alternatives(document, common | one)]
    for part in schema.get("allOf", ()):
        (part,) = _alternatives(document, part)
        schema = _both(schema, part)
    types = schema.get("type")
    return [schema | {"type": one} for one in types] if isinstance(types, list) else [schema]


def _both(schema: Schema, part: Schema) -> Schema:
    joined = {
        "properties": schema.get("properties", {}) | part.get("properties", {}),
        "required": [*schema.get("required", ()), *part.get("required", ())],
    }
    return schema | part | {name: value for name, value in joined.items() if value}


def _referred(document: Schema, reference: str) -> Schema:
    found: Any = document
    for name in reference.removeprefix("#/").split("/"):
        found = found[name.replace("~1", "/").replace("~0", "~")]
    return dict(found)


def _type_fits(narrow: Schema, wide: Schema) -> bool:
    return wide.get("type") in (None, narrow.get("type")) or (narrow.get("type"), wide["type"]) == ("integer", "number")


def _tighter(name: str, narrow: Schema, wide: Schema) -> bool:
    """Whether the wide side has a limit that values of the narrow side may not keep."""
    if name not in wide or wide[name] is False:
        return False
    limit, given = wide[name], narrow.get(name)
    if given is None:
        return True
    return bool(limit > given if name in LOWER else limit < given if name in UPPER else limit != given)


def _access(document: Schema, operation: Schema) -> list[set[tuple[str, str]]]:
    """The ways to be let in, each as all that it takes: a scheme, or a scheme and a scope."""
    ways = operation.get("security", document.get("security")) or [{}]
    return [{(s, scope) for s, scopes in way.items() for scope in ("", *scopes)} for way in ways]


def _as_open(old: list[set[tuple[str, str]]], new: list[set[tuple[str, str]]]) -> bool:
    """Whoever was let in, still is."""
    return all(any(now <= before for now in new) for before in old)
