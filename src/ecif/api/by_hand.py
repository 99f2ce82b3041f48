"""Takes all that a call says in one go.

FastAPI does so piece by piece, which costs the most frequent calls more than their work does. What is taken is checked by the
same models, refused with the same problems, and told in the contract alike.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)

SCHEMAS = "#/components/schemas/{model}"
BODIES: set[type[BaseModel]] = set()
"""The models of bodies that are taken by hand, for the contract."""


class ByHand(Generic[Model]):
    """The parameters and the body of a route.

    Attributes:
        contract: what the contract says of them (``openapi_extra``).
    """

    def __init__(self, model: type[Model]) -> None:
        """``model`` has a model for each place: ``path``, ``query``, ``header``, ``body``; those it lacks take nothing."""
        self._model = model
        places = {place: cast(type[BaseModel], field.annotation) for place, field in model.model_fields.items()}
        body = places.pop("body", None)
        schemas = {place: _schemas(said) for place, said in places.items()}
        self._headers = tuple(schemas["header"])
        self._lists = {n for n, schema in schemas.get("query", {}).items() if schema.get("type") == "array"}
        self.contract: dict[str, Any] = {
            "parameters": [
                {"name": name, "in": place, "required": place == "path", "schema": schema}
                | ({"description": schema.pop("description")} if "description" in schema else {})
                for place, those in schemas.items()
                for name, schema in those.items()
            ]
        }
        if body:
            BODIES.add(body)
            schema = {"$ref": SCHEMAS.format(model=body.__name__)}
            self.contract["requestBody"] = {"content": {"application/json": {"schema": schema}}, "required": True}

    def take(self, request: Request, body: bytes = b"") -> Model:
        """What the request says.

        Raises:
            RequestValidationError: all that is wrong with it.
        """
        headers, params = request.headers, request.query_params
        given: dict[str, Any] = {
            "path": request.path_params,
            "query": {name: params.getlist(name) if name in self._lists else params[name] for name in params},
            "header": {name: headers[name] for name in self._headers if name in headers},
        }
        if body:
            given["body"] = orjson.loads(body)
        try:
            return self._model.model_validate(given)
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from None


def _schemas(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = model.model_json_schema(ref_template=SCHEMAS).get("properties", {})
    return found
