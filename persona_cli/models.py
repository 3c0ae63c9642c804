"""The words of the house as frozen dataclasses, and the few Protocols between its rooms."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal, NewType, Protocol

import numpy as np
from numpy.typing import NDArray

ChunkId = NewType("ChunkId", int)
Vector = NDArray[np.float32]
"""`(d,)` float32, of unit length."""
Matrix = NDArray[np.float32]
"""`(n, d)` float32, rows of unit length."""
Mode = Literal["generated", "quoted", "refused"]
Markup = Literal["plain", "markdown"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a document that belongs together: a recorded pair, a row, a section, or the whole of a text.

    Attributes:
        text: the person's words; the answer when the segment is a question-and-answer pair.
        question: what they were asked, when the segment is such a pair.
        line: 1-based line of the file on which `text` starts (`question`, for a pair), where the lines of `text` are
            the lines of the file; None when the file has no such lines.
        end_line: last line of the pair; None for prose, whose chunks count their own lines from `line`.
        place: where it is in the file when lines do not say it: "row 3", "item 2".
        unit: what `marks` count, "page" or "line"; empty where their labels speak for themselves, as times do.
        marks: offsets into `text`, ascending, each with the label of what begins or ends there, as `(0, "12")`. Of
            marks at one offset the first tells where a piece begins, as with its question, and the last where it ends.
        heading: the headings above it, outermost first, joined by " > ".
        date: ISO 8601 date or date and time at which it was said; None when the content does not tell.
        markup: how to split `text` when it is longer than a chunk.
    """

    text: str
    question: str | None = None
    line: int | None = None
    end_line: int | None = None
    place: str | None = None
    unit: str = ""
    marks: Sequence[tuple[int, str]] = ()
    heading: str | None = None
    speaker: str | None = None
    date: str | None = None
    markup: Markup = "plain"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker said in one message, cue or paragraph of a dialogue.

    Attributes:
        speaker: as the file names them.
        text: their words alone. Where the dialogue's unit is the line, line `k` of the text stands on line
            `first + k` of the file, so blank lines inside it stay.
        first: label of the place where it stands in the file, in the dialogue's unit: "12", "00:12:03".
        last: label of the place where it ends; the same when it is one line, row, message or moment.
        date: ISO 8601 date, or date and time, at which it was said; None when the file does not tell.
        replies_to: the words it answers, where the file says so and they are somebody else's.
        chat: name of the chat it is from, where a file holds several: nothing in one answers what is said in another.
    """

    speaker: str
    text: str
    first: str
    last: str
    date: str | None = None
    replies_to: str | None = None
    chat: str | None = None


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A file in which several people may speak: a chat, an interview with names, subtitles with voices.

    Attributes:
        turns: in the order they were said.
        unit: what their places count: "line", "row", "message"; empty when the labels speak for themselves.
        title: what the dialogue is called, as the heading of all that is taken from it.
    """

    turns: Sequence[Turn]
    unit: str = "line"
    title: str | None = None


Reading = Sequence[Segment] | Dialogue
"""What a file says: pieces in the person's own words, or a dialogue from which the person's are still to be taken."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document that is indexed.

    Attributes:
        text: the person's words; the answer when the chunk is a question-and-answer pair.
        locator: where in the document, for people: "lines 3-9", "Early life, lines 3-9", "row 3", "item 2".
        question: what they were asked, when the chunk is a question-and-answer pair.
        date: ISO 8601, or None.
    """

    text: str
    locator: str
    question: str | None = None
    speaker: str | None = None
    date: str | None = None

    @property
    def whole(self) -> str:
        """Question and answer together, or the text alone."""
        return f"{self.question}\n{self.text}" if self.question else self.text


def text_hash(text: str) -> bytes:
    """16 bytes that stand for a text in the embeddings cache."""
    return blake2b(text.encode(), digest_size=16).digest()


def question_hash(question: str) -> bytes:
    """The same for a recorded question, which is embedded as a question and so has another vector."""
    return blake2b(question.encode(), digest_size=16, person=b"question").digest()


@dataclass(frozen=True, slots=True)
class Document:
    """What one file gave: the chunks, and what tells whether the file has changed since.

    Attributes:
        source: the path shown to people, also the document's identity in a store.
        sha256: of the file's bytes, hexadecimal.
        size: of the file, in bytes.
        loader: name and version of the loader that read it, and what it was told: "text/2 redacted as 박자두".
    """

    source: str
    sha256: str
    size: int
    loader: str
    chunks: Sequence[Chunk] = ()

    @property
    def is_redacted(self) -> bool:
        """Whether what tells who somebody is was masked in it."""
        return self.loader.partition(" as ")[0].endswith(" redacted")


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk as the catalog holds it."""

    id: ChunkId
    source: str
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class IndexRow:
    """What the index is derived from: a chunk's id and the keys of its vectors, which stand for its texts too.

    Attributes:
        ways: of the ways to ask for it that a language model wrote, always in the same order.
    """

    id: ChunkId
    text_hash: bytes
    question_hash: bytes | None
    ways: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, chunk_id: ChunkId, chunk: Chunk, ways: Mapping[bytes, tuple[bytes, ...]] | None = None) -> "IndexRow":
        """The row of a chunk that is not in the catalog yet, with the ways to ask for its text among these."""
        asked, key = question_hash(chunk.question) if chunk.question else None, text_hash(chunk.whole)
        return cls(chunk_id, key, asked, (ways or {}).get(key, ()))

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The keys of all its vectors."""
        return (self.text_hash, *([self.question_hash] if self.question_hash else []), *self.ways)


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that was retrieved.

    Attributes:
        similarity: cosine of the question with the chunk, one of its sentences, its recorded question or another way to
            ask for it, whichever is nearest.
        asked: cosine of the question with the recorded question; -1 when there is none.
        share: how much of the question's idf mass the chunk holds, 0..1.
        score: what passages are ranked by; comparable within one question only.
        support: how well it supports an answer by itself, 0..1.
        pieces: cosine of the question with each piece of the text that has a vector of its own.
    """

    stored: StoredChunk
    similarity: float
    asked: float
    share: float
    score: float
    support: float = 0.0
    pieces: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """Where an answer is from, numbered from 1; `text` holds question and answer of a recorded pair."""

    n: int
    source: str
    locator: str
    speaker: str | None
    date: str | None
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a language model counted for one answer."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage as it was weighed: where it is from, and the figures it was ranked by (see `Passage`)."""

    source: str
    locator: str
    text: str
    similarity: float
    asked: float
    share: float
    score: float
    support: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """How an answer came about.

    Attributes:
        looked_up: the texts that passages were looked up by, as when a question goes on from the one before.
        threshold: support under which the question would have been refused.
        candidates: best first.
        prompt: the messages a language model was sent; empty when none was asked.
    """

    looked_up: Sequence[str]
    support: float
    threshold: float
    candidates: Sequence[Candidate]
    prompt: Sequence["Message"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question got.

    Attributes:
        output: the answer's text.
        mode: generated by a model from the passages, quoted from them, or refused for want of support. What the bot
            says of its own accord, as in small talk, counts as generated and has no `model`.
        support: how well the store supports an answer, 0..1.
        unsupported: spans of a generated answer that no passage bears out.
        disclosure: with the first answer of a conversation, that this is a model of the person and not the person.
        notice: what the reader should know about how the answer came about, as that the model could not be reached.
        timings_ms: milliseconds from the start of the question: "embed", "search", "first_token", "total".
        explanation: how it came about, where that was asked for.
    """

    output: str
    mode: Mode
    answerable: bool
    support: float
    sources: Sequence[Source] = ()
    unsupported: Sequence[str] = ()
    session_id: str | None = None
    model: str | None = None
    usage: Usage | None = None
    disclosure: str | None = None
    notice: str | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)
    explanation: Explanation | None = None


class Embedder(Protocol):
    """Turns text into vectors.

    Attributes:
        model: the name that a store remembers.
        batch_chars: characters worth embedding in one call: more gains nothing, and only delays the progress shown.
        by_sentence: whether prose is found better by a vector for each of its sentences than by one for the whole.
    """

    model: str
    batch_chars: int
    by_sentence: bool

    def embed_texts(self, texts: Sequence[str], api_key: str | None = None) -> Matrix:
        """Vectors of what will be searched, with the caller's key if one is given. Raises: ModelError."""
        ...

    def embed_questions(self, questions: Sequence[str]) -> Matrix:
        """Vectors of recorded questions, to be compared with asked ones. Raises: ModelError."""
        ...

    def embed_question(self, question: str, api_key: str | None = None) -> Vector:
        """Vector of what is searched for, with the caller's key if one is given. Raises: ModelError."""
        ...


Message = dict[str, str]
"""`{"role", "content"}` of the chat protocol."""


class ChatModel(Protocol):
    """A language model that answers messages."""

    model: str

    def stream(self, messages: Sequence[Message], api_key: str | None = None) -> AsyncGenerator[str | Usage]:
        """Pieces of the answer as they come, and the usage last where it is known. Raises: ModelError."""
        ...

    async def aclose(self) -> None:
        """Let go of the connections that the running event loop holds."""
        ...


Progress = Callable[[str, int, int], None]
"""Called with a phase ("read", "embed", "publish", "augment"), what is done of it and what there is to do."""
