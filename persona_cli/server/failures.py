"""Failures over HTTP: one table of statuses, one shape of body, `{"error": {"message", "type", "param", "code"}}`.

Source of the shape: the OpenAI API, whose clients read it. It never repeats what was sent, which may hold a key.
"""

import logging
import re
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from persona_cli import errors
from persona_cli.server.logs import described

log = logging.getLogger("persona")

STATUS: dict[type[errors.PersonaError], int] = {
    errors.PersonaError: 500,
    errors.QuestionError: 422,
    errors.StoreError: 503,
    errors.StoreMissing: 404,
    errors.SourceUnknown: 404,
    errors.SessionUnknown: 404,
    errors.StoreForbidden: 403,
    errors.ModelError: 502,
    errors.ModelBusy: 503,
    errors.ModelUnavailable: 504,
}
"""Status of each kind of failure; one that is not listed has that of the kind above it."""
RETRY_AFTER_S = {429: "5", 503: "5"}
PATHS = ("db", "folder")
"""Values of failures that are paths on the server, of which callers see the last part."""


class Failure(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class FailureBody(BaseModel):
    """The body of every failure."""

    error: Failure


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": FailureBody} for status in (400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 502, 503, 504)
}


def respond(status: int, message: str, code: str | None = None, param: str | None = None) -> JSONResponse:
    """A failure as a response."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    failure = Failure(message=message, type=kind, param=param, code=code)
    retry = {"Retry-After": RETRY_AFTER_S[status]} if status in RETRY_AFTER_S else None
    return JSONResponse({"error": failure.model_dump()}, status, retry)


def install(app: FastAPI) -> None:
    """Give every failure of an application its status and its body."""
    app.add_exception_handler(errors.PersonaError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)


def status_of(error: errors.PersonaError) -> int:
    """The status of a failure."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def known(error: errors.PersonaError, status: int | None = None, param: str | None = None) -> JSONResponse:
    """A known failure as a response; the status is the table's unless another is given."""
    status = status or status_of(error)
    if status >= 500:
        log.warning("%s", described(error))
    values = {name: Path(value).name if name in PATHS else value for name, value in error.values.items()}
    code = re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()
    return respond(status, error.template.format(**values), code, param)


def invalid(error: RequestValidationError, status: int = 422) -> JSONResponse:
    """What is wrong with a request as a response."""
    first = error.errors()[0]
    param = ".".join(str(part) for part in first["loc"] if part != "body") or None
    if first["type"] == "json_invalid":
        return respond(400, "the body is not JSON", "invalid_json")
    if isinstance(error.body, bytes):  # left unread, because of its content type
        return respond(415, "send JSON, with the header Content-Type: application/json", "invalid_content_type")
    return respond(status, f"{param or 'the body'}: {first['msg']}", "invalid_value", param)


def bug() -> JSONResponse:
    """A failure that is not known as a response."""
    return respond(500, "the server has a bug; its log tells more", "bug")


async def _known(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.PersonaError)
    return known(error)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return invalid(error)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    response = respond(error.status_code, str(error.detail))
    response.headers.update(error.headers or {})
    return response


async def _bug(_request: Request, _error: Exception) -> JSONResponse:
    return bug()  # Starlette raises it again, for the log
