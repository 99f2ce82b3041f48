"""Days and moments as a request writes them: ISO 8601 alone. A number is refused: 0, an empty cell, is no day of 1970."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator

from ecif.api.invalid import unfit

_NUMBER = re.compile(r"\s*[+-]?[0-9.]+(e[+-]?[0-9]+)?\s*", re.IGNORECASE)


def _written(rule: str) -> BeforeValidator:
    def check(given: Any) -> Any:
        if isinstance(given, int | float) or (isinstance(given, str) and _NUMBER.fullmatch(given)):
            raise unfit(rule)
        return given

    return BeforeValidator(check)


Day = Annotated[date, _written("date_parsing")]
Moment = Annotated[AwareDatetime, _written("datetime_parsing")]
