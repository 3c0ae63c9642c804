"""Starting, stopping and changing what lies beneath a server that runs."""

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.commands import PERSONA, persona
from tests.servers import ASKED, RECORDED, UVICORN, Server, StartServer, environment
from tests.stores import make_store
from tests.stub_model import StubModel

TOKEN = "token-of-the-house"
PUBLISH = """
import sys
from pathlib import Path
from tests.stores import FAQ, POST, make_store
from persona_cli.models import Chunk
for line in sys.stdin:
    words = f"세대 번호는 {line.strip()}번이에요, 다른 번호를 말한 사람은 없어요."
    asked = "이 저장소의 세대 번호는 몇 번이에요?"
    make_store(Path("vector_store"), {"faq.txt": FAQ, "post.md": POST, "number.txt": [Chunk(words, "line 1", asked)]})
    print("published", flush=True)
"""


def refused(folder: Path, *flags: str, status: int = 1, **variables: str) -> str:
    """What `persona serve` says when it does not start; it must be one line, and the status as given."""
    done = subprocess.run(
        [*PERSONA, "serve", *flags], cwd=folder, env=environment(variables), capture_output=True, check=False
    )
    assert done.returncode == status
    assert done.stdout == b""
    (line,) = done.stderr.decode().splitlines()
    return line


@contextmanager
def publisher(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process, which publishes a generation for each line it is given."""
    with subprocess.Popen(
        [sys.executable, "-c", PUBLISH],
        cwd=folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


def publish(process: "subprocess.Popen[str]", number: int) -> None:
    assert process.stdin
    assert process.stdout
    print(number, file=process.stdin, flush=True)
    assert process.stdout.readline() == "published\n"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "persona.example", "localhost.example"])
def test_an_address_others_can_reach_needs_a_token(tmp_path: Path, host: str) -> None:
    line = refused(tmp_path, "--host", host, "--token", "", status=2)
    assert line.startswith(f"persona: {host!r} can be reached from other machines: set PERSONA_SERVER_TOKEN")


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(tmp_path, "--port", str(port))
    assert re.fullmatch(rf"persona: cannot listen on 127.0.0.1 port {port}: .+; choose another with --port", line)


def test_an_address_of_another_machine_is_named(tmp_path: Path) -> None:
    line = refused(tmp_path, "--host", "192.0.2.1", "--token", TOKEN)
    assert line.startswith("persona: cannot listen on 192.0.2.1 port 8000: ")


def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    assert (
        refused(tmp_path, PERSONA_TOPK="3")
        == "persona: there is no setting 'PERSONA_TOPK': did you mean PERSONA_TOP_K?"
    )


def test_the_refusal_is_in_korean_under_a_korean_locale(tmp_path: Path) -> None:
    assert "다른 컴퓨터에서도 닿습니다" in refused(tmp_path, "--host", "0.0.0.0", status=2, LC_ALL="ko_KR.UTF-8")


def after_panel(server: Server) -> list[str]:
    """What a server wrote after its panel, whose rows are indented, without the lines of requests."""
    return [line for line in server.written().splitlines()[1:] if not re.match(r"  |[-0-9]+ [:0-9]+ [A-Z]+ /", line)]


def test_a_panel_says_where_and_how_it_answers(
    faq_folder: Path, stub_model: StubModel, start_server: StartServer
) -> None:
    quiet = start_server(faq_folder, "--db", "vector_store", "--db", "nothing")
    assert quiet.get("/healthz").status_code == 200
    quiet.end()
    assert quiet.written().splitlines() == [
        f"persona answers at {quiet.url}",
        f"  page     {quiet.url}/",
        "  store    vector_store: nobody named, 4 chunks, embedding on this machine; no text leaves it",
        "  store    nothing has been ingested into 'nothing' yet: run `persona ingest FOLDER`",
        "  answers  recorded words only; for a caller with a key of their own, 'gpt-5.4-mini' at api.openai.com",
        "  token    not needed: this machine alone is answered",
        "  limits   each caller as often as they like, 64 answers at once, 1 MB a request",
    ]
    known = {"OPENAI_BASE_URL": stub_model.base_url.replace("//", "//user:secret@"), "PERSONA_MODEL": "stub"}
    tokens = {
        "PERSONA_SERVER_TOKEN": "one-of-two,two-of-two",
        "PERSONA_RATE_LIMIT": "7/second",
        "LC_ALL": "ko_KR.UTF-8",
    }
    open_ = start_server(faq_folder, "--host", "0.0.0.0", **known, **tokens)
    open_.end()
    said = open_.written()
    assert f"  화면    http://127.0.0.1:{open_.port}/\n" in said
    assert f"'stub' 모델이 씁니다. 질문과 구절이 {stub_model.base_url.split('/')[2]}에 전송됩니다" in said
    assert "필요함: PERSONA_SERVER_TOKEN (ask); PERSONA_SERVER_TOKEN (ask)" in said
    assert "7/second" in said
    assert "secret" not in said
    assert "of-two" not in said


def test_a_server_without_a_store_starts_and_says_what_to_do(tmp_path: Path, start_server: StartServer) -> None:
    server = start_server(tmp_path)
    assert server.post({"prompt": ASKED}).status_code == 404
    make_store(tmp_path / "vector_store")
    assert server.post({"prompt": ASKED}).json()["output"] == RECORDED
    assert "run `persona ingest FOLDER`" in after_panel(server)[0]


@pytest.mark.parametrize("flags", [[], ["--workers", "2"], ["--reload"]], ids=["one", "two", "reload"])
def test_it_ends_at_once_when_told_to(faq_folder: Path, start_server: StartServer, flags: list[str]) -> None:
    server = start_server(faq_folder, *flags)
    for _ in range(8):  # new connections, so that both of two processes get some
        assert server.post({"prompt": ASKED}).json()["output"] == RECORDED
    assert server.end(signal.SIGTERM) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))
    assert len(after_panel(server)) == ("--reload" in flags)


def test_ctrl_c_ends_it_with_the_status_of_an_interruption(faq_folder: Path, start_server: StartServer) -> None:
    server = start_server(faq_folder)
    assert server.get("/healthz").status_code == 200
    assert server.end(signal.SIGINT) == 130
    assert after_panel(server) == ["persona: interrupted"]


def test_it_can_be_ended_while_it_starts(faq_folder: Path, start_server: StartServer) -> None:
    assert start_server(faq_folder).end(signal.SIGTERM) == 0


def test_an_answer_that_is_under_way_comes_to_its_end(
    faq_folder: Path, stub_model: StubModel, start_server: StartServer
) -> None:
    server = start_server(faq_folder, OPENAI_BASE_URL=stub_model.base_url, PERSONA_MODEL="slow")
    with ThreadPoolExecutor() as threads:
        reply = threads.submit(server.post, {"prompt": ASKED})
        while not stub_model.requests:
            time.sleep(0.02)
        assert server.end(signal.SIGTERM) == 0
        assert reply.result().json()["output"] == stub_model.answer


@pytest.mark.slow
def test_an_answer_that_does_not_come_is_given_up(
    faq_folder: Path, stub_model: StubModel, start_server: StartServer
) -> None:
    server = start_server(faq_folder, OPENAI_BASE_URL=stub_model.base_url, PERSONA_MODEL="hang")
    with ThreadPoolExecutor() as threads:
        reply = threads.submit(server.post, {"prompt": ASKED})
        while not stub_model.requests:
            time.sleep(0.02)
        assert server.end(signal.SIGTERM) == 0
        assert reply.result().status_code == 503
        assert reply.result().json()["error"]["message"].startswith("the server is stopping")


@pytest.mark.slow
def test_an_embedding_model_that_is_silent_does_not_hold_up_the_end(
    tmp_path: Path, stub_model: StubModel, start_server: StartServer
) -> None:
    (tmp_path / "faq.txt").write_text(f"{ASKED} {RECORDED}", encoding="utf-8")
    known = {"OPENAI_BASE_URL": stub_model.base_url, "PERSONA_EMBEDDING": "openai:stub"}
    assert persona("ingest", "faq.txt", cwd=tmp_path, env=known).returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = start_server(tmp_path, OPENAI_BASE_URL=f"http://127.0.0.1:{silent.getsockname()[1]}/v1")
        with ThreadPoolExecutor() as threads:
            reply = threads.submit(server.post, {"prompt": ASKED})
            with silent.accept()[0]:
                assert server.end(signal.SIGTERM) == 0
            assert reply.result().status_code == 503


def test_with_a_token_it_answers_on_every_address(faq_folder: Path, start_server: StartServer) -> None:
    server = start_server(faq_folder, "--host", "0.0.0.0", PERSONA_SERVER_TOKEN=TOKEN)
    url = f"http://127.0.0.1:{server.port}/chat"
    assert requests.post(url, json={"prompt": ASKED}, timeout=60).status_code == 401
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": "persona.example"}
    assert requests.post(url, json={"prompt": ASKED}, headers=headers, timeout=60).json()["output"] == RECORDED
    server.end()
    assert TOKEN not in server.written()


def test_insecure_answers_on_every_address_and_says_so(faq_folder: Path, start_server: StartServer) -> None:
    server = start_server(faq_folder, "--host", "0.0.0.0", "--insecure")
    url = f"http://127.0.0.1:{server.port}/chat"
    headers = {"Host": "persona.example"}
    assert requests.post(url, json={"prompt": ASKED}, headers=headers, timeout=60).json()["output"] == RECORDED
    server.end()
    assert "NOT needed: whoever reaches this address may ask (--insecure)" in server.written()
    assert "120/minute" in server.written()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "::1"])
def test_it_answers_at_the_address_it_announces(faq_folder: Path, start_server: StartServer, host: str) -> None:
    if host == "::1" and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 on this machine")
    server = start_server(faq_folder, "--host", host)
    assert host in server.url
    assert server.post({"prompt": ASKED}).json()["output"] == RECORDED


def test_uvicorn_serves_the_same_with_settings_of_the_environment(faq_folder: Path, start_server: StartServer) -> None:
    for variables in ({}, {"PERSONA_DB": str(faq_folder / "vector_store")}):
        server = start_server(faq_folder, command=UVICORN, **variables)
        assert server.get("/").json() == {"Hello": "World"}
        assert server.post({"prompt": ASKED, "db_path": "vector_store/"}).json()["output"] == RECORDED


def test_uvicorn_on_every_address_answers_this_machine_only(faq_folder: Path, start_server: StartServer) -> None:
    server = start_server(faq_folder, "--host", "0.0.0.0", command=UVICORN)
    url = f"http://127.0.0.1:{server.port}/chat"
    assert requests.post(url, json={"prompt": ASKED}, timeout=60).json()["output"] == RECORDED
    forwarded = {"X-Forwarded-For": "192.0.2.7"}  # as a proxy on this machine says whom it asks for
    assert requests.post(url, json={"prompt": ASKED}, headers=forwarded, timeout=60).status_code == 403


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    make_store(tmp_path / "vector_store")
    return tmp_path


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_new_generation_is_answered_from_at_once(own_folder: Path, start_server: StartServer, workers: str) -> None:
    server = start_server(own_folder, "--workers", workers)
    question = {"prompt": "이 저장소의 세대 번호는 몇 번이에요?"}
    assert server.post(question).json()["mode"] == "refused"
    with publisher(own_folder) as process:
        for number in (1, 2):
            publish(process, number)
            for _ in range(4):
                assert f"번호는 {number}번" in server.post(question).json()["output"]


def test_many_callers_are_answered_while_generations_are_published(own_folder: Path, start_server: StartServer) -> None:
    server = start_server(own_folder)
    known = {ASKED: RECORDED, "방송은 언제 하나요?": "화요일, 목요일, 토요일 밤 아홉 시요."}
    published = threading.Event()

    def ask(number: int) -> list[tuple[int, Any, str]]:
        question = list(known)[number % len(known)]
        replies: list[tuple[int, Any, str]] = []
        while not replies or not published.is_set():
            response = server.post({"prompt": question})
            replies.append((response.status_code, response.json().get("output"), known[question]))
        return replies

    with publisher(own_folder) as process, ThreadPoolExecutor(32) as threads:
        callers = [threads.submit(ask, number) for number in range(32)]
        try:
            for number in range(5):
                publish(process, number)
        finally:
            published.set()
        replies = [reply for caller in callers for reply in caller.result()]
    assert [reply for reply in replies if reply[0] != 200 or reply[1] != reply[2]] == []
    assert "번호는 4번" in server.post({"prompt": "이 저장소의 세대 번호는 몇 번이에요?"}).json()["output"]


def test_callers_who_hold_their_connections_do_not_keep_others_out(quoting: Server) -> None:
    idle = [socket.create_connection(("127.0.0.1", quoting.port)) for _ in range(100)]
    for connection in idle:
        connection.sendall(b"POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    assert quoting.get("/healthz").status_code == 200
    for connection in idle:
        connection.close()
