"""How often each caller may ask, and how many answers are given at once; and ways around both."""

import asyncio
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from persona_cli.server.guard import Guard, Policy, policy_of
from persona_cli.server.limits import caller_of, parse_proxies
from persona_cli.settings import load_settings
from tests.guarded import ALICE, BOB, bearer, echo, error, refusal
from tests.servers import ASKED, Server, StartServer
from tests.stub_model import StubModel

TRUSTED = "127.0.0.1, 10.0.0.0/8, 2001:db8::/32"
CALLERS = [
    ("192.0.2.7", [], "192.0.2.7"),
    ("192.0.2.7", ["198.51.100.1"], "192.0.2.7"),  # no proxy of ours
    ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
    ("127.0.0.1", ["203.0.113.9, 198.51.100.1"], "198.51.100.1"),  # the caller made up the first
    ("127.0.0.1", ["203.0.113.9", "198.51.100.1 ,10.1.2.3"], "198.51.100.1"),
    ("127.0.0.1", ["198.51.100.1, evil"], "127.0.0.1"),
    ("127.0.0.1", ["evil, 10.1.2.3"], "10.1.2.3"),
    ("127.0.0.1", ["", ","], "127.0.0.1"),
    ("127.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
    ("127.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
    ("::ffff:127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
    ("2001:db8::1", ["[2a00:1::5]:80"], "2a00:1::/64"),
    ("2a00:1::5", [], "2a00:1::/64"),
    ("2a00:1::ffff:5%eth0", [], "2a00:1::/64"),
    (None, ["198.51.100.1"], "None"),
]


@pytest.mark.parametrize(("peer", "forwarded", "caller"), CALLERS)
def test_whom_a_request_is_counted_for(peer: str | None, forwarded: list[str], caller: str) -> None:
    scope = {"type": "http", "client": peer and (peer, 1)}
    headers = Headers(raw=[(b"x-forwarded-for", value.encode()) for value in forwarded])
    assert caller_of(scope, headers, parse_proxies(TRUSTED)) == caller


@pytest.mark.parametrize("proxies", ["proxy.example", "10.0.0.1/8", "1.2.3", "10.0.0.0/33"])
def test_proxies_are_addresses(proxies: str) -> None:
    assert refusal(trusted_proxies=f"::1, {proxies}").startswith("PERSONA_TRUSTED_PROXIES cannot be ")


def test_one_address_asks_so_often_and_no_more_whatever_it_says_it_is() -> None:
    caller = echo("192.0.2.7", insecure=True, rate_limit="3/day")
    for number in range(5):
        disguise = dict.fromkeys(("X-Forwarded-For", "X-Real-IP", "Forwarded", "Client-IP"), f"198.51.100.{number}")
        response = caller.get("/" if number else "/nowhere", headers={**disguise, **bearer(str(number))})
        if number < 3:
            assert response.status_code in (200, 404)
        else:
            assert "3/day" in error(response, 429, "rate_limit_exceeded")
            assert 1 <= int(response.headers["Retry-After"]) <= 86_400
    assert caller.get("/healthz").status_code == 200
    assert echo("192.0.2.8", caller.app).get("/").status_code == 200  # type: ignore[arg-type]


def test_a_proxy_we_trust_tells_callers_apart() -> None:
    caller = echo(server_token=ALICE, rate_limit="2/day", trusted_proxies="127.0.0.1")
    statuses = [
        caller.get(
            "/", headers={**bearer("x"), "X-Forwarded-For": f"203.0.113.{made_up}, 198.51.100.{number}"}
        ).status_code
        for number in (1, 2)
        for made_up in range(3)
    ]
    assert statuses == [401, 401, 429] * 2


def test_tokens_that_are_guessed_count_for_the_address() -> None:
    caller = echo("192.0.2.7", server_token=ALICE, rate_limit="3/day")
    assert [caller.get("/", headers=bearer(f"guess-{n}")).status_code for n in range(4)] == [401, 401, 401, 429]
    assert caller.get("/", headers=bearer(ALICE)).status_code == 429
    assert echo("192.0.2.8", caller.app).get("/", headers=bearer(ALICE)).status_code == 200  # type: ignore[arg-type]


def test_one_token_asks_so_often_from_all_addresses_together() -> None:
    app: Any = echo(server_token=f"{ALICE},{BOB}", rate_limit="3/day").app
    got = [echo(f"192.0.2.{n}", app).get("/", headers=bearer(ALICE)).status_code for n in range(4)]
    assert got == [200, 200, 200, 429]
    assert echo("192.0.2.9", app).get("/", headers=bearer(BOB)).status_code == 200


def test_callers_are_counted_by_default_where_others_can_ask() -> None:
    assert policy_of(load_settings()).rate is None
    assert policy_of(load_settings(insecure=True)).rate == policy_of(load_settings(server_token=ALICE)).rate
    assert policy_of(load_settings(insecure=True)).rate == "120/minute"
    assert policy_of(load_settings(insecure=True, rate_limit="off")).rate is None
    for wrong in ("60", "0/minute", "60/fortnight", "sixty/minute", "60/minute;1/second", "-1/second", "12345678/day"):
        assert refusal(rate_limit=wrong).startswith(f"PERSONA_RATE_LIMIT cannot be {wrong!r}")


class Held:
    """A guard with one place for an answer, before an application that answers when it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.failure: Exception | None = None
        self.guard = Guard(self.app, Policy(max_answers=1))

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await self.go.wait()
        if self.failure:
            raise self.failure
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body"})

    async def ask(self, sent: list[Message] | None = None, gone: bool = False, method: str = "POST") -> int:
        """Make a request; its status."""
        got: list[Message] = [] if sent is None else sent

        async def receive() -> Message:
            return {"type": "http.disconnect"} if gone else {"type": "http.request"}

        async def send(message: Message) -> None:
            got.append(message)

        headers = [(b"host", b"localhost")]
        await self.guard({"type": "http", "method": method, "path": "/", "headers": headers}, receive, send)
        return int(got[0]["status"]) if got else 0


async def _end(held: Held, task: "asyncio.Task[int]", way: str) -> None:
    held.failure = RuntimeError("a bug") if way == "error" else None
    if way == "cancelled":
        task.cancel()
    else:
        held.go.set()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("way", ["finish", "error", "cancelled", "gone before it began"])
def test_a_place_comes_free_on_every_way_out(way: str) -> None:
    async def scenario() -> None:
        held = Held()
        for _ in range(3):
            held.go.clear()
            held.failure = None
            if way.startswith("gone"):
                assert await held.ask(gone=True) == 0
                continue
            first = asyncio.create_task(held.ask())
            while not held.guard._answers.running:
                await asyncio.sleep(0)
            sent: list[Message] = []
            assert await held.ask(sent) == 503
            assert dict(sent[0]["headers"])[b"retry-after"]
            assert json.loads(sent[1]["body"])["error"]["code"] == "too_many_answers"
            await _end(held, first, way)
            assert held.guard._answers.running == 0
        held.failure = None
        held.go.set()
        assert [await held.ask() for _ in range(3)] == [200] * 3

    asyncio.run(scenario())


def test_what_only_reads_needs_no_place() -> None:
    async def scenario() -> None:
        held = Held()
        first = asyncio.create_task(held.ask())
        while not held.guard._answers.running:
            await asyncio.sleep(0)
        held.go.set()
        assert await held.ask(method="GET") == 200
        await first

    asyncio.run(scenario())


@pytest.fixture
def hanging(faq_folder: Path, stub_model: StubModel, start_server: StartServer) -> Server:
    """A server that gives two answers at once, by a model that gives none."""
    known = {"OPENAI_BASE_URL": stub_model.base_url, "PERSONA_MODEL": "hang", "PERSONA_MAX_ANSWERS": "2"}
    return start_server(faq_folder, **known)


def test_callers_who_leave_make_room_for_others(hanging: Server, stub_model: StubModel) -> None:
    body = json.dumps({"prompt": ASKED}).encode()
    lines = "POST /chat HTTP/1.1", "Host: localhost", "Content-Type: application/json", f"Content-Length: {len(body)}"
    head = "\r\n".join((*lines, "", ""))
    for round_ in (1, 2):
        callers = [socket.create_connection(("127.0.0.1", hanging.port)) for _ in range(2)]
        for caller in callers:
            caller.sendall(head.encode() + body)
        while len(stub_model.requests) < 2 * round_:
            time.sleep(0.01)
        refused = hanging.post({"prompt": ASKED})
        assert "2 answers are under way" in error(refused, 503, "too_many_answers")
        assert refused.headers["Retry-After"]
        assert hanging.get("/healthz").status_code == 200
        for caller in callers:
            caller.close()
        while stub_model.cancelled < 2 * round_:
            time.sleep(0.01)
