"""Failures over HTTP: one shape, one table, and never what was sent."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from persona_cli import errors
from persona_cli.server import failures
from tests.servers import Server, client

KEY = "sk-secret-0123456789"
JSON = {"Content-Type": "application/json"}

STATUSES: dict[type[errors.PersonaError], int] = {
    errors.PersonaError: 500,
    errors.SettingsError: 500,
    errors.ProfileError: 500,
    errors.CardError: 500,
    errors.ArchiveError: 500,
    errors.EvaluationError: 500,
    errors.QuestionError: 422,
    errors.LoadError: 500,
    errors.NoWords: 500,
    errors.PersonSilent: 500,
    errors.SpeakerNeeded: 500,
    errors.StoreError: 503,
    errors.StoreMissing: 404,
    errors.SourceUnknown: 404,
    errors.SessionUnknown: 404,
    errors.StoreForbidden: 403,
    errors.StoreBusy: 503,
    errors.StoreDamaged: 503,
    errors.IndexDamaged: 503,
    errors.StoreTooNew: 503,
    errors.StoreUnwritable: 503,
    errors.EmbeddingMismatch: 503,
    errors.ModelError: 502,
    errors.ModelRefused: 502,
    errors.ModelBusy: 503,
    errors.ModelUnavailable: 504,
    errors.ModelBroken: 502,
    errors.PartMissing: 500,
}


def tree(kind: type[errors.PersonaError]) -> Iterator[type[errors.PersonaError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from tree(below)


def failure(status: int, caller: TestClient, method: str, path: str, **request: object) -> dict[str, str | None]:
    """What a request got, which must be a failure of that status and of the one shape."""
    response = caller.request(method, path, **request)  # type: ignore[arg-type]
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["error"]
    error: dict[str, str | None] = response.json()["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert error["message"]
    assert error["type"] == ("server_error" if status >= 500 else "invalid_request_error")
    return error


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """A caller of a server whose store is empty, so that every good question gets 404."""
    return client(tmp_path_factory.mktemp("empty"))


def test_the_table_is_complete() -> None:
    assert set(tree(errors.PersonaError)) == STATUSES.keys()
    assert failures.STATUS.keys() <= STATUSES.keys()


@pytest.mark.parametrize(("kind", "status"), STATUSES.items(), ids=lambda value: getattr(value, "__name__", value))
def test_every_known_failure_has_its_documented_status(kind: type[errors.PersonaError], status: int) -> None:
    app = FastAPI()
    failures.install(app)

    @app.get("/")
    def fail() -> None:
        raise kind("{db!r} went wrong: {why}", db="/srv/secret/store", why="who knows")

    error = failure(status, TestClient(app), "GET", "/")
    assert error["message"] == "'store' went wrong: who knows"
    assert str(error["code"]).replace("_", "") == kind.__name__.lower()
    assert status in failures.RESPONSES


def test_only_what_passes_by_itself_asks_to_come_back(caller: TestClient) -> None:
    for status in failures.RESPONSES:
        response = failures.respond(int(status), "no")
        assert ("retry-after" in response.headers) == (status in (429, 503))


def test_a_bug_is_answered_in_the_same_shape_without_its_text() -> None:
    app = FastAPI()
    failures.install(app)

    @app.get("/")
    def fail() -> None:
        raise RuntimeError(f"cannot use {KEY}")

    error = failure(500, TestClient(app, raise_server_exceptions=False), "GET", "/")
    assert error["code"] == "bug"
    assert KEY not in str(error)


def test_a_bug_is_raised_again_for_the_servers_log() -> None:
    app = FastAPI()
    failures.install(app)

    @app.get("/")
    def fail() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        TestClient(app).get("/")


UNKNOWN = [
    *("/nowhere", "/chat/x", "/page", "/page/", "/page/nothing.js", "/page/../app.py", "/docs"),
    *("/page/%2e%2e/app.py", "/page/..%2fapp.py", "/page/%00", "/page//etc/passwd", "/redoc", "/" + "a" * 10_000),
]


@pytest.mark.parametrize("path", UNKNOWN, ids=lambda path: path[:20])
def test_an_unknown_path_is_not_found(quoting: Server, caller: TestClient, path: str) -> None:
    failure(404, caller, "GET", path)
    answer = quoting.send(f"GET {path} HTTP/1.1", "Host: localhost")
    assert answer.startswith(b"HTTP/1.1 404 Not Found")
    assert b'{"error":{"message":"Not Found"' in answer


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_another_method_is_not_allowed(caller: TestClient, method: str) -> None:
    for path in ("/chat", "/chat/"):
        failure(405, caller, method, path)
        assert caller.request(method, path).headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/", "/healthz", "/page/page.js", "/favicon.ico", "/openapi.json"])
def test_what_is_only_read_takes_no_post(caller: TestClient, path: str) -> None:
    failure(405, caller, "POST", path)


def test_the_guards_refusals_have_the_same_shape(tmp_path: Path) -> None:
    long = json.dumps({"prompt": "a" * 2_000}).encode()
    failure(403, client(tmp_path), "GET", "/", headers={"Host": "evil.example"})
    failure(401, client(tmp_path, server_token="right"), "GET", "/", headers={"Authorization": "Bearer wrong"})
    failure(413, client(tmp_path, max_body_bytes=1_000), "POST", "/chat", content=long, headers=JSON)


BROKEN = ["{", f'{{"prompt": "{KEY}', f"'{KEY}'", f'{{"api_key": "{KEY}",}}', "[" * 100_000, "9" * 5_000, "nul", " "]


@pytest.mark.parametrize("body", [*(b.encode() for b in BROKEN), b"\xff\xfe", '{"prompt": "질문"}'.encode("cp949")])
def test_broken_json_is_named_and_not_repeated(caller: TestClient, body: bytes) -> None:
    error = failure(400, caller, "POST", "/chat", content=body, headers=JSON)
    assert KEY not in str(error)


INVALID: list[tuple[object, str | None]] = [
    ({"api_key": KEY}, "prompt"),
    ({"prompt": None, "api_key": KEY}, "prompt"),
    ({"prompt": [KEY]}, "prompt"),
    ({"prompt": {KEY: KEY}}, "prompt"),
    ({"prompt": 5}, "prompt"),
    ({"prompt": "a", "api_key": [KEY]}, "api_key"),
    ({"prompt": "a", "api_key": f"{KEY} {KEY}"}, "api_key"),
    ({"prompt": "a", "db_path": {KEY: KEY}}, "db_path"),
    ([KEY], None),
    (KEY, None),
    (None, None),
    (5, None),
]


@pytest.mark.parametrize(("body", "param"), INVALID)
def test_an_invalid_body_is_named_by_its_field_and_not_repeated(
    caller: TestClient, body: object, param: str | None
) -> None:
    error = failure(422, caller, "POST", "/chat", json=body)
    assert error["param"] == param
    assert KEY not in str(error)


def test_a_missing_body_is_invalid(caller: TestClient) -> None:
    assert failure(422, caller, "POST", "/chat", headers=JSON)["message"] == "the body: Field required"


@pytest.mark.parametrize("prompt", ["", " ", "\n\t", "\u3000", "\x00", "가" * 4_001, "a" * 900_000])
def test_a_question_that_cannot_be_asked_is_invalid(caller: TestClient, prompt: str) -> None:
    assert failure(422, caller, "POST", "/chat", json={"prompt": prompt})["code"] == "question_error"


OTHER_TYPES = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/json",
    "json",
]


@pytest.mark.parametrize("content_type", [*OTHER_TYPES, "application/jsonp", "", "application/json, text/plain", None])
def test_json_under_another_content_type_is_refused(caller: TestClient, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    body = json.dumps({"prompt": "a", "api_key": KEY}).encode()
    error = failure(415, caller, "POST", "/chat", content=body, headers=headers)
    assert "Content-Type: application/json" in str(error["message"])
    assert KEY not in str(error)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/x+json"])
def test_json_is_known_by_its_content_type(caller: TestClient, content_type: str) -> None:
    body = json.dumps({"prompt": "a"}).encode()
    failure(404, caller, "POST", "/chat", content=body, headers={"Content-Type": content_type})


@pytest.mark.parametrize("prompt", ["\\ud800", "\\udfff?", "\\u0000 a", "a\\u202e", "\\ud83d\\ude00"])
def test_a_question_of_broken_characters_is_asked_all_the_same(quoting: Server, prompt: str) -> None:
    body = f'{{"prompt": "{prompt}"}}'.encode()
    lines = ("POST /chat HTTP/1.1", "Host: localhost", "Content-Type: application/json", f"Content-Length: {len(body)}")
    assert quoting.send(*lines, body=body).split()[1] in (b"200", b"422")


VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)
BODIES = st.dictionaries(st.sampled_from(["prompt", "api_key", "db_path"]) | st.text(), VALUES) | VALUES


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(body=BODIES)
def test_no_body_meets_a_bug(caller: TestClient, body: object) -> None:
    response = caller.post("/chat", content=json.dumps(body).encode(), headers=JSON)
    assert response.status_code in (400, 403, 404, 422), response.text
