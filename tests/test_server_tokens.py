"""Tokens and their scopes, sessions of their own, pages of elsewhere; and ways around each."""

from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
import requests

from persona_cli.server.tokens import load_tokens
from persona_cli.settings import load_settings
from tests.guarded import ADMIN, ALICE, BOB, bearer, echo, error, refusal
from tests.servers import ASKED, RECORDED, StartServer, client
from tests.stores import make_store
from tests.stub_model import StubModel

PAGE = "https://page.example"


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    text = f"# who may ask\r\n\r\nalice: {ALICE}\r\n  밥 : {BOB} ask\r\nthe boss:\t{ADMIN}  ask,admin\r\n"
    path.write_bytes(text.encode("utf-8-sig"))
    return path


def test_each_token_has_its_own_sessions_and_its_scopes(tokens_file: Path) -> None:
    caller = echo(server_tokens_file=tokens_file, server_token="from-the-environment, another,")
    noted = {}
    for token in (ALICE, BOB, ADMIN, "from-the-environment", "another"):
        response = caller.get("/", headers=bearer(token))
        noted[response.json()["owner"]] = response.json()["scopes"]
        assert token not in response.text
    assert len(noted) == 5
    assert list(noted.values()) == [["ask"], ["ask"], ["admin", "ask"], ["ask"], ["ask"]]
    for name in ("alice", "밥", "the boss", f"alice: {ALICE}", "", ",", "from-the-environment, another,"):
        error(caller.get("/", headers=bearer(name)), 401, "invalid_token")


def test_only_admins_get_where_admins_may(tokens_file: Path) -> None:
    caller = echo(server_tokens_file=tokens_file)
    assert caller.delete("/", headers=bearer(ADMIN)).status_code == 200
    for token in (ALICE, BOB):
        assert "admin" in error(caller.delete("/", headers=bearer(token)), 403, None)
    error(caller.delete("/"), 401, "invalid_token")
    for anybody in (echo(), echo(insecure=True)):
        error(anybody.delete("/", headers={**bearer(ADMIN), "X-Scopes": "admin"}), 403, None)


WRONG_LINES = ["{}", ": {}", "alice {}", "alice:", "alice: {} root", "alice: {} ask root", "alice: {}, ask"]


@pytest.mark.parametrize("line", WRONG_LINES)
def test_a_file_of_tokens_that_cannot_be_used_is_named_without_what_it_holds(tmp_path: Path, line: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"bob: {BOB}\n{line.format('s3cret')}\n", encoding="utf-8")
    message = refusal(server_tokens_file=path)
    assert message.startswith(f"{path}, line 2: write `name: token`")
    assert "s3cret" not in message


def test_no_token_where_one_is_announced_is_refused_rather_than_no_token(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    assert "No such file" in refusal(server_tokens_file=path)
    assert "it holds no token" in refusal(server_token=" , ")
    for data, why in ((b"", "no token"), (b"# none\n", "no token"), ("밥: 토큰".encode("cp949"), "not UTF-8")):
        path.write_bytes(data)
        assert why in refusal(server_tokens_file=path)
    path.write_text(f"alice: {ALICE}\nbob: {ALICE}\n", encoding="utf-8")
    assert "twice" in refusal(server_tokens_file=path)


def test_tokens_are_kept_as_digests(tokens_file: Path) -> None:
    tokens = load_tokens(load_settings(server_tokens_file=tokens_file))
    assert len(tokens) == 3
    assert ALICE not in repr(list(tokens)) + repr([getattr(token, "digest", None) for token in tokens])
    assert tokens.find(BOB.encode()) is not None
    assert tokens.find(normalize("NFD", BOB).encode()) is None


def test_nobody_goes_on_with_the_session_of_another_token(tmp_path: Path) -> None:
    make_store(tmp_path)
    caller = client(tmp_path, server_token=f"{ALICE},{BOB}")

    def ask(token: str, session: str) -> Any:
        return caller.post("/chat/", json={"prompt": ASKED, "session_id": session}, headers=bearer(token))

    own = ask(ALICE, "new").json()["session_id"]
    assert ask(ALICE, own).json()["disclosure"] is None  # she is told once
    wide = "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in own)
    guesses = [own, wide, own.swapcase(), f"{own}\0", f" {own}", f"{own}\u200b", own[:8], "%", "*", f"{own}' or 1=1--"]
    for guess in (*guesses, normalize("NFKC", wide), normalize("NFD", own), "", "0", "1", "latest", "null"):
        response = ask(BOB, guess)
        assert response.status_code in (404, 422)
        assert RECORDED not in response.text
    assert "did you mean" not in ask(BOB, own[:-1] + "x").text
    theirs = ask(BOB, "new").json()
    assert theirs["session_id"] != own
    assert theirs["disclosure"]
    assert ask(ALICE, theirs["session_id"]).status_code == 404


def test_where_everybody_may_ask_the_sessions_of_the_command_line_are_not_theirs() -> None:
    assert echo().get("/").json()["owner"] == ""
    assert echo("192.0.2.7", insecure=True).get("/").json()["owner"] != ""


def test_keys_and_tokens_are_in_no_log_and_no_answer(
    faq_folder: Path, tokens_file: Path, stub_model: StubModel, start_server: StartServer
) -> None:
    secrets = {ALICE, BOB, ADMIN, "of-the-flag", "sk-operators", "sk-callers", "wrong-token"}
    known = {"OPENAI_BASE_URL": stub_model.base_url, "OPENAI_API_KEY": "sk-operators", "PERSONA_MODEL": "error-401"}
    flags = ["--token", "of-the-flag", "--host", "0.0.0.0"]
    files = {"PERSONA_SERVER_TOKENS_FILE": str(tokens_file), "PERSONA_RATE_LIMIT": "12/day"}
    server = start_server(faq_folder, *flags, **known, **files)
    url, replies = f"http://127.0.0.1:{server.port}", []
    for token in ("wrong-token", f"{ALICE}x", "of-the-flag", ALICE, BOB, ADMIN) * 3:
        bodies: list[Any] = [
            {"prompt": ASKED, "api_key": "sk-callers"},
            {"prompt": token},
            {"api_key": token, "prompt": {}},
        ]
        for body in bodies:
            reply = requests.post(f"{url}/chat", json=body, headers=bearer(token), timeout=60)
            replies.append(reply)
    assert {reply.status_code for reply in replies} >= {401, 422, 429, 502}
    server.end()
    said = server.written() + "".join(reply.text + str(reply.headers) for reply in replies)
    assert [secret for secret in secrets if secret in said] == []


@pytest.mark.parametrize("settings", [{"server_token": ALICE}, {}, {"insecure": True}])
def test_listed_pages_may_ask_and_read_even_refusals(settings: dict[str, Any]) -> None:
    caller = echo(cors_origins=f" {PAGE.upper()} , http://other.example:3000,", max_body_bytes=1_000, **settings)
    headers: dict[str, Any] = {**bearer(ALICE), "Origin": PAGE}
    answers = [caller.get("/", headers=headers), caller.post("/", content=b" " * 1_001, headers=headers)]
    assert [answer.status_code for answer in answers] == [200, 413]
    assert {answer.headers["access-control-allow-origin"] for answer in answers} == {PAGE}
    assert not [answer for answer in answers if "access-control-allow-credentials" in answer.headers]
    wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-stainless-os"}
    asked_first = caller.options("/", headers={"Origin": PAGE, **wanted})
    assert asked_first.status_code == 200
    assert "authorization" in asked_first.headers["access-control-allow-headers"].lower()


UNLISTED = [
    "null",
    "https://evil.example",
    "http://page.example",
    f"{PAGE}:8443",
    f"{PAGE}.evil.example",
    f"{PAGE}/",
    "",
]


@pytest.mark.parametrize("origin", UNLISTED)
def test_pages_that_are_not_listed_may_neither_ask_nor_read(origin: str) -> None:
    for insecure in (False, True):
        caller = echo(cors_origins=PAGE, insecure=insecure)
        error(caller.post("/", headers={"Origin": origin}), 403, "foreign_caller")
        twice = [("Origin", PAGE), ("Origin", origin)]
        error(caller.post("/", headers=twice), 403, "foreign_caller")
    wanted = {"Access-Control-Request-Method": "POST", "Origin": origin}
    for caller in (echo(cors_origins=PAGE), echo(cors_origins=PAGE, server_token=ALICE)):
        for response in (caller.options("/", headers=wanted), caller.get("/", headers=wanted)):
            assert "access-control-allow-origin" not in response.headers


def test_every_page_may_ask_only_where_everybody_may() -> None:
    for settings in ({}, {"server_token": ALICE}, {"server_token": ALICE, "insecure": True}):
        assert "every page may ask only where everybody may" in refusal(cors_origins="*", **settings)
    response = echo("192.0.2.7", cors_origins="*", insecure=True).get("/", headers={"Origin": "https://any.example"})
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, "*")


@pytest.mark.parametrize(
    "origin", ["null", "page.example", f"{PAGE}/", f"{PAGE}/x", "https://*.example", "https://a b"]
)
def test_what_no_browser_sends_as_an_origin_cannot_be_listed(origin: str) -> None:
    assert refusal(cors_origins=f"{PAGE},{origin}").startswith(f"PERSONA_CORS_ORIGINS cannot be {origin!r}")


def test_insecure_takes_everybody_but_pages_of_others() -> None:
    caller = echo("192.0.2.7", insecure=True)
    for host in ("persona.example", "192.0.2.1:8000", "evil.example"):
        assert caller.get("/", headers={"Host": host}).status_code == 200
        assert caller.post("/", headers={"Host": host, "Origin": f"https://{host}"}).json()["scopes"] == ["ask"]
    for host, origin in (("persona.example", PAGE), ("persona.example", "null"), ("", "null"), ("", "")):
        error(caller.post("/", headers={"Host": host, "Origin": origin}), 403, "foreign_caller")


def test_a_token_is_asked_for_in_spite_of_insecure() -> None:
    error(echo(insecure=True, server_token=ALICE).get("/"), 401, "invalid_token")
