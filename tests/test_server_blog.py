"""The blog's protocol, with the blog's own client, over a real socket."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from persona_cli import PersonaChatbot
from tests.commands import persona
from tests.local_model import LocalModel
from tests.servers import ASKED, RECORDED, Server, StartServer, client, serving
from tests.stub_model import StubModel

KEY = "sk-of-one-caller-0123456789"


@pytest.fixture(scope="module")
def stub(add_stub_model: Callable[[], StubModel]) -> StubModel:
    """The language model of the server `generating`."""
    return add_stub_model()


@pytest.fixture(scope="module")
def generating(faq_folder: Path, stub: StubModel) -> Iterator[Server]:
    """A server that answers through the stub, which refuses no key."""
    with serving(faq_folder, env={"OPENAI_BASE_URL": stub.base_url, "PERSONA_MODEL": "stub"}) as server:
        yield server


def blog_client(url: str, api_key: str = "anything") -> Any:
    """The blog's lines, unchanged but for the address."""
    return requests.post(
        f"{url}/chat", json={"api_key": api_key, "db_path": "vector_store/", "prompt": ASKED}, timeout=120
    ).json()["output"]


def closed_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_blog_client_gets_the_recorded_words_when_no_model_is_configured(quoting: Server) -> None:
    assert blog_client(quoting.url, api_key="") == RECORDED


def test_blog_client_gets_an_answer_of_the_configured_model(generating: Server, stub: StubModel) -> None:
    assert blog_client(generating.url) == stub.answer
    assert RECORDED in str(stub.requests[-1].body["messages"])


@pytest.mark.slow
@pytest.mark.timeout(180)  # it answers as long as it likes
def test_blog_client_gets_an_answer_of_a_real_model(
    faq_folder: Path, local_model: LocalModel, start_server: StartServer
) -> None:
    server = start_server(faq_folder, OPENAI_BASE_URL=local_model.base_url, PERSONA_MODEL=local_model.name)
    assert blog_client(server.url).strip()
    reply = server.post({"prompt": "Why did you move the studio in November?"}).json()
    assert (reply["mode"], reply["model"]) == ("generated", local_model.name)
    assert reply["sources"][0]["source"] == "post.md"
    assert reply["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize("path", ["/chat", "/chat/"])
def test_both_paths_answer_without_a_redirect(quoting: Server, path: str) -> None:
    response = quoting.post({"prompt": ASKED}, path, allow_redirects=False)
    assert response.status_code == 200
    assert response.json()["output"] == RECORDED


def test_a_session_goes_on_from_http_to_the_command_line_and_back(faq_folder: Path, start_server: StartServer) -> None:
    server = start_server(faq_folder)
    first = server.post({"prompt": ASKED, "session_id": "new"}).json()
    assert first["disclosure"]
    session = first["session_id"]
    done = persona("ask", "제 이름은 민수예요", "--session", session, cwd=faq_folder)
    assert done.returncode == 0, done.stderr
    again = server.post({"prompt": "제 이름이 뭐라고 했죠?", "session_id": session}).json()
    assert again["output"] == "앞에서 이렇게 말씀하셨어요: “제 이름은 민수예요”"
    assert (again["session_id"], again["disclosure"]) == (session, None)
    assert server.post({"prompt": ASKED, "session_id": "nobody"}).status_code == 404
    assert server.post({"prompt": ASKED}).json()["session_id"] is None


def test_only_the_prompt_is_required_and_unknown_fields_are_left_alone(quoting: Server) -> None:
    reply = quoting.post({"prompt": ASKED, "api_key": None, "db_path": None, "temperature": 2}).json()
    assert reply["output"] == RECORDED


def test_reply_tells_how_it_came_about(quoting: Server) -> None:
    reply = quoting.post({"prompt": ASKED}).json()
    (source,) = reply["sources"]
    assert (reply["mode"], reply["answerable"], reply["model"], reply["notice"]) == ("quoted", True, None, None)
    assert (source["n"], source["source"], source["locator"]) == (1, "faq.txt", "line 1")
    assert source["date"] == "2024-03-05"
    assert {"embed", "search", "first_token", "total"} <= reply["timings_ms"].keys()


def test_the_server_answers_as_the_core_does(quoting: Server, faq_folder: Path) -> None:
    for question in (ASKED, "방송은 언제 하나요?", "Why did you move the studio?", "양자역학 논문은 언제 쓰세요?"):
        answer = PersonaChatbot(db_path=faq_folder / "vector_store").ask(question)
        reply = quoting.post({"prompt": question}).json()
        assert (reply["output"], reply["mode"]) == (answer.output, answer.mode)


def test_a_question_that_was_never_spoken_about_is_refused_with_status_200(quoting: Server) -> None:
    response = quoting.post({"prompt": "화성 이주 계획의 예산은 얼마인가요?"})
    assert response.status_code == 200
    assert (response.json()["mode"], response.json()["answerable"]) == ("refused", False)


def test_recorded_words_stand_in_when_the_model_cannot_be_reached(faq_folder: Path, start_server: StartServer) -> None:
    address = f"http://127.0.0.1:{closed_port()}/v1"
    server = start_server(faq_folder, OPENAI_BASE_URL=address, PERSONA_MODEL="stub")
    assert blog_client(server.url) == RECORDED
    reply = server.post({"prompt": ASKED}).json()
    assert reply["mode"] == "quoted"
    assert "cannot be reached" in reply["notice"]
    assert "these are the recorded words" in reply["notice"]


def test_the_callers_key_is_used_for_that_request_only(generating: Server, stub: StubModel) -> None:
    before = len(stub.requests)
    for key in (KEY, None, "", f" {KEY}\n"):
        assert generating.post({"prompt": ASKED, "api_key": key}).status_code == 200
    sent = [request.headers["authorization"] for request in stub.requests[before:]]
    assert sent == [f"Bearer {KEY}", "Bearer none", "Bearer none", f"Bearer {KEY}"]


def test_the_callers_key_stays_with_its_caller_when_many_ask_at_once(generating: Server, stub: StubModel) -> None:
    before = len(stub.requests)
    keys = [f"{KEY}-{i}" if i % 2 else None for i in range(16)]
    threads = [threading.Thread(target=generating.post, args=[{"prompt": ASKED, "api_key": key}]) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent = [request.headers["authorization"] for request in stub.requests[before:]]
    assert sorted(sent) == sorted(f"Bearer {key or 'none'}" for key in keys)


@pytest.mark.parametrize("model", ["stub", "error-401", "error-400", "error-500", "html", "malformed", "drop", "empty"])
def test_the_callers_key_is_in_no_reply_and_no_log(
    faq_folder: Path,
    stub_model: StubModel,
    model: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with client(faq_folder / "vector_store", openai_base_url=stub_model.base_url, model=model) as caller:
        reply = caller.post("/chat", json={"prompt": ASKED, "api_key": KEY})
    assert stub_model.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in reply.text + str(reply.headers) + caplog.text + "".join(capfd.readouterr())


def test_a_key_that_the_model_refuses_is_not_in_the_servers_log(
    faq_folder: Path, stub_model: StubModel, start_server: StartServer
) -> None:
    server = start_server(faq_folder, OPENAI_BASE_URL=stub_model.base_url, PERSONA_MODEL="error-401")
    reply = server.post({"prompt": ASKED, "api_key": KEY})
    server.end()
    assert reply.status_code == 502
    assert "refused the key" in server.written()
    assert KEY not in reply.text + server.written()


@pytest.mark.parametrize("key", ["열쇠", "sk-a\nX-Evil: 1", "sk-a b", "\x00", "k" * 5_000])
def test_a_key_that_no_header_can_carry_is_refused_without_repeating_it(quoting: Server, key: str) -> None:
    response = quoting.post({"prompt": ASKED, "api_key": key})
    assert response.status_code == 422
    assert response.json()["error"]["param"] == "api_key"
    assert key.split()[0] not in response.text


@contextmanager
def asking(server: Server, stub_model: StubModel) -> Iterator[None]:
    """A caller whose question has reached the model, and who goes away in the end."""
    body = f'{{"prompt": "{ASKED}"}}'.encode()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = (
            f"POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        )
        connection.sendall(f"{head}\r\n\r\n".encode() + body)
        while not stub_model.requests:
            time.sleep(0.02)
        yield


def test_health_is_answered_while_a_model_thinks_and_a_caller_who_goes_away_ends_the_work(
    faq_folder: Path, stub_model: StubModel, start_server: StartServer
) -> None:
    server = start_server(faq_folder, OPENAI_BASE_URL=stub_model.base_url, PERSONA_MODEL="hang")
    with asking(server, stub_model):
        assert server.get("/healthz").json() == {"status": "ok"}
        assert stub_model.cancelled == 0
    while not stub_model.cancelled:
        time.sleep(0.02)
    assert server.get("/healthz").status_code == 200
