"""Question-and-answer pairs in running text.

People write them in four ways, here from the plainest to the most doubtful: labelled (`Q:` … `A:` …), numbered
(`1. …?`), a paragraph a pair, a line a pair. A label is proof. The others must account for most of a file, for in
ordinary prose too a paragraph may begin with a question.
"""

import re
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from itertools import chain, groupby, pairwise

from persona_cli.models import Segment

_MAX_QUESTION_CHARS = 300
_MAX_PREFACE = 2
"""Parts before the first pair that do not speak against a file: a title and an introduction."""

_BULLETS = r"\s*+ (?:(?:[-*+>•]|\#{1,6})\s+){0,4}+"


def _label(words: str) -> re.Pattern[str]:
    """A label in any dress: `Q:`, `A.`, `**Q1.**`, `[질문]`, `- 답 :`, `3. Q)`."""
    gap, bold = r"\s*+", r"(?:\*\*)?"  # possessive, so that time is linear
    return re.compile(
        rf"""{_BULLETS} (?:\d{{1,3}}[.)]{gap})? {bold} [\[【(]? (?:{words}) {gap}\d{{0,3}}{gap} {bold} {gap}
            [:：.．)\]】]{{1,2}} {bold} {gap}""",
        re.VERBOSE,
    )


_QUESTION_LABEL = _label(r"Q | q(?=\s*[:：]) | Question | 질문 | 문")
_ANSWER_LABEL = _label(r"A | a(?=\s*[:：]) | Answer | 답변 | 답")
_NUMBER = re.compile(rf"{_BULLETS} (?:\*\*)? \d{{1,3}}[.)]\s+", re.VERBOSE)

_ASKS = re.compile(r"[?？][?？!~)\]\"'”’」』*_\s]*$")
# What is quoted or in brackets, and addresses, may hold any mark. Atomic and possessive, so that time is linear.
_QUESTION = r"""
    (?> https?://\S+ | "[^"]{1,200}" | “[^”]{1,200}” | ‘[^’]{1,200}’ | 「[^」]{1,200}」 | \([^)]{1,200}\) | \.(?!\s)
        | [^.!?？。…] )++
    [?？] [?？!~)\]”’」』*_]*"""
# A later question does not begin with a quotation: that is an answer which quotes. And the last one does not go on as
# a clause ("…?라는 질문").
_LEADING_QUESTIONS = re.compile(
    rf"{_QUESTION} (?: \s* (?![\"“‘'「『(\[<]) {_QUESTION} )* (?!이?라[고는며])", re.VERBOSE
)


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive lines of a file; `line` is the 1-based number of the first."""

    line: int
    lines: Sequence[str]

    def trimmed(self) -> "Block":
        """Without the blank lines at either end."""
        filled = [at for at, line in enumerate(self.lines) if line.strip()] or [0, -1]
        return Block(self.line + filled[0], self.lines[filled[0] : filled[-1] + 1])


_Part = tuple[Block, Segment | None]
"""A piece of a block, and the pair that it is, if it is one."""


def split_pairs(blocks: Sequence[Block]) -> list[list[Segment]]:
    """The pairs and the prose of each block, in order; the blocks, which are those of one file, are judged together.

    Prose comes as one segment for each run of lines without a pair.
    """
    for starts, convinces in _STYLES:
        parts = [_parts(block, set(starts(block.lines))) for block in blocks]
        if convinces(list(chain.from_iterable(parts))):
            return [_segments(of_block) for of_block in parts]
    return [_segments([(block, None)]) for block in blocks]


def read_pair(block: Block) -> Segment | None:
    """The pair that a block of text is, question first; None when it begins otherwise or no answer follows."""
    block = block.trimmed()
    label, first, more = _QUESTION_LABEL.match(block.lines[0]), _bare(block.lines[0]), block.lines[1:]
    answer_at = next((at for at, line in enumerate(more) if _ANSWER_LABEL.match(line)), None) if label else None
    leading = _leading_questions(first)
    if answer_at is not None:
        question, answer = " ".join([first, *more[:answer_at]]), more[answer_at:]
    elif _asks(first) and not all(_asks(line) for line in more if line.strip()):
        question, answer = first, more
    elif leading and leading != first:
        question, answer = leading, [first.removeprefix(leading), *more]
    elif label:
        question, answer = first, more
    else:
        return None
    question, text = " ".join(question.split()).strip("*_ "), _answer_text(answer)
    if not question or not text:
        return None
    return Segment(text, question=question, line=block.line, end_line=block.line + len(block.lines) - 1)


def is_question(line: str) -> bool:
    """Whether a line asks, by its label or its question mark."""
    return _QUESTION_LABEL.match(line) is not None or _asks(line)


def has_labels(lines: Sequence[str]) -> bool:
    """Whether one of the lines is labelled as a question."""
    return any(_QUESTION_LABEL.match(line) for line in lines)


def labelled_question(line: str) -> str:
    """The question on a line that is labelled as one; empty when it is not."""
    label = _QUESTION_LABEL.match(line)
    return _without(label, line) if label else ""


def _parts(block: Block, starts: Set[int]) -> list[_Part]:
    pieces = pairwise(sorted({0, *starts, len(block.lines)}))
    parts = [(Block(block.line + start, block.lines[start:stop]), start in starts) for start, stop in pieces]
    return [(part, read_pair(part) if opens else None) for part, opens in parts if opens or part.trimmed().lines]


def _segments(parts: Sequence[_Part]) -> list[Segment]:
    segments: list[Segment] = []
    for pair, group in groupby(parts, key=lambda part: part[1]):
        if pair:
            segments.append(pair)
            continue
        blocks = [block for block, _ in group]
        prose = Block(blocks[0].line, [line for block in blocks for line in block.lines]).trimmed()
        if prose.lines:
            segments.append(Segment("\n".join(prose.lines), line=prose.line))
    return segments


def _labelled(lines: Sequence[str]) -> list[int]:
    return [at for at, line in enumerate(lines) if _QUESTION_LABEL.match(line)]


def _numbered(lines: Sequence[str]) -> list[int]:
    return [at for at, line in enumerate(lines) if _NUMBER.match(line) and _opens_pair(line)]


def _paragraphs(lines: Sequence[str]) -> list[int]:
    """Where paragraphs begin, except those that answer a question which is a paragraph of its own."""
    starts = [at for at in _lines(lines) if at == 0 or not lines[at - 1].strip()]
    alone = {at for at in starts if _is_alone(lines, at) and (bare := _bare(lines[at])) == _leading_questions(bare)}
    answers = {after for at, after in pairwise(starts) if at in alone and not _opens_pair(lines[after])}
    return [at for at in starts if at not in answers]


def _lines(lines: Sequence[str]) -> list[int]:
    return [at for at, line in enumerate(lines) if line.strip()]


def _is_alone(lines: Sequence[str], at: int) -> bool:
    return at + 1 == len(lines) or not lines[at + 1].strip()


def _any(parts: Sequence[_Part]) -> bool:
    return any(pair for _, pair in parts)


def _most(parts: Sequence[_Part]) -> bool:
    """Two pairs or more, and two parts in three; a file of one part, when its first line asks and others follow."""
    if len(parts) == 1:
        lines = parts[0][0].trimmed().lines
        return _any(parts) and len(lines) > 1 and _asks(_bare(lines[0]))
    found = _after_preface(parts)
    return sum(found) >= 2 and 3 * sum(found) >= 2 * len(found)


def _all(parts: Sequence[_Part]) -> bool:
    found = _after_preface(parts)
    return len(found) >= 3 and all(found)


def _after_preface(parts: Sequence[_Part]) -> list[bool]:
    """Which parts are pairs, from the first pair on when only a preface comes before it."""
    found = [pair is not None for _, pair in parts]
    return found[min(found.index(True), _MAX_PREFACE) :] if True in found else found


_STYLES: tuple[tuple[Callable[[Sequence[str]], list[int]], Callable[[Sequence[_Part]], bool]], ...] = (
    (_labelled, _any),
    (_numbered, _most),
    (_paragraphs, _most),
    (_lines, _all),
)
"""Where pairs may begin, and what it takes to believe it."""


def _opens_pair(line: str) -> bool:
    bare = _bare(line)
    return _asks(bare) or bool(_leading_questions(bare))


def _asks(line: str) -> bool:
    return len(line) <= _MAX_QUESTION_CHARS and _ASKS.search(line) is not None


def _leading_questions(line: str) -> str:
    """The questions with which a line begins, one after the other; empty when it begins otherwise."""
    match = _LEADING_QUESTIONS.match(line[:_MAX_QUESTION_CHARS])
    return match[0] if match else ""


def _bare(line: str) -> str:
    return _without(_QUESTION_LABEL.match(line) or _NUMBER.match(line), line)


def _answer_text(lines: Sequence[str]) -> str:
    text = "\n".join(lines).strip()
    return _without(_ANSWER_LABEL.match(text), text)


def _without(label: re.Match[str] | None, text: str) -> str:
    if not label:
        return text.strip()
    rest = text[label.end() :].strip()
    opened_bold = label[0].count("**") % 2
    return rest.replace("**", "", 1) if opened_bold else rest
