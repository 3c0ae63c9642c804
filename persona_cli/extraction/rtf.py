"""RTF: control words and groups in ASCII."""

import re
from dataclasses import dataclass, replace

from persona_cli.extraction.blocks import Block, Extract, Unreadable, is_table

_TOKEN = re.compile(
    rb"\\(?P<word>[A-Za-z]{1,32})(?P<number>-?\d{1,10})? ?|\\'(?P<byte>[0-9A-Fa-f]{2})|\\(?P<sign>.)|(?P<brace>[{}])"
    rb"|[\r\n]+|(?P<text>[^\\{}\r\n]+)|\\",
    re.DOTALL,
)
_CODE_PAGES = {
    **{128: 932, 129: 949, 134: 936, 136: 950, 161: 1253, 162: 1254, 163: 1258, 177: 1255, 178: 1256, 186: 1257},
    **{204: 1251, 222: 874, 238: 1250},
}
"""Windows code pages by the number of a font's character set."""
_LEFT_OUT = frozenset(
    (
        *("colortbl", "info", "pict", "object", "header", "headerl", "headerr", "headerf", "footer", "footerl"),
        *("footerr", "footerf", "footnote", "annotation", "fldinst", "listtext", "pntext", "listtable"),
        *("listoverridetable", "revtbl", "rsidtbl", "generator", "themedata", "datastore", "xmlnstbl"),
    )
)
_ENDS = frozenset({"par", "sect", "page"})
_SIGNS = {
    **{"line": "\n", "tab": "\t", "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’"},
    **{"ldblquote": "“", "rdblquote": "”", "~": " ", "_": "-", "\\": "\\", "{": "{", "}": "}"},
}
_HEADING_STYLE = re.compile(r"\s*(?:heading|제목)\s*([1-9])\s*;?\s*", re.IGNORECASE)


@dataclass(slots=True)
class _Group:
    """What holds from an opening brace to its end: what its text is for, its encoding, its font, its style."""

    role: str = ""
    encoding: str = ""
    skip: int = 1
    font: int = 0
    style: int = 0


class _Reader:
    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._group = _Group()
        self._outer: list[_Group] = []
        self._default = "cp1252"
        self._fonts: dict[int, str] = {}
        self._levels: dict[int, int] = {}
        self._bytes = bytearray()
        self._text: list[str] = []
        self._style_name = ""
        self._pending_skip = 0
        self._level = 0
        self._in_table = False
        self._row: list[str] = []
        self._rows: list[list[str]] = []

    def read(self, data: bytes) -> list[Block]:
        at = 0
        while token := _TOKEN.match(data, at):
            at = token.end()
            if token["brace"]:
                self._brace(token["brace"])
            elif token["word"]:
                number = int(token["number"]) if token["number"] else None
                at += self._word(token["word"].decode(), number)
            elif token["byte"]:
                self._take(bytes([int(token["byte"], 16)]))
            elif token["sign"]:
                self._sign(token["sign"].decode("latin-1"))
            elif token["text"]:
                self._take(token["text"])
        self._end_paragraph()
        self._end_table()
        if self._outer:
            raise Unreadable("damaged")
        return self.blocks

    def _brace(self, brace: bytes) -> None:
        self._flush()
        if brace == b"{":
            self._outer.append(replace(self._group))
        elif self._outer:
            if self._group.role == "style":
                self._name_style()
            self._group = self._outer.pop()

    def _sign(self, sign: str) -> None:
        self._flush()
        if sign == "*":
            self._group.role = "left out"
        elif sign in "\r\n":
            self._word("par", None)
        else:
            self._put(_SIGNS.get(sign, ""))

    def _word(self, word: str, number: int | None) -> int:
        """Obey a control word; how many bytes after it are no text."""
        self._flush()
        group, value = self._group, number or 0
        if word == "bin":
            return max(value, 0)
        if word in _LEFT_OUT or group.role == "left out":
            group.role = "left out"
        elif word in ("fonttbl", "stylesheet"):
            group.role = word
        elif word == "ansicpg":
            self._default = f"cp{value}"
        elif word == "f":
            group.font, group.encoding = value, self._fonts.get(value, "")
        elif word == "fcharset" and group.role == "fonttbl":
            self._fonts[group.font] = f"cp{_CODE_PAGES[value]}" if value in _CODE_PAGES else ""
        elif word == "s":
            group.style = value
            if group.role in ("stylesheet", "style"):
                group.role = "style"
            else:
                self._level = self._levels.get(value, 0)
        elif word == "u":
            self._put(chr(value % 0x10000))
            self._pending_skip = group.skip
        elif word == "uc":
            group.skip = value
        elif group.role:
            pass
        elif word == "pard":
            self._level, self._in_table = 0, False
        elif word == "outlinelevel":
            self._level = value + 1 if 0 <= value < 9 else 0
        elif word == "intbl":
            self._in_table = True
        elif word == "cell":
            self._row.append(self._said())
        elif word == "row":
            self._rows.append(self._row)
            self._row = []
        elif word in _ENDS:
            self._end_paragraph()
        elif word in _SIGNS:
            self._put(_SIGNS[word])
        return 0

    def _take(self, data: bytes) -> None:
        """Bytes of text, of which those that stand for a character already given are left out."""
        skipped = min(self._pending_skip, len(data))
        self._pending_skip -= skipped
        self._bytes += data[skipped:]

    def _flush(self) -> None:
        self._pending_skip = 0
        if self._bytes:
            data, self._bytes = bytes(self._bytes), bytearray()
            try:
                text = data.decode(self._group.encoding or self._default, "replace")
            except LookupError:
                text = data.decode("cp1252", "replace")
            self._put(text)

    def _put(self, text: str) -> None:
        if not self._group.role:
            self._text.append(text)
        elif self._group.role == "style":
            self._style_name += text

    def _name_style(self) -> None:
        if found := _HEADING_STYLE.fullmatch(self._style_name):
            self._levels[self._group.style] = int(found[1])
        self._style_name = ""

    def _said(self) -> str:
        text = "".join(self._text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        self._text = []
        return text.strip()

    def _end_paragraph(self) -> None:
        if self._in_table:
            if self._text:
                self._text.append("\n")
            return
        self._end_table()
        if text := self._said():
            self.blocks.append(Block("heading" if self._level else "text", text, self._level))

    def _end_table(self) -> None:
        rows, self._rows = [row for row in self._rows if row], []
        if is_table(rows or [[]]):
            self.blocks.append(Block("table", "", rows=rows))
        else:
            self.blocks += [Block("text", cell) for row in rows for cell in row if cell]


def read_rtf(data: bytes) -> Extract:
    """The text of an RTF document."""
    if not data.lstrip().startswith(b"{\\rtf"):
        raise Unreadable("damaged")
    return Extract(_Reader().read(data))
