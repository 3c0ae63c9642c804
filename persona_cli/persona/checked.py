"""The values of a `persona.toml`, each checked as it is taken."""

import re
import tomllib
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from persona_cli.errors import ProfileError
from persona_cli.persona import positions

MAX_BYTES = 200_000
NAME_CHARS = 100
LINE_CHARS = 500
TEXT_CHARS = 8_000
MAX_ENTRIES = 50
LIKENESS = 0.75
"""How like a known key, by `difflib`, one is that was mistyped."""
"""In a list, of whatever."""

_MAX_ADDRESS_CHARS = 2_000
_MAX_DOTS = 500
"""In a line: `tomllib` takes time by the square of a dotted key's length."""
_INVISIBLE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb]")
"""Control characters, what turns the direction of a text so that it reads as another, and spaces of no width."""
_BREAK = re.compile("[\n\u2028\u2029]")
_WEB_ADDRESS = re.compile(r"https?://[^\s<>\"\\^`{|}]+", re.IGNORECASE)
_FAULTS = {
    "text": "{file}, line {line}: {key} must be a text in quotes",
    "list": "{file}, line {line}: {key} must be a list of texts in quotes",
    "table": "{file}, line {line}: {key} must be a table: a line [{key}], and its keys below",
    "tables": "{file}, line {line}: {key} must be tables: a line [[{key}]] for each, and its keys below",
    "missing": "{file}, line {line}: {key} is missing or empty",
    "one line": "{file}, line {line}: {key} must be on one line",
    "long": "{file}, line {line}: {key} is {length} characters long, and at most {most} are taken",
    "many": "{file}, line {line}: {key} has {count} entries, and at most {most} are taken",
    "choice": "{file}, line {line}: {key} must be one of {choices}",
    "language": '{file}, line {line}: {key} must be a code of two letters, such as "ko" or "en"',
    "flag": "{file}, line {line}: {key} must be true or false, without quotes",
    "link": "{file}, line {line}: {key} must be a web address that begins with https:// or http://",
    "misspelt": "{file}, line {line}: there is no key {key}: did you mean {nearest}?",
    "outside": "{file}, line {line}: {key} belongs below a line [voice]",
    "misplaced": "{file}, line {line}: {name} stands in a table: move it above the first line in brackets",
}


class Checked:
    """The values of a TOML text, named by their paths. All methods raise ProfileError for what cannot be used.

    Text comes NFC, without control characters and the like, and without white space at its ends; "" where there is
    none.

    Args:
        text: TOML.
        file: what to call the text in messages.

    Raises:
        ProfileError: it is too large or not valid TOML.
    """

    def __init__(self, text: str, file: str) -> None:
        self._text = text.removeprefix("\ufeff").replace("\r\n", "\n")
        self._file = file
        check_size(len(self._text.encode("utf-8", "replace")), file)
        self._values = self._parsed()

    def _parsed(self) -> Mapping[str, Any]:
        for line, content in enumerate(self._text.split("\n"), 1):
            if content.count(".") > _MAX_DOTS:
                raise self._broken("too many dots", line)
        try:
            return tomllib.loads(self._text)
        except RecursionError as error:
            raise self._broken("nested too deeply", 1) from error
        except ValueError as error:  # besides TOMLDecodeError: a number with too many digits
            found = re.fullmatch(r"(.*) \(at line (\d+), column \d+\)", str(error), re.DOTALL)
            last = self._text.rstrip().count("\n") + 1
            why = found[1] if found else str(error).removesuffix(" (at end of document)")
            raise self._broken(why, int(found[2]) if found else last) from error

    def _broken(self, why: str, line: int) -> ProfileError:
        return ProfileError("{file}, line {line}: this is not valid TOML: {why}", file=self._file, line=line, why=why)

    def check_keys(self, known: Collection[str], of_voice: Collection[str]) -> None:
        """Any key may be there, but none that looks like a known one mistyped, or belongs to the voice."""
        for key in self._values:
            if key in of_voice:
                raise self.fault("outside", key)
            near = get_close_matches(key.casefold(), known, 1, cutoff=LIKENESS)
            if near and key not in known:
                raise self.fault("misspelt", key, nearest=near[0])

    def check_table(self, *path: str | int, known: Collection[str], strange: Collection[str]) -> None:
        """A table, if there, must hold no known key mistyped, nor these: TOML gives it all below its header."""
        table = self._at(*path)
        if not isinstance(table, dict | None):
            raise self.fault("table", *path)
        for key in table or ():
            if key in strange:
                raise self.fault("misplaced", *path, key, name=key)
            near = get_close_matches(key.casefold(), known, 1, cutoff=LIKENESS)
            if near and key not in known:
                raise self.fault("misspelt", *path, key, nearest=near[0])

    def tables(self, key: str) -> list[tuple[str, int]]:
        """The paths of the tables in a list of them."""
        return self._list(key, dict, "tables")

    def string(self, *path: str | int, most: int = TEXT_CHARS) -> str:
        """Text of any lines, and of at most so many characters."""
        value = self._at(*path)
        if not isinstance(value, str | None):
            raise self.fault("text", *path)
        text = unicodedata.normalize("NFC", _INVISIBLE.sub("", (value or "").replace("\r\n", "\n"))).strip()
        if len(text) > most:
            raise self.fault("long", *path, length=len(text), most=most)
        return text

    def needed(self, *path: str | int) -> str:
        """Text that must be there."""
        if not (text := self.string(*path)):
            raise self.fault("missing", *path)
        return text

    def name(self, *path: str | int) -> str:
        """A short text of one line."""
        text = self.string(*path, most=NAME_CHARS)
        if _BREAK.search(text):
            raise self.fault("one line", *path)
        return text

    def names(self, key: str) -> tuple[str, ...]:
        """Short texts of one line; blank ones are left out."""
        return tuple(filter(None, (self.name(*path) for path in self._list(key, str, "list"))))

    def lines(self, key: str) -> tuple[str, ...]:
        """Texts with their white space folded, newlines too; blank ones are left out."""
        texts = (self.string(*path, most=LINE_CHARS) for path in self._list(key, str, "list"))
        return tuple(" ".join(text.split()) for text in texts if text)

    def choice(self, choices: Sequence[str], *path: str) -> str:
        """One of these, or ""."""
        text = self.string(*path).lower()
        if text and text not in choices:
            raise self.fault("choice", *path, choices=", ".join(f'"{choice}"' for choice in choices))
        return text

    def language(self, key: str) -> str:
        """An ISO 639-1 code, or ""."""
        text = self.string(key).lower()
        if text and not re.fullmatch("[a-z]{2}", text):
            raise self.fault("language", key)
        return text

    def flag(self, key: str) -> bool | None:
        """None where there is none."""
        value = self._at(key)
        if not isinstance(value, bool | None):
            raise self.fault("flag", key)
        return value

    def web_address(self, *path: str | int) -> str:
        """An http or https URL, which must be there."""
        url = self.string(*path, most=_MAX_ADDRESS_CHARS)
        if not _is_web_address(url):
            raise self.fault("link", *path)
        return url

    def fault(self, fault: str, *path: str | int, **values: Any) -> ProfileError:
        """What is wrong at a path; where nothing stands there, the line is that of the table."""
        lines = positions.lines_of(self._text)
        line = next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), 1)
        key = ".".join(part for part in path if isinstance(part, str))
        return ProfileError(_FAULTS[fault], file=self._file, line=line, key=key, **values)

    def _list(self, key: str, kind: type, fault: str) -> list[tuple[str, int]]:
        """The paths of the elements of a list, which are all of one kind."""
        values = self._at(key)
        if not isinstance(values, list | None):
            raise self.fault(fault, key)
        paths = [(key, number) for number in range(len(values or ()))]
        if len(paths) > MAX_ENTRIES:
            raise self.fault("many", key, count=len(paths), most=MAX_ENTRIES)
        for path in paths:
            if not isinstance(self._at(*path), kind):
                raise self.fault(fault, *path)
        return paths

    def _at(self, *path: str | int) -> Any:
        """The value there; None where there is none."""
        value: Any = self._values
        for part in path:
            value = value.get(part) if isinstance(value, dict) else value and value[part]
        return value


def check_size(size: int, file: str) -> None:
    """Raises ProfileError for a text of too many bytes."""
    if size > MAX_BYTES:
        raise ProfileError("{file} is larger than {most} kB", file=file, most=MAX_BYTES // 1_000)


def _is_web_address(url: str) -> bool:
    try:
        return bool(_WEB_ADDRESS.fullmatch(url) and urlsplit(url).hostname)
    except ValueError:
        return False
