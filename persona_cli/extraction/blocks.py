"""What is found in a document."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["text", "heading", "table"]
Fault = Literal["damaged", "protected", "too large", "only pictures", "no memory", "part missing"]


class Block(NamedTuple):
    """A paragraph, a heading or a table.

    Attributes:
        text: of a paragraph or heading; the name of a sheet.
        level: of a heading, 1 the outermost.
        rows: of a table; a sheet's begin with its first row and column, empty or not.
        part: number of the page or slide it is on; empty where there is no such thing.
    """

    kind: Kind
    text: str
    level: int = 0
    rows: Sequence[Sequence[str]] = ()
    part: str = ""


@dataclass(frozen=True, slots=True)
class Extract:
    """What a document says, and what it says of itself.

    Attributes:
        date: ISO 8601, of when it was said, as far as the content tells.
    """

    blocks: Sequence[Block]
    title: str = ""
    author: str = ""
    date: str = ""


class Unreadable(Exception):
    """A document that cannot be taken apart."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


def is_table(rows: Sequence[Sequence[object]]) -> bool:
    """Whether cells are there to relate what is in them; a single row or column of them is only layout."""
    return len(rows) > 1 and max(map(len, rows)) > 1


def texts(words: Iterable[str], part: str = "") -> list[Block]:
    """Paragraphs, those without words left out."""
    return [Block("text", text, part=part) for text in map(str.strip, words) if text]
