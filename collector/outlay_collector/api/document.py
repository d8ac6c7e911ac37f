"""/openapi.json made true: the one shape of errors, what OTLP takes and answers, and which scope each request needs."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from outlay_collector.security import right_for

_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "additionalProperties": False,
            "properties": {
                "code": {"type": "string", "description": "For programs."},
                "message": {"type": "string", "description": "For people."},
                "field": {"type": "string", "description": "The parameter or field at fault."},
            },
        }
    },
}
_STATUS: Final = {
    "type": "object",
    "description": "google.rpc.Status, as OTLP asks.",
    "required": ["code", "message"],
    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
}
_KEY: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key. Nobody is asked for one as long as the database has none.",
}
_PROTOBUF: Final = {"schema": {"type": "string", "format": "binary"}}
_REFUSAL: Final = {
    "description": "Refused, or failed",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}
_EXPORT_REFUSAL: Final = {
    "description": "Refused. Where it carries Retry-After, sending it again later may help",
    "content": {
        "application/x-protobuf": _PROTOBUF,
        "application/json": {
            "schema": {"anyOf": [{"$ref": "#/components/schemas/Status"}, {"$ref": "#/components/schemas/Error"}]}
        },
    },
}
_OTLP: Final = "/v1/"


def install(app: FastAPI) -> None:
    """Have the application give that document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(get_openapi(title=app.title, version=app.version, routes=app.routes))
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # as FastAPI has it done


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas.update(Error=_ERROR, Status=_STATUS)
    components["securitySchemes"] = {"key": _KEY}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(operation, method.upper(), path)
    return document


def _complete(operation: dict[str, Any], method: str, path: str) -> None:
    responses = operation["responses"]
    responses.pop("422", None)  # what FastAPI would have said
    responses["default"] = _EXPORT_REFUSAL if path.startswith(_OTLP) else _REFUSAL
    if path.startswith(_OTLP):
        content = {"application/x-protobuf": _PROTOBUF, "application/json": {"schema": {"type": "object"}}}
        operation["requestBody"] = {"required": True, "content": content}
        responses["200"] = {"description": "Committed, in part where it says so", "content": content}
    if (scope := right_for(method, path)) is not None:
        operation["security"] = [{}, {"key": []}]
        operation["x-outlay-scope"] = scope
