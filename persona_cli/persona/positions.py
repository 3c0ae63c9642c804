"""Where in a TOML text each value stands: `tomllib` does not tell."""

import re
import tomllib

Path = tuple[str | int, ...]
"""Keys, and places in lists from 0: ("examples", 2, "answer")."""

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'"
    r"|#[^\n]*"
    r"|[\n\[\]{}=,.]"
    r"|[^\s\[\]{}=,.#\"']+",
    re.DOTALL,
)
_ENDS_VALUE = frozenset(["\n", ",", "]", "}", ""])


def lines_of(text: str) -> dict[Path, int]:
    """The line, from 1, on which each table, each key and each element of a list begins.

    Args:
        text: valid TOML; what comes of any other text is undefined.
    """
    return _Walk(text).lines


class _Walk:
    """One way through the tokens of a text; an empty token stands behind the last."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._tokens: list[tuple[str, int]] = []
        line, done = 1, 0
        for found in _TOKEN.finditer(text):
            line += text.count("\n", done, found.start())
            done = found.start()
            if not found[0].startswith("#"):
                self._tokens.append((found[0], line))
        self._tokens.append(("", line))
        self._at = 0
        self._tables: dict[Path, int] = {}
        self._document()

    def _next(self) -> str:
        """The token in front, without taking it."""
        return self._tokens[self._at][0]

    def _skip(self, *tokens: str) -> None:
        while self._next() in tokens:
            self._at += 1

    def _document(self) -> None:
        table: Path = ()
        self._skip("\n")
        while self._next():
            if self._next() == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip("\n")

    def _header(self) -> Path:
        """The path of the table that `[a.b]` or `[[a.b]]` opens."""
        line = self._tokens[self._at][1]
        brackets = self._at
        self._skip("[")
        is_list = self._at - brackets == 2
        *parents, last = self._key()
        self._skip("]")
        path: Path = ()
        for key in parents:
            path = (*path, key)
            self.lines.setdefault(path, line)
            path = self._latest(path)
        path = (*path, last)
        if is_list:
            self._tables[path] = self._tables.get(path, 0) + 1
        self.lines.setdefault(path, line)
        path = self._latest(path)
        self.lines.setdefault(path, line)
        return path

    def _latest(self, path: Path) -> Path:
        """The last table of a list of tables; another table as it is."""
        return (*path, self._tables[path] - 1) if path in self._tables else path

    def _key(self) -> list[str]:
        keys = []
        while self._next() not in ("=", "]"):
            token = self._next()
            if token != ".":
                keys.append(_unquote(token))
            self._at += 1
        return keys

    def _pair(self, table: Path) -> None:
        line = self._tokens[self._at][1]
        path = table
        for key in self._key():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._skip("=")
        self._value(path)

    def _value(self, path: Path) -> None:
        match self._next():
            case "[":
                self._skip_one()
                count = 0
                self._skip("\n", ",")
                while self._next() != "]":
                    self.lines[*path, count] = self._tokens[self._at][1]
                    self._value((*path, count))
                    count += 1
                    self._skip("\n", ",")
                self._skip_one()
            case "{":
                self._skip_one()
                self._skip("\n", ",")
                while self._next() != "}":
                    self._pair(path)
                    self._skip("\n", ",")
                self._skip_one()
            case _:  # numbers and times may be several tokens
                while self._next() not in _ENDS_VALUE:
                    self._skip_one()

    def _skip_one(self) -> None:
        self._at += 1


def _unquote(key: str) -> str:
    """A key without its quotes."""
    return next(iter(tomllib.loads(f"{key} = 0"))) if key[0] in "\"'" else key
