"""Who may ask, and how much they may send."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
import requests
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from persona_cli.server.guard import Guard, Policy
from tests.servers import ASKED, RECORDED, Server, client, serving

TOKEN = "토큰-of-the-house"
LIMIT = 2_000


@pytest.fixture
def here(faq_folder: Path) -> TestClient:
    return client(faq_folder / "vector_store", max_body_bytes=LIMIT)


@pytest.fixture
def guarded(faq_folder: Path) -> TestClient:
    """The application with a token, called from another machine."""
    return client(
        faq_folder / "vector_store", peer="192.0.2.7", server_token=f"token-of-another, {TOKEN}", rate_limit="off"
    )


def code(answer: bytes) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower()
    return str(json.loads(body)["error"]["code"])


OWN_NAMES = ["localhost", "LocalHost:80", "127.0.0.1", "127.0.0.1:8000", "127.8.9.1", "[::1]", "[::1]:8000"]
FOREIGN_NAMES = [
    "",
    "evil.example",
    "EVIL.EXAMPLE:8000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.example.",
    "localhost.",
    "evil.example@localhost",
    "localhost@evil.example",
    "localhost:8000:evil.example",
    "[::1]evil.example",
    "127.0.0.1@evil",
    "127.0.0.1 evil.example",
    "127.0.0.1,evil.example",
    "127.0.0.1/evil.example",
    "127.0.0.1:80#@evil.example",
    "127.1",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "[::]",
    "[fe80::1%lo]",
    "[::ffff:192.0.2.7]",
    "[[::1]]",
    "::1",
    "①②⑦.⓪.⓪.①",
    "[::1",
    "[evil.example]",
    "0.0.0.0",
    "192.0.2.7",
    "[2001:db8::1]",
    "2130706433",
    "로컬호스트",
]


@pytest.mark.parametrize("name", OWN_NAMES)
def test_own_names_are_answered(quoting: Server, name: str) -> None:
    assert b"200 OK" in quoting.send("GET / HTTP/1.1", f"Host: {name}").splitlines()[0]


@pytest.mark.parametrize("name", FOREIGN_NAMES)
def test_foreign_names_are_refused(quoting: Server, name: str) -> None:
    answer = quoting.send("GET / HTTP/1.1", f"Host: {name}")
    assert b"403 Forbidden" in answer.splitlines()[0]
    assert code(answer) == "foreign_caller"


def test_a_missing_or_repeated_host_is_refused(quoting: Server) -> None:
    assert code(quoting.send("GET / HTTP/1.0")) == "foreign_caller"
    for names in (("localhost", "evil.example"), ("evil.example", "localhost")):
        answer = quoting.send("GET / HTTP/1.1", *(f"Host: {name}" for name in names))
        assert answer.split()[1] in (b"400", b"403")


def test_the_address_in_the_request_line_does_not_stand_for_host(quoting: Server) -> None:
    answer = quoting.send("GET http://localhost/ HTTP/1.1", "Host: evil.example")
    assert code(answer) == "foreign_caller"
    assert quoting.send("GET http://evil.example/ HTTP/1.1", "Host: localhost").split()[1] == b"404"
    assert quoting.send("OPTIONS * HTTP/1.1", "Host: localhost").split()[1] in (b"400", b"404")


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "X-Original-Host", "X-Host", "Forwarded"])
def test_no_other_header_stands_for_host(quoting: Server, name: str) -> None:
    answer = quoting.send("GET / HTTP/1.1", "Host: evil.example", f"{name}: localhost")
    assert code(answer) == "foreign_caller"


@pytest.mark.parametrize("name", ["X-Forwarded-For", "x-real-ip", "FORWARDED"])
def test_whom_a_proxy_on_this_machine_asks_for_must_be_here_too(quoting: Server, name: str) -> None:
    for value in ("192.0.2.7", "127.0.0.1, 192.0.2.7", "for=192.0.2.7", "evil", "127.0.0.1:80"):
        assert code(quoting.send("GET / HTTP/1.1", "Host: localhost", f"{name}: {value}")) == "foreign_caller"
    assert quoting.send("GET / HTTP/1.1", "Host: localhost", f"{name}: ::1, 127.0.0.1").split()[1] == b"200"


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
def test_no_header_changes_the_method_or_the_path(guarded: TestClient, name: str) -> None:
    for more in ({name: "GET"}, {"X-Original-URL": "/healthz", "X-Rewrite-URL": "/healthz"}):
        assert guarded.post("/chat", json={"prompt": ASKED}, headers=more).status_code == 401


@pytest.mark.parametrize("path", ["/", "/chat", "/healthz", "/page/page.js", "/openapi.json", "/nowhere"])
def test_foreign_names_are_refused_on_every_path(quoting: Server, path: str) -> None:
    assert code(quoting.send(f"GET {path} HTTP/1.1", "Host: evil.example")) == "foreign_caller"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://localhost.evil.example", "file://"])
def test_pages_of_elsewhere_cannot_ask(here: TestClient, origin: str) -> None:
    response = here.post("/chat", json={"prompt": ASKED}, headers={"Origin": origin})
    assert (response.status_code, response.json()["error"]["code"]) == (403, "foreign_caller")


@pytest.mark.parametrize("origin", ["http://localhost:8000", "http://127.0.0.1:3000", "http://[::1]"])
def test_pages_of_this_machine_can_ask(here: TestClient, origin: str) -> None:
    assert here.post("/chat", json={"prompt": ASKED}, headers={"Origin": origin}).json()["output"] == RECORDED


def test_a_page_of_elsewhere_gets_no_leave_to_read(here: TestClient) -> None:
    asked_first = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for response in (here.options("/chat", headers=asked_first), here.get("/", headers={"Origin": "http://localhost"})):
        assert not [name for name in response.headers if name.startswith("access-control-")]


def test_without_a_token_other_machines_are_refused_whatever_host_they_send(faq_folder: Path) -> None:
    with client(faq_folder / "vector_store", peer="192.0.2.7") as caller:
        for path in ("/", "/healthz"):
            response = caller.get(path, headers={"Host": "localhost"})
            assert (response.status_code, response.json()["error"]["code"]) == (403, "foreign_caller")


def test_the_token_opens_the_server_to_other_machines_and_names(guarded: TestClient) -> None:
    for scheme in ("Bearer", "bearer"):
        response = guarded.post(
            "http://persona.example/chat",
            json={"prompt": ASKED},
            headers=[(b"Authorization", f"{scheme} {TOKEN}".encode()), (b"Origin", b"https://persona.example")],
        )
        assert response.json()["output"] == RECORDED


WRONG = {
    "missing": [],
    "empty": [b""],
    "no scheme": [TOKEN.encode()],
    "no token": [b"Bearer "],
    "another scheme": [b"Basic " + TOKEN.encode()],
    "a part": [f"Bearer {TOKEN[:-1]}".encode()],
    "too much": [f"Bearer {TOKEN}x".encode()],
    "the end": [f"Bearer {TOKEN[1:]}".encode()],
    "with NUL": [f"Bearer {TOKEN}\0".encode()],
    "two spaces": [f"Bearer  {TOKEN}".encode()],
    "a tab": [f"Bearer\t{TOKEN}".encode()],
    "no space": [f"Bearer{TOKEN}".encode()],
    "upper case": [f"Bearer {TOKEN.upper()}".encode()],
    "taken apart": [f"Bearer {normalize('NFD', TOKEN)}".encode()],
    "all of them": [f"Bearer {TOKEN}, Bearer {TOKEN}".encode()],
    "as listed": [b"Bearer token-of-another," + TOKEN.encode()],
    "its digest": [b"Bearer " + sha256(TOKEN.encode()).hexdigest().encode()],
    "another encoding": [f"Bearer {TOKEN}".encode("cp949")],
    "no text": [b"Bearer \xff\xfe"],
    "huge": [b"Bearer " + b"x" * 60_000],
    "twice": [f"Bearer {TOKEN}".encode()] * 2,
    "wrong, then right": [b"Bearer x", f"Bearer {TOKEN}".encode()],
    "right, then wrong": [f"Bearer {TOKEN}".encode(), b"Bearer x"],
}


@pytest.mark.parametrize("sent", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("path", ["/", "/chat", "/page/page.js", "/openapi.json", "/nowhere", "/healthz/"])
def test_a_wrong_token_is_refused_on_every_path(guarded: TestClient, path: str, sent: list[bytes]) -> None:
    response = guarded.get(path, headers=[(b"Authorization", value) for value in sent])
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["error"]["code"] == "invalid_token"
    assert TOKEN not in response.text


@pytest.fixture(scope="module")
def locked(faq_folder: Path) -> Iterator[Server]:
    """A server that takes one token."""
    with serving(faq_folder, env={"PERSONA_SERVER_TOKEN": "one-token", "PERSONA_RATE_LIMIT": "off"}) as server:
        yield server


MALFORMED = [
    ["Authorization : Bearer one-token"],
    [" Authorization: Bearer one-token"],
    ["Authorization: Bearer one-token", "authorization: Bearer one-token"],
    ["Authorization: Bearer one-", " token"],
    ["Authorization: Basic x", "AUTHORIZATION: Bearer one-token"],
    ["Proxy-Authorization: Bearer one-token"],
    ["X-Authorization: Bearer one-token", "Cookie: Authorization=Bearer one-token"],
]


@pytest.mark.parametrize("lines", MALFORMED)
def test_a_token_in_a_malformed_header_is_not_taken(locked: Server, lines: list[str]) -> None:
    known = "GET /openapi.json HTTP/1.1", "Host: localhost"
    assert locked.send(*known, "aUTHORIZATION:\tbearer one-token ").split()[1] == b"200"
    assert locked.send(*known, *lines).split()[1] in (b"400", b"401")


DETOURS = [
    *("//healthz", "/./healthz", "/healthz/", "/healthz/../chat", "/healthz%2f..%2fchat", "/healthz;", "/HEALTHZ"),
    *("/healthz%00", "/healthz%3f", "/healthz%20", "/%2fhealthz", "/%2568ealthz", "http://localhost/healthz", "/헬스"),
]


@pytest.mark.parametrize("path", DETOURS)
def test_no_other_spelling_of_an_open_path_is_open(locked: Server, path: str) -> None:
    for method in ("GET", "POST"):
        assert locked.send(f"{method} {path} HTTP/1.1", "Host: localhost").split()[1] in (b"400", b"401")


def test_health_needs_no_token(guarded: TestClient) -> None:
    assert guarded.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("header", ["Authorization: Bearer " + "x" * 1_000_000, "x" * 1_000_000, "x: y\r\n" * 99_999])
def test_headers_are_bounded(quoting: Server, header: str) -> None:
    with suppress(ConnectionError):  # it may hang up before we have sent it all
        assert quoting.send("GET / HTTP/1.1", "Host: localhost", header).split()[1] in (b"400", b"431")
    assert quoting.get("/healthz").status_code == 200


def test_a_body_at_the_limit_is_taken_and_one_above_it_refused(here: TestClient) -> None:
    body = json.dumps({"prompt": ASKED}).encode()
    for length, status in ((LIMIT, 200), (LIMIT + 1, 413)):
        for content in (body.ljust(length), iter([body, b" " * (length - len(body))])):
            response = here.post("/chat", content=content, headers={"Content-Type": "application/json"})
            assert response.status_code == status, response.text
    assert response.json()["error"]["code"] == "body_too_large"


def test_a_body_that_is_announced_too_long_is_refused_before_it_is_sent(quoting: Server) -> None:
    lines = ("POST /chat HTTP/1.1", "Host: localhost", "Content-Type: application/json", "Content-Length: 1000001")
    assert code(quoting.send(*lines)) == "body_too_large"


def test_a_body_in_chunks_without_end_is_refused(quoting: Server) -> None:
    chunks = (b" " * 100_000 for _ in range(200))
    response = requests.post(f"{quoting.url}/chat", chunks, headers={"Content-Type": "application/json"}, timeout=60)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")


def test_websockets_are_refused(here: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), here.websocket_connect("/chat"):
        pass


@pytest.mark.parametrize("name", ["Upgrade: websocket", "Upgrade: h2c"])
def test_a_real_server_does_not_change_the_protocol(quoting: Server, name: str) -> None:
    lines = ("Host: localhost", name, "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AA==")
    assert quoting.send("GET /healthz HTTP/1.1", *lines).startswith(b"HTTP/1.1 200 OK")


def guard(received: list[Message], body_timeout_s: float = 30) -> tuple[list[Any], list[Message]]:
    """What the application behind a guard got, and what went back, for a request that is received like this."""
    got: list[Any] = []
    sent: list[Message] = []
    waiting: Iterator[Message] = iter(received)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.append(scope["type"] if scope["type"] == "lifespan" else [await receive(), await receive()])

    async def receive() -> Message:
        for message in waiting:
            return message
        return await asyncio.Future()

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "client": None, "headers": [(b"host", b"localhost")]}
    asyncio.run(Guard(app, Policy(max_body_bytes=LIMIT), body_timeout_s)(scope, receive, send))
    return got, sent


def test_the_application_gets_the_whole_body_at_once_and_then_the_end_of_the_connection() -> None:
    pieces = [{"type": "http.request", "body": piece, "more_body": True} for piece in (b"a", b"", b"b")]
    end = [{"type": "http.request"}, {"type": "http.disconnect"}]
    got, sent = guard([*pieces, *end])
    assert got == [[{"type": "http.request", "body": b"ab", "more_body": False}, {"type": "http.disconnect"}]]
    assert sent == []


def test_half_a_body_never_reaches_the_application() -> None:
    half = {"type": "http.request", "body": b'{"prompt": "a"}', "more_body": True}
    assert guard([half, {"type": "http.disconnect"}]) == ([], [])


def test_a_body_that_does_not_arrive_is_given_up() -> None:
    got, (start, body) = guard([{"type": "http.request", "body": b"{", "more_body": True}], body_timeout_s=0.01)
    assert got == []
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    assert json.loads(body["body"])["error"]["code"] == "body_too_slow"
