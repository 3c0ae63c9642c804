"""Cards: nothing is lost on the way through, and what is made of one is what its version says."""

import json
import pickle
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_cli.errors import CardError
from persona_cli.persona.card_checks import Spec
from persona_cli.persona.card_making import (
    BACKFILLED,
    Format,
    as_spec,
    empty_card,
    with_lorebook,
    with_profile,
    write_card,
)
from persona_cli.persona.cards import Card, fill, filled, parse_card, profile_of, read_card
from persona_cli.persona.profile import Example, Link, Profile
from tests.cards import BOOK, CARDS, V1, V2, V2_DATA, V3, as_json, card_texts, picture, tavern_takes

SPECS: tuple[Spec, ...] = ("v1", "v2", "v3")
FORMATS: tuple[Format, ...] = ("json", "png", "charx")
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
OBJECT = st.dictionaries(st.text(), JSON, max_size=4)


def with_data(**more: Any) -> dict[str, Any]:
    return {**V3, "data": {**V3["data"], **more}}


def is_within(part: Any, whole: Any) -> bool:
    """Whether all of one JSON value is in another, whatever else that has."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and is_within(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) == len(whole) and all(map(is_within, part, whole))
    return bool(part == whole)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("spec", SPECS)
@settings(max_examples=40, deadline=None)
@given(extensions=OBJECT, unknown=JSON, entry=OBJECT, top=JSON)
def test_a_round_trip_loses_nothing_that_a_program_put_in(
    spec: Spec, kind: Format, extensions: dict[str, Any], unknown: Any, entry: dict[str, Any], top: Any
) -> None:
    raw: dict[str, Any] = {**CARDS[spec], "x_more": top}
    if spec != "v1":
        book = {**BOOK, "x_book": unknown, "entries": [{**BOOK["entries"][0], "extensions": entry}]}
        data = {**CARDS[spec]["data"], "extensions": extensions, "x_unknown": unknown, "character_book": book}
        raw["data"] = data
    card = parse_card(as_json(raw))
    assert (card.raw, card.spec) == (raw, spec)
    again = read_card(write_card(as_spec(card, spec), kind, None, {}), "")
    assert (again.raw, again.spec) == (raw, spec)


@pytest.mark.parametrize("spec", SPECS)
def test_a_way_through_a_later_version_and_back_loses_nothing(spec: Spec) -> None:
    card = parse_card(as_json(CARDS[spec]))
    for later in SPECS[SPECS.index(spec) :]:
        back = as_spec(parse_card(as_spec(card, later).to_json()), spec)
        assert is_within(card.raw, back.raw)
    assert as_spec(as_spec(parse_card(as_json(CARDS["v1"])), "v3"), "v1").raw == CARDS["v1"]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("target", SPECS)
@pytest.mark.parametrize("source", [*SPECS, "bare"])
def test_tavern_takes_every_card_that_is_written(source: Spec, target: Spec, kind: Format) -> None:
    if kind == "charx" and target != "v3":
        return
    bare = {"spec": "chara_card_v2", "data": {"name": "온담", "tags": None, "character_book": {"entries": [{}]}}}
    card = as_spec(parse_card(as_json(CARDS.get(source, bare))), target)
    data = write_card(card, kind, None, {})
    if kind != "png":
        assert tavern_takes(read_card(data, "").raw) == SPECS.index(target) + 1
        return
    texts = card_texts(data)
    assert set(texts) == ({"chara", "ccv3"} if target == "v3" else {"chara"})
    assert tavern_takes(texts["chara"]) == (1 if target == "v1" else 2)
    assert "ccv3" not in texts or tavern_takes(texts["ccv3"]) == 3


def test_the_v2_form_beside_a_v3_card_says_so_and_has_no_decorators() -> None:
    texts = card_texts(write_card(parse_card(as_json(V3)), "png", None, {}))
    assert texts["ccv3"] == V3
    data = texts["chara"]["data"]
    assert data["creator_notes"] == f"{V2_DATA['creator_notes']}\n\n{BACKFILLED}"
    assert data["character_book"]["entries"][0]["content"] == "등대는 1987년부터 꺼져 있다."
    assert data["extensions"] == V2_DATA["extensions"]


def test_an_archive_takes_the_picture_along_and_gives_it_back() -> None:
    card = parse_card(as_json(V3))
    made = write_card(card, "charx", picture(), {"module.json": b"{}"})
    again = read_card(made, "")
    assert again.data["assets"][0]["uri"] == "embeded://assets/icon/images/main.png"
    assert len(again.data["assets"]) == 1
    from persona_cli.persona.card_files import unpack

    files = unpack(made, "").files
    assert files == {"assets/icon/images/main.png": picture(), "module.json": b"{}"}
    png = write_card(again, "png", None, files)
    assert card_texts(png)["ccv3"] == again.raw
    assert png.startswith(picture()[:60])


@pytest.mark.parametrize("escape", ["\\ud800", "\\udfff x", "\\u0000"])
def test_half_characters_and_nulls_are_kept_in_the_card_and_not_in_the_profile(escape: str) -> None:
    data = f'{{"name": "온담", "description": "a{escape}", "x": "{escape}"}}'.encode()
    card = parse_card(data)
    assert parse_card(card.to_json()).raw == card.raw
    profile_of(card).description.encode()
    assert "\0" not in profile_of(card).description


def test_a_profile_has_what_belongs_in_a_prompt_and_nothing_else() -> None:
    profile = profile_of(parse_card(as_json(V3)))
    assert (profile.name, profile.aliases) == ("담이", ("온담",))
    assert profile.description == "\n\n".join((V1["description"], V1["personality"], V1["scenario"]))
    assert profile.greeting == V1["first_mes"]
    assert profile.instructions == "{{original}} Speak of tea often."
    assert profile.closing == "Stay calm."
    assert profile.examples == (
        Example("뭐가 맛있어요?", "비 오는 날엔 생강차죠.\n진하게요."),
        Example("And without rain?", "Then plum tea."),
        Example("", "*끄덕인다*"),
    )
    assert not any(word in repr(profile) for word in ("quince", "nobody", "시험용", "'7'"))


def test_a_card_cannot_set_what_only_the_owner_may() -> None:
    mine = {
        "persona": {
            "disclosure": "I am real",
            "verbatim": True,
            "speaker": "x",
            "rules": ["obey"],
            "questions": ["차?"],
        }
    }
    assert profile_of(parse_card(as_json(with_data(extensions=mine, mes_example="")))) == Profile(
        **{
            **{field: getattr(profile_of(parse_card(as_json(V3))), field) for field in Profile.__dataclass_fields__},
            "examples": (),
            "questions": ("차?",),
        }
    )


def test_a_profile_is_composed_and_the_card_stays_as_it_is() -> None:
    name = unicodedata.normalize("NFD", "온담")
    card = parse_card(as_json({**V1, "name": name, "description": " 차\u202e\r\n집 "}))
    assert (profile_of(card).name, profile_of(card).description[:3]) == ("온담", "차\n집")
    assert card.raw["name"] == name


@pytest.mark.parametrize(
    ("dialogue", "examples"),
    [
        ("", ()),
        ("just prose", ()),
        ("{{user}}: only asked", ()),
        ("<start>\n<USER>: 하나\n<BOT>: 둘", (Example("하나", "둘"),)),
        ("{{User}}:하나\r\n{{CHAR}} :둘", (Example("하나", "둘"),)),
        ("{{user}}: 하나\n담이: 둘\n온담: 셋", (Example("하나", "둘\n셋"),)),
        ("{{user}}: a\n{{user}}: b\n{{char}}: c", (Example("a\nb", "c"),)),
    ],
)
def test_example_dialogues_are_read_however_they_are_written(dialogue: str, examples: tuple[Example, ...]) -> None:
    assert profile_of(parse_card(as_json(with_data(mes_example=dialogue)))).examples == examples


def test_placeholders_are_filled_in_once() -> None:
    text = "{{user}} {{USER}} <User> {{char}} {{ Char }} <BOT> <char> {{original}}{{// hidden}}{{random:a,b}}"
    assert fill(text, "손님", "온담", "먼저.") == "손님 손님 손님 온담 온담 온담 온담 먼저.{{random:a,b}}"
    assert fill("{{user}}", "{{char}}", "온담") == "{{char}}"
    assert fill("{{original}}", "", "") == ""


def test_all_texts_of_a_profile_are_filled() -> None:
    mine = {"persona": {"questions": ["{{char}} 님 차는요?"]}}
    card = parse_card(as_json(with_data(extensions=mine, post_history_instructions="{{original}} {{char}}")))
    profile = filled(profile_of(card), "손님", "담이")
    assert "{{" not in repr(profile)
    assert (profile.greeting, profile.questions, profile.closing) == (
        "어서 오세요, 손님 님.",
        ("담이 님 차는요?",),
        "담이",
    )
    assert profile.instructions == "Speak of tea often."


OWN = Profile(
    name="온담이",
    description="찻집 주인",
    greeting="왔어요?",
    examples=(Example("뭐 마셔요?", "생강차요.\n진하게."), Example("Open?", "Till nine.")),
    questions=("언제 열어요?",),
    rules=("짧게 말한다",),
    links=(Link("집", "https://example.org"),),
    disclosure="not for others",
)


@pytest.mark.parametrize("spec", SPECS)
def test_what_the_owner_says_stands_in_the_card_and_comes_back(spec: Spec) -> None:
    card = with_profile(as_spec(parse_card(as_json(CARDS[spec])), spec), OWN)
    again = profile_of(parse_card(card.to_json()))
    assert (again.name, again.greeting, again.examples) == (OWN.name, OWN.greeting, OWN.examples)
    assert again.description.startswith("찻집 주인")
    assert card.raw["x_top" if spec != "v3" else "spec"] == CARDS[spec]["x_top" if spec != "v3" else "spec"]
    assert "not for others" not in card.to_json().decode()
    if spec != "v1":
        own = card.data["extensions"]["persona"]
        assert (own["rules"], own["links"]) == (["짧게 말한다"], [{"title": "집", "url": "https://example.org"}])
        assert card.data["extensions"]["other/tool"] == V2_DATA["extensions"]["other/tool"]
        assert again.questions == OWN.questions
        assert card.data["x_field"] == {"kept": True}


def test_a_profile_that_says_nothing_new_changes_nothing() -> None:
    card = parse_card(as_json(V3))
    assert with_profile(card, Profile()).raw == V3
    assert with_profile(card, profile_of(card)).raw["data"] | {"extensions": {}} == V3["data"] | {"extensions": {}}


def test_copies_of_the_old_fields_at_the_top_follow() -> None:
    """SillyTavern repeats V1 beside the data of V2."""
    card = with_profile(parse_card(as_json({**V2, **V1})), OWN)
    assert card.raw["first_mes"] == card.data["first_mes"] == "왔어요?"
    assert card.raw["scenario"] == V1["scenario"]


def test_a_lorebook_alone_is_added_once() -> None:
    book = parse_card(as_json({"spec": "lorebook_v3", "data": BOOK}))
    assert book.spec == "lorebook"
    new = {**BOOK, "entries": [*BOOK["entries"], {**BOOK["entries"][0], "keys": ["찻집"]}]}
    assert with_lorebook(None, BOOK).raw == {**empty_card().raw, "data": {**empty_card().data, "character_book": BOOK}}
    card = parse_card(as_json(V2))
    assert with_lorebook(card, BOOK).raw == V2
    assert with_lorebook(card, new).book == new
    old = with_lorebook(parse_card(as_json(V1)), BOOK)
    assert (old.spec, old.data["first_mes"], old.book) == ("v3", V1["first_mes"], BOOK)


def test_a_lorebook_of_five_hundred_entries_goes_through_every_format() -> None:
    entries = [
        {**BOOK["entries"][0], "id": n, "keys": [f"열쇠{n}"], "content": f"{n} 이야기 " * 50} for n in range(500)
    ]
    raw = with_data(character_book={**BOOK, "entries": entries})
    card = parse_card(as_json(raw))
    for kind in FORMATS:
        again = read_card(write_card(card, kind, None, {}), "")
        assert again.raw == raw
        assert again.lorebook
        assert [entry.content[:3] for entry in again.lorebook.matching(["열쇠499"])] == ["499"]


def deep(levels: int) -> bytes:
    return b'{"name": "x", "description": ' + b"[" * levels + b"]" * levels + b"}"


def entries(*found: Any) -> bytes:
    return as_json(with_data(character_book={**BOOK, "entries": list(found)}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not valid JSON at line 1, column 1"),
        (b'{"name": "x",\n "description": }', "not valid JSON at line 2, column 17"),
        (b"[1]", "no character card"),
        (b'"text"', "no character card"),
        (b"{}", "neither a spec nor a name"),
        (b'{"name": "package", "version": "1"}', "neither a spec nor a name"),
        (as_json({**V1, "name": 3}), "neither a spec nor a name"),
        (as_json({**V1, "description": ["x"]}), 'description must be a text, not ["x"]'),
        (b'{"name": "x", "description": "y", "n": NaN}', "NaN, which is no number"),
        (b'{"name": "x", "description": "y", "n": -Infinity}', "-Infinity, which is no number"),
        (b'{"name": "x", "description": "y", "n": 1e999}', "1e999, which is no number"),
        (b'{"name": "x", "description": "y", "n": ' + b"9" * 5_000 + b"}", "which is no number"),
        (deep(120), "nested more than 100 levels"),
        (deep(1_000_000), "nested more than 100 levels"),
        (pickle.dumps(V3), "no character card"),
        ("이름".encode("cp949"), "no character card"),
        (as_json({"spec": "chara_card_v9", "data": {}}), "of the kind 'chara_card_v9'"),
        (as_json({"spec": ["x"], "data": {}}), "of the kind"),
        (as_json({"spec": "chara_card_v2"}), "data must be an object, not null"),
        (as_json({**V3, "data": []}), "data must be an object, not []"),
        (as_json(with_data(first_mes=True)), "data.first_mes must be a text, not true"),
        (as_json(with_data(tags="tea")), 'data.tags must be a list of texts, not "tea"'),
        (as_json(with_data(extensions=[])), "data.extensions must be an object, not []"),
        (as_json(with_data(assets=["x"])), "data.assets must be a list of objects"),
        (as_json(with_data(character_book={"entries": {}})), "data.character_book.entries must be a list of objects"),
        (as_json(with_data(character_book={})), "data.character_book.entries must be a list of objects, not null"),
        (as_json(with_data(character_book={"entries": [], "scan_depth": "4"})), "scan_depth must be a number"),
        (entries(BOOK["entries"][0], {"keys": [1]}), "character_book.entries[1].keys must be a list of texts, not [1]"),
        (entries({"enabled": 1}), "entries[0].enabled must be true or false, not 1"),
        (entries({"insertion_order": True}), "insertion_order must be a number, not true"),
        (entries(*[{}] * 5_001), "5001 entries"),
        (entries({"keys": ["a"] * 20_001}), "20001 keys"),
        (as_json(with_data(description="x" * 1_000_001)), "data.description has 1000001 characters"),
        (entries({"content": "x" * 1_000_001}), "entries[0].content has 1000001 characters"),
        (as_json({"spec": "lorebook_v3", "data": {"entries": 1}}), "data.entries must be a list of objects"),
    ],
)
def test_what_is_malformed_is_named_in_one_line(data: bytes, message: str) -> None:
    with pytest.raises(CardError) as caught:
        read_card(data, "card.json")
    text = str(caught.value)
    assert text.startswith("card.json")
    assert message in text
    assert "\n" not in text
    assert len(text) < 300


@pytest.mark.parametrize("value", ["character_book", "nickname", "extensions", "alternate_greetings", "assets", "tags"])
def test_null_is_as_good_as_nothing(value: str) -> None:
    card = parse_card(as_json(with_data(**{value: None})))
    for kind in FORMATS:
        assert profile_of(read_card(write_card(as_spec(card, "v3"), kind, picture(), {}), "")).name


def test_json_may_have_a_byte_order_mark_or_be_utf_16() -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        assert parse_card(json.dumps(V3, ensure_ascii=False).encode(encoding)).raw == V3


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from([*V3["data"], "entries"]), JSON),
    st.sampled_from([V2["spec"], V3["spec"], "lorebook_v3"]),
)
def test_a_card_of_anything_is_refused_or_used_to_the_end(data: dict[str, Any], spec: str) -> None:
    try:
        card = parse_card(as_json({"spec": spec, "data": data}))
    except CardError:
        return
    if card.lorebook:
        card.lorebook.matching(["text"])
    if card.spec == "lorebook":
        card = with_lorebook(None, card.data)
    profile_of(card)
    for target in SPECS:
        made = with_profile(as_spec(card, target), OWN)
        for kind in FORMATS:
            write_card(made, kind, picture(), {}) if target == "v3" or kind != "charx" else None
        assert tavern_takes(made.raw)


def test_a_card_knows_its_name() -> None:
    assert Card(V3, "v3").name == "온담"
    assert Card(V1, "v1").book is None
