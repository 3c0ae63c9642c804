"""What the bot says of its own accord, in the language of the question and the register of the person."""

from collections.abc import Sequence
from typing import Literal

from persona_cli.grounding import script_of
from persona_cli.smalltalk import Kind

Register = Literal["hapsyo", "haeyo", "banmal"]
"""합니다체, 해요체, 반말; nobody talks in the plain style of a newspaper."""

SOURCES_NAMED = 3
"""Documents that the disclosure names; of the others it says how many there are."""

SMALL_TALK: dict[Register, dict[Kind, str]] = {
    "hapsyo": {
        "greeting": "안녕하십니까, 반갑습니다! 궁금한 것이 있으면 편하게 물어보십시오.",
        "thanks": "저도 감사합니다. 더 궁금한 것이 있으면 또 물어보십시오.",
        "farewell": "이야기 나눠서 즐거웠습니다. 궁금한 것이 생기면 언제든 다시 물어보십시오.",
        "laughter": "저도 웃음이 납니다. 궁금한 것이 있으면 물어보십시오.",
        "apology": "괜찮습니다. 궁금한 것이 있으면 물어보십시오.",
    },
    "haeyo": {
        "greeting": "안녕하세요, 반가워요! 궁금한 게 있으면 편하게 물어보세요.",
        "thanks": "저도 고마워요. 더 궁금한 게 있으면 또 물어보세요.",
        "farewell": "이야기 나눠서 즐거웠어요. 궁금한 게 생기면 언제든 다시 물어보세요.",
        "laughter": "저도 웃음이 나네요. 궁금한 게 있으면 물어보세요.",
        "apology": "괜찮아요. 궁금한 게 있으면 물어보세요.",
    },
    "banmal": {
        "greeting": "안녕, 반가워! 궁금한 거 있으면 편하게 물어봐.",
        "thanks": "나도 고마워. 더 궁금한 거 있으면 또 물어봐.",
        "farewell": "얘기해서 즐거웠어. 궁금한 거 생기면 언제든 또 물어봐.",
        "laughter": "나도 웃기다. 궁금한 거 있으면 물어봐.",
        "apology": "괜찮아. 궁금한 거 있으면 물어봐.",
    },
}
ENGLISH_SMALL_TALK: dict[Kind, str] = {
    "greeting": "Hello, good to hear from you! Ask me anything you like.",
    "thanks": "You're welcome. Ask me more whenever you like.",
    "farewell": "Goodbye, it was good talking. I'm here when you want to ask me something.",
    "laughter": "That makes me smile too. Ask me anything you like.",
    "apology": "No harm done. Ask me anything you like.",
}
ABOUT_BOT: dict[Register, str] = {
    # 의 and 본인 go with any name, whatever it ends in
    "hapsyo": "저는 {who} 본인이 아니라, 기록된 {who}의 말로 만든 모델입니다. 그 기록에 대해 물어보십시오.",
    "haeyo": "저는 {who} 본인이 아니라, 기록된 {who}의 말로 만든 모델이에요. 그 기록에 대해 물어보세요.",
    "banmal": "나는 {who} 본인이 아니라, 기록된 {who}의 말로 만든 모델이야. 그 기록에 대해 물어봐.",
}
REFUSAL: dict[Register, tuple[str, str]] = {
    "hapsyo": ("그건 제가 아직 말씀드린 적이 없습니다.", "비슷한 이야기라면 이런 것이 있습니다: {nearest}"),
    "haeyo": ("그건 제가 아직 이야기한 적이 없어요.", "비슷한 이야기라면 이런 게 있어요: {nearest}"),
    "banmal": ("그건 내가 아직 얘기한 적이 없어.", "비슷한 얘기라면 이런 게 있어: {nearest}"),
}
AVOIDED: dict[Register, str] = {
    "hapsyo": "그 이야기는 하지 않기로 했습니다. 다른 것을 물어봐 주십시오.",
    "haeyo": "그 이야기는 하지 않기로 했어요. 다른 걸 물어봐 주세요.",
    "banmal": "그 얘기는 안 하기로 했어. 다른 거 물어봐.",
}
NOTED: dict[Register, str] = {
    "hapsyo": "그렇군요, 기억해 두겠습니다. 궁금한 것이 있으면 물어보십시오.",
    "haeyo": "그렇군요, 기억해 둘게요. 궁금한 게 있으면 물어보세요.",
    "banmal": "그렇구나, 기억해 둘게. 궁금한 거 있으면 물어봐.",
}
TOLD_BEFORE: dict[Register, str] = {
    "hapsyo": "앞에서 이렇게 말씀하셨습니다: “{told}”",
    "haeyo": "앞에서 이렇게 말씀하셨어요: “{told}”",
    "banmal": "아까 이렇게 말했어: “{told}”",
}


def small_talk(kind: Kind, question: str, name: str | None, register: Register) -> str:
    """A short reply to what is no question to the person.

    Args:
        name: the person's, where it is known.
    """
    if _is_korean(question):
        if kind in ("about_bot", "who"):
            return ABOUT_BOT[register].format(who=name or "이 사람")
        return SMALL_TALK[register][kind]
    if kind in ("about_bot", "who"):
        who = name or "the person"
        return f"I'm not {who} in person but a model made from recorded words of {who}. Ask me about what is in them."
    return ENGLISH_SMALL_TALK[kind]


def refusal(question: str, nearest: str | None, register: Register, address: str = "") -> str:
    """What to say when the store does not support an answer.

    Args:
        nearest: the nearest thing that was said, to offer instead.
        address: what the person calls the one who asks.
    """
    called = f"{address}, " if address and script_of(address) == script_of(question) else ""
    if _is_korean(question):
        sorry, offer = REFUSAL[register]
        return f"{called}{sorry} {offer.format(nearest=nearest)}" if nearest else f"{called}{sorry}"
    offered = f" The nearest I have come to it: {nearest}" if nearest else ""
    return f"{called}I have not talked about that.{offered}"


def avoided(question: str, register: Register) -> str:
    """What to say when the question is about what the persona does not talk about."""
    return AVOIDED[register] if _is_korean(question) else "I would rather not talk about that. Ask me something else."


def noted(question: str, register: Register) -> str:
    """What to say when somebody tells something about themselves."""
    if _is_korean(question):
        return NOTED[register]
    return "Good to know, I will keep it in mind. Ask me anything you like."


def told_before(question: str, told: str, register: Register) -> str:
    """What the one who asks said before, told back."""
    return TOLD_BEFORE[register].format(told=told) if _is_korean(question) else f"You told me: “{told}”"


def disclose(question: str, name: str | None, sources: Sequence[str], own: str = "") -> str:
    """That this is a model of the person, made from named sources, and not the person.

    Args:
        sources: the documents' names.
        own: the persona's own wording; `{name}` and `{sources}` stand for those, which are added where it has none.
    """
    korean = _is_korean(question)
    named = ", ".join(sources[:SOURCES_NAMED])
    if more := len(sources) - SOURCES_NAMED:
        named += (f" 외 {more}개" if korean else f" and {more} more") if more > 0 else ""
    of = f" ({named})" if named else ""
    if own.strip():
        text = own.strip().replace("{name}", name or ("이 사람" if korean else "the person"))
        return text.replace("{sources}", named) if "{sources}" in text else f"{text}{of}"
    if korean:
        return f"{name or '이 사람'} 본인이 아니라, 기록된 말{of.strip()}로 만든 모델의 답이에요."
    who = name or "the person"
    return f"A model of {who}, made from recorded words{of}, is answering, not {who} in person."


def _is_korean(question: str) -> bool:
    return script_of(question) == "hangul"
