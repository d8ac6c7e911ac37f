"""The one shape of every error: `{"error": {"code", "message", "field"?}}`."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, SQLAlchemyError
from starlette.exceptions import HTTPException

from outlay_collector.store.faults import Fault, fault_of

log = logging.getLogger(__name__)

_CODES: Final = {408: "timeout", 413: "too_large", 422: "invalid"}
"""Where the name of the status says less, or is another in the next Python."""


class ApiError(Exception):
    """What an endpoint raises to refuse a request. `code` is for programs, `field` the parameter at fault."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field


def bad_field(field: str, message: str) -> ApiError:
    return ApiError(422, "invalid", message, field)


def not_found(what: str) -> ApiError:
    return ApiError(404, "not_found", f"there is no {what}")


def error_response(
    status: int, code: str, message: str, field: str | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    error: dict[str, Any] = {"code": code, "message": message}
    if field is not None:
        error["field"] = field
    return JSONResponse({"error": error}, status, headers)


def install(app: FastAPI) -> None:
    """Give every refusal of the application that shape; what fails is `answering`'s."""

    @app.exception_handler(ApiError)
    async def _refused(_request: Request, error: ApiError) -> JSONResponse:
        return error_response(error.status, error.code, error.message, error.field)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = [str(part) for part in first["loc"] if part not in ("query", "path", "body", "header")]
        return error_response(422, "invalid", str(first["msg"]), ".".join(place) or None)

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        code = _CODES.get(error.status_code) or HTTPStatus(error.status_code).name.lower()
        headers = dict(error.headers) if error.headers else None
        return error_response(error.status_code, code, str(error.detail), headers=headers)


def response_to_failure(path: str, error: Exception) -> JSONResponse:
    """What is said where an endpoint raised what nobody expected. The log has the rest of it."""
    if isinstance(error, (DataError, UnicodeEncodeError)):
        log.warning("%s was asked for with what the database cannot hold: %s", path, error)
        message = (
            "a text with NUL or half of a surrogate pair, or a number that is too large: the database cannot hold it"
        )
        return error_response(422, "invalid", message)
    if isinstance(error, SQLAlchemyError):
        log.error("the database failed on %s: %s", path, type(error).__name__, exc_info=error)
        headers = {"Retry-After": "5"}
        if fault_of(error) is Fault.FULL:
            return error_response(503, "disk_full", "the disk of the database is full", headers=headers)
        return error_response(503, "database_unavailable", "the database did not answer", headers=headers)
    log.error("%s failed", path, exc_info=error)
    return error_response(500, "internal", "something went wrong here; the collector's log says what")
