"""`db_path`: which stores a request can reach, and that it learns nothing of what is elsewhere."""

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from persona_cli.models import Chunk
from tests.servers import ASKED, RECORDED, client
from tests.stores import FAQ, make_store

OUTSIDE = "This was said elsewhere, to others."


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`work/stores/{alice,bob}` to serve, `outside` not to, and links that lead in, out and round."""
    place = tmp_path_factory.mktemp("place")
    stores = place / "work" / "stores"
    make_store(stores / "alice", {"faq.txt": FAQ})
    make_store(stores / "bob", {"faq.txt": [Chunk("바빠서 금방 끝났어요.", "line 1", "유퀴즈하고 아쉬웠던 점은?")]})
    make_store(place / "outside", {"faq.txt": [Chunk(OUTSIDE, "line 1", ASKED)]})
    (stores / "empty").mkdir()
    for name, target in {"way_in": "alice", "way_out": "../../outside", "round": "round"}.items():
        (stores / name).symlink_to(target)
    return place


@pytest.fixture
def caller(place: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A caller of a server that was started in `work` with `--db stores`."""
    monkeypatch.chdir(place / "work")
    return client(Path("stores"))


@pytest.mark.parametrize("db_path", ["stores/alice", "stores/alice/", "./stores//bob/../alice", "stores/way_in"])
def test_a_store_below_a_served_folder_answers(caller: TestClient, db_path: str) -> None:
    assert caller.post("/chat", json={"prompt": ASKED, "db_path": db_path}).json()["output"] == RECORDED


def test_an_absolute_path_to_a_served_store_answers(caller: TestClient, place: Path) -> None:
    db_path = str(place / "work" / "stores" / "alice")
    assert caller.post("/chat", json={"prompt": ASKED, "db_path": db_path}).json()["output"] == RECORDED


def test_stores_are_not_mixed_up(caller: TestClient) -> None:
    for name, words in (("alice", RECORDED), ("bob", "바빠서 금방 끝났어요."), ("alice", RECORDED)):
        assert caller.post("/chat", json={"prompt": ASKED, "db_path": f"stores/{name}"}).json()["output"] == words


ATTACKS = [
    *("..", "../outside", "stores/../../outside", "stores/alice/../../../outside", ".", "./", " ", "/", "//"),
    *("{outside}", "{outside}/", "/{outside}", "/proc/self/root{outside}", "file://{outside}", "{outside}/../outside"),
    *("/etc", "/etc/passwd", "/dev/stdin", "/dev/null", "/dev/zero", "/dev/fd/0", "/proc/self/fd/0", "/proc/self/mem"),
    *("%2e%2e/outside", "..%2foutside", "%2E%2E%2Foutside", "stores/%2e%2e/%2e%2e/outside", "..%252foutside"),
    *(
        "..%c0%af..%c0%afoutside",
        "．．/outside",
        "․․/outside",
        "‥/outside",
        "。。/outside",
        "..∕outside",
        "..／outside",
    ),
    *("stores/way_out", "stores/way_out/", "stores/way_out/../outside", "stores/round", "stores/round/alice"),
    *("\x00", "..\x00", "stores/alice\x00", "stores/alice\x00/../../../outside", "../outside\x00stores/alice"),
    *("a" * 200_000, "../" * 50_000, "stores/" + "a" * 300, "stores/" + "a/" * 5_000, "stores/" + "가" * 100),
    *("~", "~root", "~/outside", "stores/~", "$HOME", "${{HOME}}", "$(id)", "`id`", "|id", "-", "--", "*", "stores/*"),
    *("..\\outside", "C:\\", "\\\\192.0.2.1\\share", "http://192.0.2.1/", "sqlite:////etc/passwd", "\n", "\u202e.."),
    *("stores/empty", "stores/nobody", "stores/alice/index", "stores/alice/catalog.sqlite3", "STORES/alice/x"),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: ascii(attack[:40]))
def test_every_other_path_gets_the_same_refusal(caller: TestClient, place: Path, attack: str) -> None:
    db_path = attack.replace("{outside}", str(place / "outside"))
    refused_before = caller.post("/chat", json={"prompt": ASKED, "db_path": "../nowhere"})
    response = caller.post("/chat", json={"prompt": ASKED, "db_path": db_path})
    assert (response.status_code, response.content) == (403, refused_before.content)
    assert response.json()["error"]["code"] == "store_forbidden"
    assert str(place) not in response.text


@pytest.mark.parametrize("escape", ["\\ud800", "stores/\\udc80", "..\\udc80", "\\u0000", "stores/\\udfff/../alice"])
def test_half_a_character_gets_the_same_refusal(caller: TestClient, escape: str) -> None:
    body = f'{{"prompt": "{ASKED}", "db_path": "{escape}"}}'.encode()
    response = caller.post("/chat", content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (403, "store_forbidden")


@pytest.mark.parametrize("db_path", [1, ["stores/alice"], {"a": "b"}, True])
def test_a_db_path_that_is_no_text_is_invalid(caller: TestClient, db_path: object) -> None:
    response = caller.post("/chat", json={"prompt": ASKED, "db_path": db_path})
    assert (response.status_code, response.json()["error"]["param"]) == (422, "db_path")


def test_a_served_folder_without_a_store_says_so_without_its_path(caller: TestClient, place: Path) -> None:
    for body in ({"prompt": ASKED}, {"prompt": ASKED, "db_path": ""}, {"prompt": ASKED, "db_path": "stores"}):
        response = caller.post("/chat", json=body)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "store_missing")
        assert "nothing has been ingested into 'stores' yet" in response.json()["error"]["message"]
        assert str(place) not in response.text


def test_a_store_that_is_made_later_answers(tmp_path: Path) -> None:
    caller = client(tmp_path / "first", tmp_path / "more")
    later = {"prompt": ASKED, "db_path": str(tmp_path / "more" / "carol")}
    assert caller.post("/chat", json={"prompt": ASKED}).status_code == 404
    assert caller.post("/chat", json=later).status_code == 403
    make_store(tmp_path / "first", {"faq.txt": FAQ})
    make_store(tmp_path / "more" / "carol", {"faq.txt": FAQ})
    for body in ({"prompt": ASKED}, later):
        assert caller.post("/chat", json=body).json()["output"] == RECORDED


def test_the_first_of_several_served_stores_is_the_default(place: Path) -> None:
    alice, bob = (place / "work" / "stores" / name for name in ("alice", "bob"))
    caller = client(alice, bob)
    assert caller.post("/chat", json={"prompt": ASKED}).json()["output"] == RECORDED
    assert caller.post("/chat", json={"prompt": ASKED, "db_path": str(bob)}).json()["output"] != RECORDED
    assert caller.post("/chat", json={"prompt": ASKED, "db_path": str(alice.parent)}).status_code == 403


def test_a_served_folder_may_be_a_link(place: Path) -> None:
    caller = client(place / "work" / "stores" / "way_in")
    for db_path in (None, str(place / "work" / "stores" / "alice")):
        assert caller.post("/chat", json={"prompt": ASKED, "db_path": db_path}).json()["output"] == RECORDED


def test_a_failure_of_a_store_does_not_name_its_folder(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "damaged", {"faq.txt": FAQ})
    (folder / "catalog.sqlite3").write_bytes(b"no database" * 1_000)
    response = client(folder).post("/chat", json={"prompt": ASKED})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "store_damaged")
    assert str(tmp_path) not in response.text
    assert json.loads(response.content)["error"]["message"].startswith("the catalog of 'damaged' is damaged")
