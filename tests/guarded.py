"""An application behind the guard that tells what the guard noted, and what the tests of it share."""

from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request
from starlette.testclient import TestClient

from persona_cli.errors import SettingsError
from persona_cli.server import failures, guard
from persona_cli.server.guard import policy_of
from persona_cli.settings import load_settings

ALICE, BOB, ADMIN = "alices-token", "밥의-토큰", "admins-token"


def bearer(token: str) -> dict[str, Any]:
    """The header that sends a token, as its UTF-8 bytes."""
    return {"Authorization": f"Bearer {token}".encode()}


def echo(peer: str = "127.0.0.1", app: FastAPI | None = None, **settings: object) -> TestClient:
    """A caller of a guarded application that tells what the guard noted."""
    if app is None:
        app = FastAPI()
        guard.install(app, load_settings(**settings))
        failures.install(app)

        @app.api_route("/", methods=["GET", "POST"])
        def noted(request: Request) -> dict[str, Any]:
            return {"owner": request.state.owner, "scopes": sorted(request.state.scopes)}

        @app.delete("/", dependencies=[Depends(guard.require_admin)])
        def delete() -> None:
            pass

        @app.get("/healthz")
        def healthz() -> None:
            pass

    return TestClient(app, "http://127.0.0.1", client=(peer, 50_000))


def refusal(**settings: object) -> str:
    with pytest.raises(SettingsError) as error:
        policy_of(load_settings(**settings))
    return str(error.value)


def error(response: Any, status: int, code: str | None) -> str:
    """The message of a failure, which must have OpenAI's shape."""
    assert response.status_code == status, response.text
    body = response.json()["error"]
    assert list(body) == ["message", "type", "param", "code"]
    assert body["code"] == code
    return str(body["message"])
