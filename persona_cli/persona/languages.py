"""Which languages somebody speaks, told by scripts and, for the Latin one, by the commonest words."""

import re
from collections import Counter
from collections.abc import Iterable

_SCRIPTS = (
    ("ko", re.compile("[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]")),
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("zh", re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
)
"""The best known language of a script; kana before Han, which Japanese is written with too."""
_LINK = re.compile(r"\S+://\S+|www\.\S+|\S+@\S+")
_LATIN = re.compile("[a-z\u00c0-\u024f\u1e00-\u1eff']+")
_COMMON = {
    "en": "the and of to is in it that was for with you this have not are be my on what i'm it's don't i a",
    "fr": "le la les des est et une dans que qui pas pour sur avec je c'est vous mais ne du",
    "de": "der die das und ist nicht ich ein eine mit auf zu den von sich auch dass es wir war",
    "es": "el los las una que es en por con no se para lo como pero mi yo del más está",
    "it": "il che di non è una per con sono mi ma come più lo gli della anche ho questo",
    "pt": "o os que não uma em para com por mas eu do da está são meu muito também você é",
    "vi": "là và của không có tôi được người cho một những này với đã các",
    "id": "yang dan di itu dengan untuk tidak ini saya dari dalam akan pada ada",
}
_COMMON_WORDS = {code: frozenset(words.split()) for code, words in _COMMON.items()}
_SHARE = 0.3
"""Of the letters in scripts other than Latin, this much makes a text theirs: Korean is full of English words."""
_SAMPLE_CHARS = 2_000


def language_of(text: str) -> str | None:
    """The ISO 639-1 code of the language a text is most likely in; None when nothing tells."""
    text = _LINK.sub(" ", text[:_SAMPLE_CHARS].lower())
    latin = _LATIN.findall(text)
    letters = sum(map(len, latin))
    counts = {code: len(script.findall(text)) for code, script in _SCRIPTS}
    if counts["ja"]:
        counts["ja"] += counts.pop("zh")
    code = max(counts, key=lambda code: counts[code])
    if counts[code] and counts[code] >= _SHARE * (letters + sum(counts.values())):
        return code
    held = {code: sum(word in words for word in latin) for code, words in _COMMON_WORDS.items()}
    best = max(held, key=lambda code: held[code])
    return best if held[best] else None


def count_languages(texts: Iterable[str]) -> Counter[str]:
    """How many of the texts are in each language; those that nothing tells of are left out."""
    return Counter(code for text in texts if (code := language_of(text)))
