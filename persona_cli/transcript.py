"""A session as a transcript: Markdown for people, JSON for programs."""

import re
from dataclasses import asdict
from typing import Any

from persona_cli.models import Source
from persona_cli.sessions import Session, answer_of


def to_json(session: Session) -> dict[str, Any]:
    """The session as it is documented, in what JSON can hold; without its owner, who may be known by a secret."""
    return {name: value for name, value in asdict(session).items() if name != "owner"}


LABELS = {
    False: {
        "title": "Conversation with {name}",
        "nobody": "the person",
        "about": "Session {id}, started {started}. The answers come from a model of {name}, made from the sources"
        " under each; they are not {name}'s own.",
        "you": "You",
        "open": "broken off",
        "stopped": "stopped",
        "erased": "erased: it may have held words of a document that was forgotten",
    },
    True: {
        "title": "대화 기록: {name}",
        "nobody": "이 사람",
        "about": "세션 {id}, 시작 {started}. 답변은 {name}의 말과 글을 바탕으로 모델이 만든 것으로, 본인이 한 말이"
        " 아닙니다. 바탕이 된 출처는 답변마다 아래에 있습니다.",
        "you": "나",
        "open": "도중에 끊김",
        "stopped": "중지함",
        "erased": "지움: 잊기로 한 문서의 말이 담겨 있을 수 있습니다",
    },
}
"""What a transcript says beside what was said, by whether it is in Korean."""


def to_markdown(session: Session, name: str, korean: bool) -> str:
    """The session for people to read: all that was said is quoted, literally, and each answer's sources are listed.

    Args:
        name: of the person; empty where it is not known.
    """
    labels = LABELS[korean]
    person = _literal(name) or labels["nobody"]
    about = labels["about"].format(id=_literal(session.id), started=_minute(session.started), name=person)
    blocks = [f"# {labels['title'].format(name=person)}", about]
    for turn in session.turns:
        blocks += [f"## {turn.n}", f"**{labels['you']}** · {_minute(turn.at)}", _quote(turn.question)]
        came_to = "" if turn.state == "done" else f" · *{labels[turn.state]}*"
        blocks += [f"**{person}**{came_to}", *([_quote(answer_of(turn))] if turn.answer else [])]
        blocks += ["\n".join(map(_listed, turn.sources))] if turn.sources else []
    return "\n\n".join(blocks) + "\n"


INLINE = re.compile(r"[\\`*_\[\]<>&~|$]")
BLOCK = re.compile(r"^(\d+(?=[.)])|(?=[#+=-]))")
"""What begins a list, a heading or a rule, once `INLINE` is escaped."""


def _literal(text: str) -> str:
    """The text on one line, as Markdown that shows just that."""
    return BLOCK.sub(r"\1\\", INLINE.sub(r"\\\g<0>", " ".join(text.split())))


def _quote(text: str) -> str:
    """The text's lines, as a quotation in Markdown."""
    lines = [f"> {_literal(line)}  " if line.strip() else ">" for line in text.splitlines()]
    return "\n".join(lines).rstrip()


def _listed(source: Source) -> str:
    words = (source.source, source.locator, source.speaker, source.date)
    return f"{source.n}. {_literal(' · '.join(filter(None, words)))}"


def _minute(at: str) -> str:
    return f"{at[:10]} {at[11:16]} UTC"
