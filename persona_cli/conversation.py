"""Conversation: what of it a question goes on from, and what in it is no question at all."""

import math
import re
from collections import Counter
from collections.abc import Sequence

from rich.cells import cell_len

from persona_cli.budget import fitting
from persona_cli.lexical import tokenize
from persona_cli.models import Message
from persona_cli.prompts import Talk

RECALLED = 2
"""Turns from long ago that are brought back for a question."""
LEAST_SHARE = 0.2
"""Part of a question's tokens, weighed by how rare they are in the conversation, that a turn to be recalled holds."""

ABOUT_TALK = re.compile(
    r"(?:내|제|나|저|우리)[가-힣 ]{0,24}?"
    r"(?:뭐라고|뭐랬|라고 ?(?:했|말했|그랬)|(?:말했|얘기했|이야기했|물어봤)(?:지|죠|었))"
    r"|(?:아까|처음에|방금|앞에서|이전에)[가-힣 ]{0,24}?(?:말|얘기|이야기|물어|했|그랬)|기억(?:나|하|해)"
    r"|(?:내|제|우리) [가-힣 ]{1,24}?(?:뭐|누구|어디|몇|언제)(?:였|라고|더라|지\b|죠)"
    r"|\b(?:did|have|had) (?:i|we)(?: just| already)? (?:say|said|tell|told|ask|asked|mention|mentioned|talk|talked)\b"
    r"|\b(?:i|we) (?:just |already )?(?:said|told|asked|mentioned)\b|\bdo you (?:still )?remember\b"
    r"|\b(?:earlier|before|just now)\b.{0,40}\b(?:said|say|told|tell|talk)"
    r"|\bwh(?:at|o|ere|en)(?:'s| is| was| are| were)? (?:my|our)\b|\bmy (?:\w{1,20} ){1,3}(?:again|called)\?",
    re.IGNORECASE,
)
"""A question about the conversation itself, or about the one who asks."""
TELLING = re.compile(
    r"(?:(?:저|나|우리)(?:는|도|희는)?|제|내|제가|내가|우리) |(?:my|i|i'm|i’m|i've|we|we're|our)\b", re.IGNORECASE
)
WANTING = re.compile(
    r"[?？]|궁금|(?:해|어|아|여|려|와) ?(?:줘|주세요|주실|주라|봐|보세요)|부탁|알고 ?싶|알려|말해|설명해|질문"
    r"|뭐|무엇|무슨|어디|언제|누구|누가|왜|어떻|어떤|얼마|몇|(?:나요|까요?|니|냐|ㄴ가요|는지)[.!~\s]*$"
    r"|\bi(?: would|'d|’d)? (?:want|need|like)\b(?! to [a-z]+ (?:a|my|in|at)\b)"
    r"|\b(?:want|like|love|wish|need) to (?:know|hear|ask|understand)|\bwonder|\bcurious|\bask\b|\btell me|\bexplain"
    r"|\bwh(?:at|o|ere|en|y|ich)\b|\bhow\b",
    re.IGNORECASE,
)
"""What makes a sentence a question or a wish, also without a question mark."""
SHORT_COLUMNS = 16
"""Of a terminal; a question no longer than this leans on what was said before."""
GOES_ON = re.compile(
    r"그(?:건|거|게|걸|때|럼|러면|래서|런데|분|사람|곳|쪽|날|후|전|다음|동안|것|렇|런|리고| )"
    r"|거기|저건|이건|이거|걔|얘|쟤|또 |다른|나머지|아까"
    r"|^(?:and|but|so|or|then|what about|how about|what else|why)\b"
    r"|\b(?:it|its|that|this|those|these|he|she|they|them|him|his|her|there|then|one|ones|else|other|another|same)\b",
    re.IGNORECASE,
)
"""Words that stand for something said before."""


def goes_on(question: str) -> bool:
    """Whether a question may not be understood without the one before."""
    return cell_len(question) <= SHORT_COLUMNS or bool(GOES_ON.search(question))


def is_about_talk(question: str) -> bool:
    """Whether a question is about what was said in the conversation."""
    return bool(ABOUT_TALK.search(question))


def is_telling(question: str) -> bool:
    """Whether somebody tells of themselves, and asks nothing."""
    return bool(TELLING.match(question.strip())) and not WANTING.search(question)


def told_before(question: str, history: Sequence[Message]) -> str | None:
    """What the one who asks told of themselves that the question is about; None when it is about something else."""
    if not is_about_talk(question):
        return None
    asked = set(tokenize(question))
    told = [m["content"] for m in history if m["role"] == "user" and is_telling(m["content"])]
    shared = [len(asked & set(tokenize(text))) for text in told]
    best = max(range(len(told)), key=lambda i: (shared[i], i), default=None)
    return told[best] if best is not None and shared[best] else None


def recall(question: str, history: Sequence[Message]) -> list[Message]:
    """The turns of a conversation that have to do with a question, in the order they were said."""
    turns = turns_of(history)
    held = [set(tokenize(" ".join(message["content"] for message in turn))) for turn in turns]
    frequency = Counter(token for tokens in held for token in tokens)
    weights = {t: math.log(1 + len(turns) / (frequency[t] + 0.5)) for t in set(tokenize(question)) if frequency[t]}
    total = sum(weights.values())
    if not total:
        return []
    shares = [sum(weight for token, weight in weights.items() if token in tokens) / total for tokens in held]
    best = sorted(range(len(turns)), key=lambda i: (-shares[i], -i))[:RECALLED]
    return [message for i in sorted(best) if shares[i] >= LEAST_SHARE for message in turns[i]]


def turns_of(history: Sequence[Message]) -> list[list[Message]]:
    """The messages of each turn: what was asked, and what was answered."""
    turns: list[list[Message]] = []
    for message in history:
        if message["role"] == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    return turns


def plan(question: str, history: Sequence[Message], room: int, summary: str = "") -> Talk:
    """What of a conversation goes into the prompt: its last messages as far as they fit, and what has to do with it.

    A question on what the one who asks told of themselves gets that turn alone: small models are led astray by others.

    Args:
        room: tokens for the last messages.
    """
    turns = turns_of(history)
    if told := told_before(question, history):
        turn = next(turn for turn in turns if turn[0]["content"] == told)
        return Talk(turn, summary, told=told)
    count = fitting(["\n".join(m["content"] for m in turn) for turn in reversed(turns)], room)
    older = [message for turn in turns[: len(turns) - count] for message in turn]
    recent = [message for turn in turns[len(turns) - count :] for message in turn]
    return Talk(recent, summary, recall(question, older))
