"""Which notes of a lorebook a conversation calls for."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from persona_cli.persona.lorebook import Entry, parse_lorebook


def entry(keys: str | Sequence[str], content: str = "note", **more: Any) -> dict[str, Any]:
    listed = [keys] if isinstance(keys, str) else list(keys)
    return {"keys": listed, "content": content, "enabled": True, "insertion_order": 0, "extensions": {}, **more}


def told(entries: Sequence[Mapping[str, Any]], *texts: str, answers: int | None = None, **book: Any) -> list[str]:
    lorebook = parse_lorebook({"entries": entries, **book})
    return [found.content for found in lorebook.matching(texts, answers=answers)]


def only(content: str, **more: Any) -> Entry:
    (found,) = parse_lorebook({"entries": [entry("k", content, **more)]}).entries
    return found


@pytest.mark.parametrize(
    ("key", "text", "found"),
    [
        ("고양이", "우리고양이는 어때?", True),
        ("고양이", "우리\u1100\u1169양이는", True),  # NFD
        ("등대지기", "등대에 갔다", False),
        ("cat", "the CAT's bowl", True),
        ("cat", "concatenate", False),
        ("cat", "cats", False),
        ("BTS", "bts는 어때", True),
        ("BTS", "BTSX", False),
        ("아이폰15", "아이폰15프로", True),
        ("아이폰15", "아이폰155", False),
        ("New York", "in new york city", True),
        ("new york", "new yorkers", False),
        ("C++", "ein C++-Kurs", True),
        ("straße", "STRASSE", True),
        ("猫", "黒猫です", True),
        ("кот", "скоты", False),
        ("кот", "Кот спит", True),
        ("", "anything", False),
        ("  ", "any thing", False),
        ("a.b", "a.b", True),
        ("a.b", "axb", False),
    ],
)
def test_korean_keys_are_found_inside_words_and_latin_ones_between_them(key: str, text: str, found: bool) -> None:
    assert bool(told([entry(key)], text)) is found


@pytest.mark.parametrize(
    ("more", "text", "found"),
    [
        ({"case_sensitive": True}, "the tea", False),
        ({"case_sensitive": True}, "the Tea", True),
        ({"enabled": False, "constant": True}, "Tea", False),
        ({"constant": True}, "nothing", True),
        ({"constant": True, "use_regex": True}, "nothing", True),
        ({"selective": True, "secondary_keys": ["plum", "매실"]}, "tea", False),
        ({"selective": True, "secondary_keys": ["plum", "매실"]}, "매실 tea", True),
        ({"selective": False, "secondary_keys": ["plum"]}, "tea", True),
        ({"selective": True, "secondary_keys": []}, "tea", True),
        ({"selective": True, "secondary_keys": "plum, fig"}, "tea with fig", True),
        ({"selective": True, "secondary_keys": ["a", "b"], "extensions": {"selectiveLogic": 1}}, "tea a", True),
        ({"selective": True, "secondary_keys": ["a", "b"], "extensions": {"selectiveLogic": 1}}, "tea a b", False),
        ({"selective": True, "secondary_keys": ["a", "b"], "extensions": {"selectiveLogic": 2}}, "tea a", False),
        ({"selective": True, "secondary_keys": ["a", "b"], "extensions": {"selectiveLogic": 3}}, "tea a b", True),
        ({"selective": True, "secondary_keys": ["a", "b"], "extensions": {"selectiveLogic": 3}}, "tea a", False),
        ({"content": ""}, "tea", False),
        ({"content": "@@depth 3\n"}, "tea", False),
        ({"content": "@@activate\nnote"}, "nothing", True),
        ({"content": "@@activate\n@@dont_activate\n@@is_greeting 2\nnote"}, "nothing", True),
        ({"content": "@@activate\nnote", "enabled": False}, "tea", False),
        ({"content": "@@constant\nnote"}, "nothing", True),
        ({"content": "@@dont_activate\nnote"}, "tea", False),
        ({"content": "@@additional_keys plum,fig\nnote"}, "tea", False),
        ({"content": "@@additional_keys plum,fig\nnote"}, "tea fig", True),
        ({"content": "@@exclude_keys plum, 커피\nnote"}, "tea 커피숍", False),
        ({"content": "@@is_greeting 1\nnote"}, "tea", False),
        ({"content": "@@is_greeting 0\nnote"}, "tea", True),
        ({"content": "@@unheard_of 4\n@@@dont_activate\nnote"}, "tea", False),
        ({"content": "@@depth 4\n@@@dont_activate\nnote"}, "tea", True),
        ({"content": "@@depth four\n@@@dont_activate\nnote"}, "tea", False),
        ({"content": "@@one\n@@@two\n@@@three\n@@@four\n@@@five\n@@@dont_activate\nnote"}, "tea", False),
    ],
)
def test_what_an_entry_asks_for_beside_its_key(more: dict[str, Any], text: str, found: bool) -> None:
    assert bool(told([entry("Tea", **{"content": "note", **more})], text)) is found


def test_decorators_are_taken_from_the_text_and_place_it() -> None:
    placed = only("@@depth 2\r\n@@role assistant\n@@unheard_of x\n\n찻집은\n@@not one 아홉 시에 연다.\n")
    assert placed.content == "찻집은\n@@not one 아홉 시에 연다."
    assert (placed.position, placed.depth, placed.role) == ("at_depth", 2, "assistant")
    assert only("note").position == "before_char"
    assert only("note", position="after_char").position == "after_char"
    assert only("@@depth 3\n@@position after_desc\nnote").position == "after_char"
    assert only("@@depth 1\n@@depth 9\nnote").depth == 1
    assert only("@@position moon\n@@@depth 5\nnote").depth == 5
    tavern = only("note", extensions={"position": 4, "depth": 3, "role": 2})
    assert (tavern.position, tavern.depth, tavern.role) == ("at_depth", 3, "assistant")
    assert only("note", extensions={"position": 1, "depth": 3}).depth is None


def test_only_the_last_messages_are_searched() -> None:
    texts = ["등대", "둘", "셋"]
    assert told([entry("등대")], *texts) == ["note"]
    assert told([entry("등대")], *texts, scan_depth=2) == []
    assert told([entry("등대")], *texts, scan_depth=0) == ["note"]
    assert told([entry("등대", "@@scan_depth 3\nnote")], *texts, scan_depth=1) == ["note"]
    assert told([entry("등대", "@@scan_depth 1\nnote")], *texts) == []
    assert told([entry("등대", extensions={"scan_depth": 1})], *texts) == []
    assert told([entry("등대")]) == []


def test_an_entry_can_wait_for_its_time() -> None:
    late = [entry("tea", "@@activate_only_after 3\nnote")]
    assert [bool(told(late, "tea", answers=count)) for count in (None, 0, 2, 3, 4)] == [True, False, False, True, True]
    third = [entry("tea", "@@activate_only_every 3\nnote")]
    assert [bool(told(third, "tea", answers=count)) for count in (None, 1, 3, 4, 6)] == [True, False, True, False, True]


def test_entries_bring_in_others_only_where_the_book_says_so() -> None:
    chain = [entry(f"key{n}x", f"key{n + 1}x", insertion_order=n) for n in range(6)]
    assert told(chain, "key0x") == ["key1x"]
    assert told(chain, "key0x", recursive_scanning=True) == [f"key{n}x" for n in range(1, 5)]  # bounded
    ring = [entry("a", "b"), entry("b", "a")]
    assert told(ring, "a", recursive_scanning=True) == ["b", "a"]
    shy = [entry("a", "b"), entry("b", "c", extensions={"exclude_recursion": True})]
    assert told(shy, "a", recursive_scanning=True) == ["b"]
    quiet = [entry("a", "b", extensions={"prevent_recursion": True}), entry("b", "c")]
    assert told(quiet, "a", recursive_scanning=True) == ["b"]


def test_lower_order_comes_first_and_the_lowest_priority_goes_first() -> None:
    entries = [
        entry("a", "셋 셋 셋", insertion_order=3, priority=5),
        entry("a", "하나하나", insertion_order=1, priority=1),
        entry("a", "두둘두둘", insertion_order=2, priority=9),
    ]
    assert told(entries, "a") == ["하나하나", "두둘두둘", "셋 셋 셋"]
    book = parse_lorebook({"entries": entries})
    assert [e.content for e in book.matching(["a"], budget_chars=12)] == ["두둘두둘", "셋 셋 셋"]
    assert [e.content for e in book.matching(["a"], budget_chars=4)] == ["두둘두둘"]
    assert book.matching(["a"], budget_chars=3) == []
    assert told(entries, "a", token_budget=5) == ["두둘두둘"]
    assert told(entries, "a", token_budget=0) == ["하나하나", "두둘두둘", "셋 셋 셋"]
    late = entry("a", "@@ignore_on_max_context\n두둘두둘", insertion_order=2, priority=9)
    assert "두둘두둘" not in told([entries[0], entries[1], late], "a", token_budget=9)


def test_an_entry_longer_than_the_budget_does_not_take_the_others_along() -> None:
    entries = [entry("a", "긴 말 " * 100, priority=9), entry("a", "짧은 말", priority=1)]
    assert told(entries, "a", token_budget=20) == ["짧은 말"]


@pytest.mark.parametrize(
    ("key", "use_regex", "text", "found"),
    [
        (r"등대|light\s?house", True, "the Light house", True),
        (r"등대|light\s?house", False, "the light house", False),
        (r"/^tea\d{2,3}$/i", False, "old\nTEA123\nmore", True),
        (r"/tea/", False, "TEA", False),
        (r"/a.*z/s", True, "a\nz", False),  # within a line
        ("tea", True, "steak", False),  # nothing special in it
        ("C++", True, "about C++ now", True),  # not a pattern at all: plain text
        ("(unclosed", True, "an (unclosed one", True),
        (r"(a+)+b", True, "aaab", False),
        (r"(a+)+b", True, "a key of (a+)+b", True),
        (r"(?=tea)t", True, "tea", False),
        (r"(t)\1", True, "tt", False),
        ("/a/b/", False, "a/b", False),
        ("/a/b/", False, "in /a/b/ there", True),
        (r"/a\/b/", False, "a/b", True),
        ("[[a]", True, "[a]", False),
    ],
)
def test_patterns_are_run_only_where_they_cannot_take_long(key: str, use_regex: bool, text: str, found: bool) -> None:
    assert bool(told([entry(key, use_regex=use_regex)], text)) is found


HOSTILE = ["a*b", "a*?b", ".*b", "a?" * 6 + "b", "(a|a|a)(a|a|a)(a|a|a)b", r"\w+\d", "(a+)+$", "(a|a?)+$", "a*a*a*b"]
HOSTILE += [
    "a{1,50}b",
    "a{0,99999999999}b",
    "(((((a?)?)?)?)?)b",
    "a" * 190 + "b",
    r"(\w+\s?)*$",
    "(?=(a+))b",
    "[a-z]*" * 9,
]


@pytest.mark.parametrize("pattern", HOSTILE)
def test_no_pattern_hangs(pattern: str) -> None:
    book = parse_lorebook({"entries": [entry(f"/{pattern}/") for _ in range(5_000)]})
    text = "\n".join(["a" * 200] * 50)
    book.matching([text] * 20)


def test_five_hundred_entries_come_in_the_same_order() -> None:
    chance = random.Random(3)
    words = ["".join(chance.choices("가나다라마바사아자차카타파하", k=3)) for _ in range(1_000)]
    entries = [
        entry([words[n], words[n + 500], f"word{n}"], f"{words[n]} 이야기", insertion_order=chance.randrange(50))
        for n in range(500)
    ]
    texts = [" ".join(chance.choices(words, k=40)) for _ in range(6)]
    book = parse_lorebook({"entries": entries, "recursive_scanning": True})
    first = book.matching(texts)
    assert book.matching(texts) == first
    assert len(first) > 100
