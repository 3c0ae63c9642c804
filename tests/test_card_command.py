"""`persona card import` and `export`, as their users run them."""

import json
import random
from pathlib import Path

import pytest

from persona_cli.cli.boundary import FAILED, WRONG_USAGE
from persona_cli.persona.card_files import pack_charx, unpack
from persona_cli.store import Store
from tests.cards import BOOK, CARDS, V1, V2, V3, as_json, card_texts, chunks_of, picture, tavern_takes, text_chunk
from tests.commands import persona
from tests.stores import make_store

KOREAN = {"LC_ALL": "ko_KR.UTF-8", "PYTHONUTF8": "1"}


def put(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return path.name


def kept(folder: Path) -> dict[str, bytes]:
    """What a store remembers of the persona."""
    store = Store(folder / "vector_store")
    with store.catalog.snapshot() as snapshot:
        assets = snapshot.assets(snapshot.asset_names())
    store.close()
    return assets


def test_a_card_comes_in_is_shown_and_goes_out_again(tmp_path: Path) -> None:
    file = put(tmp_path / "ondam.json", as_json(V3))
    done = persona("card", "import", file, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == "the store has no words of the person yet: run `persona ingest FOLDER`\n"
    assert done.stdout.splitlines() == [
        "name            담이",
        "card            V3",
        "lorebook        entries: 1",
        "used            name, description, greeting, example dialogues, system prompt, closing instructions, lorebook",
        "its maker says  Written for a test; the secret word is quince.",
    ]
    assert json.loads(kept(tmp_path)["card.json"]) == V3
    done = persona("card", "export", "again.json", cwd=tmp_path)
    assert done.stdout.startswith("again.json: 온담, card V3, ")
    assert json.loads((tmp_path / "again.json").read_bytes()) == V3


def test_a_korean_reader_is_shown_it_in_korean(tmp_path: Path) -> None:
    done = persona("card", "import", put(tmp_path / "온담.json", as_json(V3)), cwd=tmp_path, env=KOREAN)
    assert "이름" in done.stdout
    assert "로어북       항목 1개" in done.stdout
    assert "만든이의 말  시험용 카드." in done.stdout
    assert "온담.png: 온담, V3 카드" in persona("card", "export", "온담.png", cwd=tmp_path, env=KOREAN).stdout
    done = persona("card", "import", put(tmp_path / "x.json", b"{}"), cwd=tmp_path, env=KOREAN)
    assert done.stderr == "persona: x.json: 캐릭터 카드가 아닙니다. spec도, 이름과 설명도 없습니다\n"


def test_programs_get_json(tmp_path: Path) -> None:
    done = persona(
        "card", "import", put(tmp_path / "c.png", picture(text_chunk("chara", as_json(V2)))), "--json", cwd=tmp_path
    )
    assert json.loads(done.stdout) == {
        "name": "온담",
        "spec": "v2",
        "entries": 1,
        "examples": 3,
        "used": ["name", "description", "greeting", "examples", "instructions", "closing", "lorebook"],
        "overruled": [],
        "picture": True,
        "files": 0,
    }
    done = persona("card", "export", "out.json", "--spec", "v1", "--json", cwd=tmp_path)
    shown = json.loads(done.stdout)
    assert shown == {"file": "out.json", "name": "온담", "spec": "v1", "bytes": shown["bytes"], "left_out": 0}
    assert json.loads((tmp_path / "out.json").read_bytes()) == {**V1, "x_top": "kept"}


@pytest.mark.parametrize("spec", ["v1", "v2", "v3"])
def test_a_picture_of_two_megabytes_goes_through_the_store_untouched(tmp_path: Path, spec: str) -> None:
    text = text_chunk("ccv3" if spec == "v3" else "chara", as_json(CARDS[spec]))
    before = picture(text, pixels=random.Random(5).randbytes(2_000_000))
    assert persona("card", "import", put(tmp_path / "in.png", before), cwd=tmp_path).returncode == 0
    assert persona("card", "export", "out.png", cwd=tmp_path).returncode == 0
    after = (tmp_path / "out.png").read_bytes()
    bare = chunks_of(picture(pixels=random.Random(5).randbytes(2_000_000)))
    assert [part for part in chunks_of(after) if not part[1].startswith((b"chara\0", b"ccv3\0"))] == bare
    texts = card_texts(after)
    assert texts["ccv3" if spec == "v3" else "chara"] == CARDS[spec]
    assert tavern_takes(texts["chara"])


def test_an_archive_goes_through_with_its_files_and_the_next_card_takes_them_away(tmp_path: Path) -> None:
    files = {"assets/emotion/images/웃음.webp": b"\0webp", "module.json": b'{"a": 1}'}
    assert (
        persona("card", "import", put(tmp_path / "in.charx", pack_charx(as_json(V3), files)), cwd=tmp_path).returncode
        == 0
    )
    assert kept(tmp_path).keys() == {"card.json", *(f"asset/{path}" for path in files)}
    assert persona("card", "export", "out.charx", "--force", cwd=tmp_path).returncode == 0
    parts = unpack((tmp_path / "out.charx").read_bytes(), "")
    assert (json.loads(parts.card), parts.files) == (V3, files)
    done = persona("card", "export", "out.json", cwd=tmp_path)
    assert done.stderr == "2 files of the imported card are left out: only .charx holds them\n"
    persona("card", "import", put(tmp_path / "v1.png", picture(text_chunk("chara", as_json(V1)))), cwd=tmp_path)
    assert kept(tmp_path).keys() == {"card.json", "card.png"}
    persona("card", "import", put(tmp_path / "v1.json", as_json(V1)), cwd=tmp_path)
    assert kept(tmp_path).keys() == {"card.json"}
    assert persona("card", "export", "out.charx", "--force", cwd=tmp_path).returncode == 0
    assert json.loads(unpack((tmp_path / "out.charx").read_bytes(), "").card)["spec"] == "chara_card_v3"


def test_a_lorebook_alone_is_added_to_the_card(tmp_path: Path) -> None:
    book = put(tmp_path / "lore.json", as_json({"spec": "lorebook_v3", "data": BOOK}))
    persona("card", "import", put(tmp_path / "v1.png", picture(text_chunk("chara", as_json(V1)))), cwd=tmp_path)
    done = persona("card", "import", book, cwd=tmp_path)
    assert "lorebook  entries: 1" in done.stdout
    assert kept(tmp_path).keys() == {"card.json", "card.png"}
    card = json.loads(kept(tmp_path)["card.json"])
    assert (card["data"]["name"], card["data"]["character_book"]) == ("온담", BOOK)


def test_a_store_with_a_card_and_no_words_says_that_nothing_was_ingested(tmp_path: Path) -> None:
    persona("card", "import", put(tmp_path / "c.json", as_json(V2)), cwd=tmp_path)
    done = persona("ask", "등대는 언제부터 꺼져 있어요?", cwd=tmp_path)
    assert done.returncode == FAILED
    assert "nothing has been ingested" in done.stderr


def test_what_persona_toml_says_stands_above_the_card(tmp_path: Path) -> None:
    store = Store(tmp_path / "vector_store", create=True)
    own = 'name = "담"\ngreeting = "왔어요?"\nrules = ["짧게"]\n[[examples]]\nquestion = "뭐?"\nanswer = "차."\n'
    store.catalog.set_assets({"persona.toml": own.encode()})
    store.close()
    done = persona("card", "export", "own.json", cwd=tmp_path)
    assert done.returncode == 0
    card = json.loads((tmp_path / "own.json").read_bytes())
    assert tavern_takes(card) == 3
    assert card["data"]["mes_example"] == "<START>\n{{user}}: 뭐?\n{{char}}: 차."
    assert card["data"]["extensions"] == {"persona": {"rules": ["짧게"]}}
    done = persona("card", "import", put(tmp_path / "c.json", as_json(V2)), cwd=tmp_path)
    assert "persona.toml wins  name, greeting, example dialogues\n" in done.stdout
    persona("card", "export", "own.png", cwd=tmp_path)
    texts = card_texts((tmp_path / "own.png").read_bytes())
    assert texts.keys() == {"chara"}
    data = texts["chara"]["data"]
    assert (data["name"], data["first_mes"], data["scenario"]) == ("담", "왔어요?", V1["scenario"])
    assert data["extensions"] == {**V2["data"]["extensions"], "persona": {"rules": ["짧게"]}}


def test_without_a_name_there_is_no_card_and_the_ingested_one_will_do(tmp_path: Path) -> None:
    make_store(tmp_path / "vector_store")
    done = persona("card", "export", "own.json", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (FAILED, 1)
    assert "what the persona is called" in done.stderr
    store = Store(tmp_path / "vector_store")
    store.catalog.set_facts({"names": '["자두", "회원님"]'})
    store.close()
    persona("card", "export", "own.json", cwd=tmp_path)
    assert json.loads((tmp_path / "own.json").read_bytes())["data"]["name"] == "자두"


def test_a_newer_version_is_taken_and_said(tmp_path: Path) -> None:
    card = {**V3, "spec_version": "3.4"}
    done = persona("card", "import", put(tmp_path / "c.json", as_json(card)), cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == (
        "the card is of version 3.4: what is new in it is kept, and not used\n"
        "the store has no words of the person yet: run `persona ingest FOLDER`\n"
    )
    assert json.loads(kept(tmp_path)["card.json"]) == card


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["import", "missing.png"], FAILED, "missing.png cannot be read"),
        (["import", "."], FAILED, "cannot be read"),
        (["import", "cut.png"], FAILED, "cut.png is cut off at byte 100: get it again"),
        (["import", "own\x1b[31m.json"], FAILED, "neither a spec nor a name"),
        (["export", "card.webp"], WRONG_USAGE, "ends with none of .json, .png and .charx"),
        (["export", "card.charx", "--spec", "v2"], WRONG_USAGE, "holds a V3 card"),
        (["export", "card.json"], FAILED, "nothing has been ingested"),
        (["export", "no/such/card.json", "--db", "made"], FAILED, "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    tmp_path: Path, arguments: list[str], status: int, message: str
) -> None:
    put(tmp_path / "cut.png", picture(text_chunk("chara", as_json(V2)))[:100])
    put(tmp_path / "own\x1b[31m.json", b"{}")
    if "made" in arguments:
        persona("card", "import", put(tmp_path / "c.json", as_json(V2)), "--db", "made", cwd=tmp_path)
    done = persona("card", *arguments, cwd=tmp_path)
    assert done.returncode == status
    assert message in " ".join(done.stderr.split())
    assert "\x1b" not in done.stderr
    assert status == WRONG_USAGE or done.stderr.count("\n") == 1
    assert not (tmp_path / "vector_store").exists()
