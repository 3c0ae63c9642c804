"""One document in every format that has headings and paragraphs, and a reader who looks places up in it."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from tests.binary_files import hwp
from tests.office_files import Part, docx, epub, hwpx, odt

STORY: Sequence[Part] = [
    "머리말 없이 시작하는 첫 문단.",
    (1, "바닷가 작업실"),
    "Q&A를 모았다: a < b, 'x' > \"y\".",
    "한 줄\n다음 줄\t탭 뒤",
    (2, "Why do you paint?"),
    "Because the sea never sits still.",
    "그리고 비가 오면 더 좋다.",
    (1, "묻고 답하기"),
    "Q: 좋아하는 음식은?",
    "A: 떡볶이.",
    "매운 것으로.",
    "Q: 나이는?",
    "A: 서른.",
    [["질문", "답변"], ["고향은?", "바닷가 마을"], ["취미는?", "라디오 듣기\n그리고 산책"]],
    (2, "값"),
    [["물감", "만 원"], ["붓", "오천 원"]],
]
CHUNKS = [
    ("paragraph 1", None, "머리말 없이 시작하는 첫 문단."),
    ("바닷가 작업실, paragraphs 1-2", None, "Q&A를 모았다: a < b, 'x' > \"y\".\n\n한 줄\n다음 줄\t탭 뒤"),
    (
        "바닷가 작업실 > Why do you paint?, paragraphs 1-2",
        "Why do you paint?",
        "Because the sea never sits still.\n\n그리고 비가 오면 더 좋다.",
    ),
    ("묻고 답하기, paragraphs 1-3", "좋아하는 음식은?", "떡볶이.\n\n매운 것으로."),
    ("묻고 답하기, paragraphs 4-5", "나이는?", "서른."),
    ("묻고 답하기 > 값, paragraph 1", None, "물감: 만 원\n붓: 오천 원"),
    ("묻고 답하기, table 1, row 2", "고향은?", "바닷가 마을"),
    ("묻고 답하기, table 1, row 3", "취미는?", "라디오 듣기\n그리고 산책"),
]
"""What is to be found in it: locator, question, text."""


def look_up(locator: str) -> str:
    """The words at a place in the story, with the headings above it, as somebody who leafs through it finds them."""
    found = re.fullmatch(r"(?:(.*), )?(?:paragraphs? (\d+)(?:-(\d+))?|table (\d+), row (\d+))", locator)
    assert found, locator
    heading, first, last, table, row = found.groups()
    if table:
        tables = [part for part in STORY if isinstance(part, list)]
        return "\n".join(tables[int(table) - 1][int(row) - 1])
    path: list[tuple[int, str]] = []
    below: list[str] = []
    for part in STORY:
        if isinstance(part, str):
            text = part
        elif isinstance(part, tuple):
            path = [*(above for above in path if above[0] < part[0]), part]
            continue
        else:
            text = "\n".join(": ".join(cells) for cells in part)
        if " > ".join(name for _, name in path) == (heading or ""):
            below.append(text)
    return "\n\n".join([*(name for _, name in path), heading or "", *below[int(first) - 1 : int(last or first)]])


def xhtml(parts: Sequence[Part]) -> str:
    """The inside of a body."""

    def inner(text: str) -> str:
        return escape(text).replace("\n", "<br/>")

    def element(part: Part) -> str:
        if isinstance(part, str):
            return f"<p>{inner(part)}</p>"
        if isinstance(part, tuple):
            return f"<h{part[0]}>{escape(part[1])}</h{part[0]}>"
        rows = ("".join(f"<td>{inner(cell)}</td>" for cell in row) for row in part)
        return "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"

    return "\n".join(map(element, parts))


def _html(parts: Sequence[Part]) -> bytes:
    return f"<!DOCTYPE html><html><head><style>p {{}}</style></head><body>{xhtml(parts)}</body></html>".encode()


def _odt(parts: Sequence[Part]) -> bytes:
    def paragraph(text: str, name: str = "p", level: str = "") -> str:
        inner = escape(text).replace("\n", "<text:line-break/>").replace("\t", "<text:tab/>")
        return f"<text:{name}{level}>{inner}</text:{name}>"

    def element(part: Part) -> str:
        if isinstance(part, str):
            return paragraph(part)
        if isinstance(part, tuple):
            return paragraph(part[1], "h", f' text:outline-level="{part[0]}"')
        cell = "<table:table-cell>{}</table:table-cell>"
        rows = ("".join(cell.format(paragraph(text)) for text in row) for row in part)
        return "<table:table>" + "".join(f"<table:table-row>{row}</table:table-row>" for row in rows) + "</table:table>"

    return odt("".join(map(element, parts)))


def _rtf(parts: Sequence[Part]) -> bytes:
    """As Korean programs write it: most letters in CP949, with others as numbers."""

    def inner(text: str) -> bytes:
        text = re.sub(r"[\\{}]", r"\\\g<0>", text).replace("\n", "\\line ").replace("\t", "\\tab ")
        return b"".join(
            b"\\u%d?" % ord(char)
            if char in "비서"
            else b"".join(b"\\'%02x" % byte for byte in char.encode("cp949"))
            if not char.isascii()
            else char.encode()
            for char in text
        )

    def element(part: Part) -> bytes:
        if isinstance(part, str):
            return b"\\pard\\plain \\f1 %s\\par\r\n" % inner(part)
        if isinstance(part, tuple):
            return b"\\pard\\plain \\s%d\\b %s\\par\r\n" % (part[0], inner(part[1]))
        rows = (b"".join(b"\\f1 %s\\cell " % inner(cell) for cell in row) for row in part)
        return b"".join(b"\\trowd\\cellx2000\\cellx4000\\pard\\intbl %s\\row\r\n" % row for row in rows)

    fonts = b"{\\fonttbl{\\f0\\fnil\\fcharset0 Times;}{\\f1\\fnil\\fcharset129 Batang;}}"
    styles = b"{\\stylesheet{\\s0 Normal;}{\\s1\\b heading 1;}{\\s2\\b heading 2;}}"
    info = b"{\\info{\\title not said}}{\\header\\pard not said\\par}{\\*\\generator not said;}"
    return b"{\\rtf1\\ansi\\ansicpg949\\uc1" + fonts + styles + info + b"\r\n" + b"".join(map(element, parts)) + b"}"


def _hwpx(parts: Sequence[Part]) -> bytes:
    def inner(text: str) -> str:
        return "<hp:t>" + escape(text).replace("\n", "<hp:lineBreak/>").replace("\t", "<hp:tab/>") + "</hp:t>"

    def element(part: Part) -> tuple[str, str]:
        if isinstance(part, str):
            return "바탕글", inner(part)
        if isinstance(part, tuple):
            return f"개요 {part[0]}", inner(part[1])
        cell = '<hp:tc><hp:subList><hp:p styleIDRef="0"><hp:run>{}</hp:run></hp:p></hp:subList></hp:tc>'
        rows = ("".join(cell.format(inner(text)) for text in row) for row in part)
        return "바탕글", "<hp:tbl>" + "".join(f"<hp:tr>{row}</hp:tr>" for row in rows) + "</hp:tbl>"

    return hwpx(*map(element, parts))


def _hwp(parts: Sequence[Part]) -> bytes:
    return hwp(*((f"개요 {part[0]}", part[1]) if isinstance(part, tuple) else part for part in parts))


def decomposed(parts: Sequence[Part]) -> list[Part]:
    """The story with Korean letters taken apart, as macOS may write them."""

    def apart(part: object) -> object:
        if isinstance(part, str):
            return unicodedata.normalize("NFD", part)
        return type(part)(map(apart, part)) if isinstance(part, (list, tuple)) else part

    return [apart(part) for part in parts]  # type: ignore[misc]


WRITERS: dict[str, Callable[[Sequence[Part]], bytes]] = {
    ".docx": lambda parts: docx(*parts),
    ".odt": _odt,
    ".rtf": _rtf,
    ".html": _html,
    ".epub": lambda parts: epub({"": xhtml(parts)}),
    ".hwpx": _hwpx,
    ".hwp": _hwp,
}
"""By suffix, what writes the story in that format."""
