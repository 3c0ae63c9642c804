"""What whoever runs a server sees of it, over a real socket; and what nobody must see there: words, keys, tokens."""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from persona_cli.models import Chunk
from persona_cli.server import create_app
from tests.servers import ASKED, RECORDED, UVICORN, Server, StartServer, serving
from tests.stores import FAQ, make_store
from tests.stub_model import StubModel

ASK, ADMIN = "token-of-a-caller-0001", "token-of-an-admin-0002"
OURS, CALLERS = "sk-of-the-house-0003", "key-of-one-caller-0004"
UNKNOWN = "token-that-is-wrong-0005"
SECRET_WORDS = "비밀스러운 말"
PROMPT = f"{SECRET_WORDS}: 유퀴즈 출연 후 아쉬웠던 점은 무엇인가요?"
REFUSED = f"{SECRET_WORDS}: 화성 이주 계획의 예산은 얼마인가요?"
OWN_ID = re.compile("[0-9a-f]{32}")
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@dataclass
class Watched:
    """A server behind tokens with a language model, and everything that came out of it."""

    server: Server
    stub: StubModel
    replies: list[requests.Response] = field(default_factory=list)

    def ask(self, prompt: str = PROMPT, path: str = "/chat/", token: str = ASK, **more: Any) -> requests.Response:
        reply = self.server.post({"prompt": prompt, "api_key": CALLERS, **more}, path, headers=bearer(token))
        self.replies.append(reply)
        return reply

    def get(self, path: str, token: str = ADMIN, **headers: str) -> requests.Response:
        reply = self.server.get(path, headers={**bearer(token), **headers})
        self.replies.append(reply)
        return reply

    def metrics(self) -> Series:
        return series(self.get("/metrics").text)

    def lines(self) -> list[dict[str, Any]]:
        """The log, each line of which must be a JSON object."""
        return [json.loads(line) for line in self.server.written().splitlines()]

    def fail(self, patch: pytest.MonkeyPatch, fault: str) -> None:
        """Let the stub fail as it does for a model of that name, whatever model is asked."""
        kind = type(self.stub)
        patch.setattr(self.stub, "_fault", lambda request, _model: kind._fault(self.stub, request, fault))
        patch.setattr(self.stub, "answer", "" if fault == "empty" else self.stub.answer)
        patch.setattr(self.stub, "_send", lambda _model, pieces: kind._send(self.stub, fault, pieces))


def series(page: str) -> Series:
    """Samples by name and labels, as Prometheus reads them; each must have a type and a text."""
    found: Series = {}
    for family in text_string_to_metric_families(page):
        assert family.type != "unknown"
        assert family.documentation
        for sample in family.samples:
            found[sample.name, frozenset(sample.labels.items())] = sample.value
    return found


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def rise(before: Series, after: Series) -> Series:
    """What rose, without what rises by itself."""
    own = ("process_", "persona_request_seconds")
    return {
        at: value - before.get(at, 0)
        for at, value in after.items()
        if value != before.get(at, 0) and not at[0].startswith(own) and not at[0].endswith(("_created", "_bucket"))
    }


@pytest.fixture(scope="module")
def watched(
    faq_folder: Path, add_stub_model: Callable[[], StubModel], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    stub = add_stub_model()
    tokens = tmp_path_factory.mktemp("tokens") / "tokens.txt"
    tokens.write_text(f"caller: {ASK}\nadmin: {ADMIN} admin\n", encoding="utf-8")
    known = {"OPENAI_BASE_URL": stub.base_url, "OPENAI_API_KEY": OURS, "PERSONA_MODEL": "stub"}
    guarded = {"PERSONA_SERVER_TOKENS_FILE": str(tokens), "PERSONA_RATE_LIMIT": "off"}
    with serving(faq_folder, env={**known, **guarded, "PERSONA_LOG_FORMAT": "json"}) as server:
        yield Watched(server, stub)


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    make_store(tmp_path / "vector_store")
    return tmp_path


def test_a_request_is_one_line_that_tells_how_it_went(watched: Watched) -> None:
    reply = watched.server.post(
        {"prompt": PROMPT}, "/chat/?mine=yes", headers={**bearer(ASK), "X-Request-ID": "this.one_1-2"}
    )
    assert reply.json()["mode"] == "generated"
    start, *_ = lines = watched.lines()
    (line,) = (line for line in lines if line.get("request_id") == "this.one_1-2")
    assert (start["event"], start["place"]) == ("start", watched.server.url)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("time"))
    assert 0 < line.pop("first_token_ms") <= line.pop("ms")
    assert line == {
        "level": "info",
        "event": "request",
        "request_id": "this.one_1-2",
        "method": "POST",
        "path": "/chat/",
        "status": 200,
        "mode": "generated",
        "bytes": len(reply.content),
    }


REQUESTS: list[tuple[int, str, str, dict[str, Any]]] = [
    (200, "GET", "/", {}),
    (200, "HEAD", "/healthz", {"headers": {}}),
    (401, "POST", "/chat/", {"headers": {}, "json": {"prompt": PROMPT}}),
    (401, "GET", "/metrics", {"headers": bearer(UNKNOWN)}),
    (403, "GET", "/metrics", {}),
    (404, "GET", f"/nowhere/{ASK}?{UNKNOWN}", {}),
    (405, "PUT", "/chat/", {}),
    (422, "POST", "/chat/", {"json": {}}),
    (400, "POST", "/chat/", {"data": b"{", "headers": {**bearer(ASK), "Content-Type": "application/json"}}),
    (413, "POST", "/chat/", {"data": b"x" * 1_000_001}),
    (403, "POST", "/chat/", {"json": {"prompt": PROMPT, "db_path": "/etc"}}),
    (400, "POST", "/v1/chat/completions", {"json": {"model": "persona", "messages": []}}),
]


@pytest.mark.parametrize(("status", "method", "path", "more"), REQUESTS)
def test_every_response_has_an_id_of_its_own_and_is_counted(
    watched: Watched, status: int, method: str, path: str, more: dict[str, Any]
) -> None:
    before = watched.metrics()
    reply = requests.request(method, watched.server.url + path, timeout=60, **{"headers": bearer(ASK), **more})
    watched.replies.append(reply)
    assert reply.status_code == status
    assert OWN_ID.fullmatch(reply.headers["X-Request-ID"])
    assert len({r.headers["X-Request-ID"] for r in watched.replies}) == len(watched.replies)
    after = rise(before, watched.metrics())
    counted = [dict(at[1]) for at in after if at[0] == "persona_requests_total" and ("route", "/metrics") not in at[1]]
    if not path.startswith("/metrics"):
        assert [(labels["method"], labels["status"]) for labels in counted] == [(method, str(status))]


GOOD = ["a", "A.b_c-9", "a" * 64, "-", "550e8400-e29b-41d4-a716-446655440000"]
BAD = ["", "a" * 65, "a b", "a\tb", "a,b", 'x"}', "../x", "<b>", "%0d%0aX: y", "ä", "번호", "\x1b[2J", "\x7f", "a\x00"]


@pytest.mark.parametrize("sent", GOOD)
def test_a_callers_id_is_kept(watched: Watched, sent: str) -> None:
    assert watched.get("/healthz", **{"X-Request-ID": sent}).headers["X-Request-ID"] == sent


@pytest.mark.parametrize("sent", [*BAD, ADMIN, f"x.{ADMIN}", OURS])
def test_a_callers_id_that_could_do_harm_is_replaced(watched: Watched, sent: str) -> None:
    head = watched.server.send(
        "GET /v1/models HTTP/1.1", "Host: localhost", f"X-Request-ID: {sent}", f"Authorization: Bearer {ADMIN}"
    )
    ids = re.findall(rb"(?im)^x-request-id: (.*)\r$", head.partition(b"\r\n\r\n")[0])
    assert (OWN_ID.fullmatch(ids[0].decode()) and ids[1:] == []) if ids else head.startswith(b"HTTP/1.1 400")


def test_of_two_ids_neither_is_kept(watched: Watched) -> None:
    head = watched.server.send("GET /healthz HTTP/1.1", "Host: localhost", "X-Request-ID: one", "X-Request-ID: two")
    assert re.search(rb"x-request-id: [0-9a-f]{32}\r", head)


def test_an_answer_is_counted_with_its_tokens_and_times(watched: Watched) -> None:
    before = watched.metrics()
    usage = watched.ask().json()["usage"]
    watched.ask(REFUSED)
    after = watched.metrics()
    risen = rise(before, after)
    assert {at: value for at, value in risen.items() if "_seconds_" not in at[0]} == {
        key("persona_requests_total", route="/chat/", method="POST", status="200"): 2,
        key("persona_requests_total", route="/metrics", method="GET", status="200"): 1,
        key("persona_answers_total", mode="generated"): 1,
        key("persona_answers_total", mode="refused"): 1,
        key("persona_tokens_total", kind="prompt"): usage["prompt_tokens"],
        key("persona_tokens_total", kind="completion"): usage["completion_tokens"],
    }
    assert {at: value for at, value in risen.items() if at[0].endswith("_seconds_count")} == {
        key("persona_first_token_seconds_count", mode="generated"): 1,
        key("persona_first_token_seconds_count", mode="refused"): 1,
        key("persona_retrieval_seconds_count", step="embed"): 2,
        key("persona_retrieval_seconds_count", step="search"): 2,
    }
    assert after[key("persona_answers_running")] == 0


def test_a_streamed_answer_is_observed_too(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.fail(monkeypatch, "slow")
    model = watched.get("/v1/models").json()["data"][0]["id"]
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
    reply = watched.server.post(body, "/v1/chat/completions", headers=bearer(ASK))
    assert reply.text.endswith("data: [DONE]\n\n")
    (line,) = (line for line in watched.lines() if line.get("request_id") == reply.headers["X-Request-ID"])
    assert (line["mode"], line["bytes"]) == ("generated", len(reply.content))
    assert line["first_token_ms"] + 500 < line["ms"]  # of ten tokens, each 100 ms after the one before


def test_metrics_tell_what_runs_and_have_no_other_labels_than_these(watched: Watched) -> None:
    watched.ask()
    found = watched.metrics()
    names: dict[str, set[str]] = {}
    for name, labels in found:
        if name.startswith("persona_") and not name.endswith("_created"):
            names.setdefault(re.sub("_(bucket|sum|count)$", "", name), set()).update(dict(labels))
    assert names == {
        "persona_requests_total": {"route", "method", "status"},
        "persona_request_seconds": {"route", "le"},
        "persona_answers_total": {"mode"},
        "persona_answers_running": set(),
        "persona_first_token_seconds": {"mode", "le"},
        "persona_tokens_total": {"kind"},
        "persona_retrieval_seconds": {"step", "le"},
        "persona_upstream_errors_total": {"operation", "kind"},
        "persona_generation": {"store"},
        "persona_build_info": {"version", "python"},
    }
    assert found[key("persona_generation", store="vector_store")] == 1
    assert [value for (name, _), value in found.items() if name == "persona_build_info"] == [1]
    page = watched.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=")


def test_callers_cannot_make_labels(watched: Watched) -> None:
    def ask(at: int) -> None:
        paths = (f"/x{at}", f"/v1/models/x{at}", f"/page/x{at}", f"/chat/{at}/../{at}", f"//{at}", f"/metrics/{at}")
        for method in ("GET", f"M{at}", "POST"):
            requests.request(method, watched.server.url + paths[at % 6], headers=bearer(ASK), timeout=60)

    for at in range(6):
        ask(at)
    before = watched.metrics().keys()
    for at in range(6, 200):
        ask(at)
    assert watched.metrics().keys() == before
    assert len(before) < 500


def test_metrics_are_for_admins_where_callers_have_tokens(watched: Watched) -> None:
    assert [watched.get("/metrics", token).status_code for token in (UNKNOWN, ASK, ADMIN)] == [401, 403, 200]
    assert [watched.get("/readyz", token).status_code for token in (UNKNOWN, ASK, ADMIN)] == [401, 200, 200]


FAULTS = {
    "error-401": "refused",
    "error-400": "refused",
    "malformed": "broken",
    "drop": "unavailable",
    "empty": "broken",
    "html": "broken",
    "error-500": "unavailable",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_of_the_model_is_counted_by_its_kind(
    watched: Watched, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = watched.metrics()
    watched.fail(monkeypatch, fault)
    reply = watched.ask()
    stood_in = reply.status_code == 200  # the recorded words did
    after = rise(before, watched.metrics())
    assert after[key("persona_upstream_errors_total", operation="chat", kind=FAULTS[fault])] == 1
    assert after.get(key("persona_answers_total", mode="quoted"), 0) == stood_in
    lines = [line for line in watched.lines() if line.get("request_id") == reply.headers["X-Request-ID"]]
    assert [line["level"] for line in lines] == (["info"] if stood_in else ["warning", "info"])


def test_what_an_endpoint_says_of_a_request_is_not_logged(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = watched.stub.answer
    monkeypatch.setattr(watched.stub, "_fault", lambda *_: _echo(f"cannot read {PROMPT[:40]} with {CALLERS}"))
    reply = watched.ask()
    assert SECRET_WORDS in reply.json()["error"]["message"]  # the caller's own
    assert CALLERS not in reply.text
    log = watched.server.written()
    assert "refused the request for 'stub'" in log
    assert SECRET_WORDS not in json.dumps(watched.lines(), ensure_ascii=False)
    assert answer not in log


async def _echo(message: str) -> Any:
    from starlette.responses import JSONResponse

    return JSONResponse({"error": {"message": message, "type": "x", "param": None, "code": None}}, 400)


def test_an_answer_is_under_way_until_it_ends_or_its_caller_leaves(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = key("persona_answers_running")
    watched.fail(monkeypatch, "hang")
    before = len(watched.stub.requests)
    with pytest.raises(requests.ReadTimeout):
        watched_for(watched, before, running)
    deadline = time.monotonic() + 20
    while watched.metrics()[running] and time.monotonic() < deadline:
        pass
    assert watched.metrics()[running] == 0


def watched_for(watched: Watched, before: int, running: Any) -> None:
    """Ask, see the answer under way, and leave."""
    seen: list[float] = []

    def look() -> None:
        while len(watched.stub.requests) == before:
            time.sleep(0.01)
        seen.append(watched.metrics()[running])

    looking = threading.Thread(target=look)
    looking.start()
    try:
        requests.post(watched.server.url + "/chat/", json={"prompt": PROMPT}, headers=bearer(ASK), timeout=1)
    finally:
        looking.join()
        assert seen == [1]


def test_nothing_that_was_said_and_no_key_is_in_log_metrics_or_headers(watched: Watched) -> None:
    """After all that the tests before did: successes, and each kind of fault."""
    watched.ask()
    watched.ask(path=f"/chat/?key={CALLERS}")
    watched.get(f"/{ADMIN}/{UNKNOWN}/{OURS}", UNKNOWN)
    written = json.dumps(watched.lines(), ensure_ascii=False) + watched.server.written()
    page = watched.get("/metrics").text
    headers = "".join(str(reply.headers) for reply in watched.replies)
    for secret in (ASK, ADMIN, OURS, CALLERS, UNKNOWN, SECRET_WORDS, watched.stub.answer, RECORDED, "유퀴즈"):
        assert secret not in written
        assert secret not in page
        assert secret not in headers


def test_questions_are_logged_where_that_is_asked_for_and_keys_never(
    faq_folder: Path, stub_model: StubModel, start_server: StartServer
) -> None:
    known = {"OPENAI_BASE_URL": stub_model.base_url, "PERSONA_MODEL": "echo", "OPENAI_API_KEY": OURS}
    server = start_server(
        faq_folder, **known, PERSONA_LOG_FORMAT="json", PERSONA_LOG_PROMPTS="true", PERSONA_SERVER_TOKEN=ASK
    )
    prompt = f"{ASKED}\n{CALLERS} {OURS} {ASK} sk-somebody-elses-0006"
    reply = server.post({"prompt": prompt, "api_key": CALLERS}, headers=bearer(ASK))
    assert reply.status_code == 200
    line = json.loads(server.written().splitlines()[-1])
    assert line["prompt"] == f"{ASKED}\n*** *** *** sk-***"
    assert ASKED in line["answer"]
    for secret in (CALLERS, OURS, ASK, "elses-0006"):
        assert secret not in server.written()


def test_lines_for_people_are_plain_and_probes_are_quiet(own_folder: Path, start_server: StartServer) -> None:
    server = start_server(own_folder)
    for path in ("/healthz", "/readyz", "/metrics", "/nope%0aforged%1b[2J%e2%80%ae"):
        server.get(path)
    server.post({"prompt": ASKED}, headers={"X-Request-ID": "mine"})
    lines = [line for line in server.written().splitlines()[1:] if not line.startswith("  ")]
    assert len(lines) == 2
    day = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.fullmatch(rf"{day} GET /nope�forged�\[2J� 404 [\d.]+ ms bytes=\d+ id=[0-9a-f]{{32}}", lines[0])
    assert re.fullmatch(
        rf"{day} POST /chat/ 200 [\d.]+ ms mode=quoted first_token_ms=[\d.]+ bytes=\d+ id=mine", lines[1]
    )


def test_it_is_ready_when_something_was_ingested_and_tells_each_generation(
    tmp_path: Path, start_server: StartServer
) -> None:
    server = start_server(tmp_path)
    reply = server.get("/readyz")
    assert reply.status_code == 503
    assert reply.json()["error"]["code"] == "not_ready"
    assert "Retry-After" in reply.headers
    assert not {"vector_store", str(tmp_path)} & set(re.split(r"['\s]", reply.text))
    assert "nothing has been ingested into 'vector_store' yet" in server.written()
    served = key("persona_generation", store="vector_store")
    assert served not in series(server.get("/metrics").text)
    for generation in (1, 2, 3):
        more = [Chunk(f"지금은 {generation}번째예요.", "line 1", "몇 번째예요?")]
        make_store(tmp_path / "vector_store", {"faq.txt": FAQ, "more.txt": more})
        assert server.get("/readyz").json() == {"status": "ready"}
        assert series(server.get("/metrics").text)[served] == generation
        assert server.post({"prompt": ASKED}).json()["output"] == RECORDED


def buggy() -> FastAPI:
    """The application with a route that has a bug, whose text tells all."""
    app = create_app()

    @app.get("/bug")
    def fail() -> None:
        try:
            raise ValueError(SECRET_WORDS)
        except ValueError as error:
            raise RuntimeError(f"cannot use {CALLERS}") from error

    return app


def test_a_bug_is_logged_with_its_place_and_id_but_without_its_text(
    faq_folder: Path, start_server: StartServer
) -> None:
    command = [part.replace("persona_cli.server:create_app", f"{__name__}:buggy") for part in UVICORN]
    server = start_server(faq_folder, command=command, PERSONA_LOG_FORMAT="json")
    reply = server.get("/bug", headers={"X-Request-ID": "the-bug"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (500, "bug")
    assert reply.headers["X-Request-ID"] == "the-bug"
    deadline = time.monotonic() + 20
    while "RuntimeError" not in server.written() and time.monotonic() < deadline:
        pass
    *_, request, bug = (json.loads(line) for line in server.written().splitlines() if line.startswith("{"))
    os.truncate(server.log, 0)  # tests do not expect a traceback there
    assert (request["event"], request["status"], request["request_id"]) == ("request", 500, "the-bug")
    assert (bug["level"], bug["request_id"]) == ("error", "the-bug")
    assert bug["exception"].endswith("\nbuiltins.RuntimeError\n")
    assert "builtins.ValueError\nwhich led to\nTraceback" in bug["exception"]
    assert 'in fail\n    raise RuntimeError(f"cannot use {CALLERS}") from error' in bug["exception"]
    assert not {SECRET_WORDS, CALLERS} & set(re.split("[' \n]", json.dumps(bug, ensure_ascii=False)))
    counted = series(server.get("/metrics").text)
    assert counted[key("persona_requests_total", route="/bug", method="GET", status="500")] == 1
