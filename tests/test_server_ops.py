"""The page's files, and the routes about the server itself."""

import re

import pytest
from starlette.testclient import TestClient

from persona_cli.server.failures import RESPONSES
from persona_cli.server.ops import MEDIA_TYPES, PAGE
from tests.servers import Server, client

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
ASSETS = [f"/page/{name}" for name in MEDIA_TYPES]


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    return client(tmp_path_factory.mktemp("empty"))


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
def test_programs_are_greeted_as_in_the_blog(quoting: Server, accept: str) -> None:
    response = quoting.get("/", headers={"Accept": accept})
    assert response.json() == {"Hello": "World"}
    assert response.headers["vary"] == "Accept"


def test_browsers_get_the_page(quoting: Server) -> None:
    response = quoting.get("/", headers=BROWSER)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["vary"] == "Accept"
    assert response.content == (PAGE / "index.html").read_bytes()


@pytest.mark.parametrize("path", ["/", *ASSETS])
def test_every_part_of_the_page_is_confined(caller: TestClient, path: str) -> None:
    headers = caller.get(path, headers=BROWSER).headers
    policy = dict(rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-cache"


def test_the_page_has_all_it_needs_and_nothing_from_elsewhere(caller: TestClient) -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    for path in re.findall(r'(?:src|href)="([^"]+)"', html):
        assert caller.get(path).status_code == 200
    assert {path.name for path in PAGE.iterdir()} == MEDIA_TYPES.keys()
    for path in PAGE.iterdir():
        assert not re.search(r"https?://|innerHTML|insertAdjacentHTML|document\.write|eval\(", path.read_text("utf-8"))


@pytest.mark.parametrize("path", ["/", "/healthz", *ASSETS])
@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_head_gets_the_headers_of_get_without_the_body(quoting: Server, path: str, accept: str) -> None:
    got = quoting.get(path, headers={"Accept": accept, "Accept-Encoding": "identity"})
    lines = quoting.send(f"HEAD {path} HTTP/1.1", "Host: localhost", f"Accept: {accept}").split(b"\r\n\r\n")
    assert lines[1:] == [b""]
    head = lines[0].decode().lower().splitlines()
    assert head[0] == "http/1.1 200 ok"
    assert f"content-length: {len(got.content)}" in head
    assert f"content-type: {got.headers['content-type']}" in head


def test_browsers_do_not_ask_for_an_icon_in_vain(quoting: Server) -> None:
    response = quoting.get("/favicon.ico")
    assert (response.status_code, response.content) == (204, b"")


def test_health_needs_no_store(caller: TestClient) -> None:
    with caller:
        assert caller.get("/healthz").json() == {"status": "ok"}


def test_the_servers_make_is_not_told(quoting: Server) -> None:
    assert not {"server", "x-powered-by"} & {name.lower() for name in quoting.get("/").headers}


def test_the_description_of_the_protocol_lists_every_status(quoting: Server) -> None:
    description = quoting.get("/openapi.json").json()
    assert description["info"]["title"] == "persona"
    assert set(description["paths"]) >= {"/", "/chat/", "/healthz", "/readyz", "/metrics"}
    chat = description["paths"]["/chat/"]["post"]["responses"]
    assert set(chat) == {"200", *map(str, RESPONSES)}
    assert set(description["paths"]["/readyz"]["get"]["responses"]) == {"200", "401", "403", "500", "503"}
    assert set(description["paths"]["/healthz"]["get"]["responses"]) == {"200", "401", "403", "500"}
    for operation in (o for path in description["paths"].values() for o in path.values()):
        for status, response in operation["responses"].items():
            if status != "200":
                assert response["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/FailureBody"}


def test_the_description_requires_the_prompt_alone(quoting: Server) -> None:
    schemas = quoting.get("/openapi.json").json()["components"]["schemas"]
    assert schemas["Question"]["required"] == ["prompt"]
    assert set(schemas["Question"]["properties"]) == {"prompt", "api_key", "db_path", "session_id", "top_k", "as_of"}
    assert "HTTPValidationError" not in schemas
