"""The lexical half of the index: which chunks hold which of the question's tokens.

Tokens need no dictionary, so that Korean endings, names and new words match as far as they are spelled alike:
Hangul, Han, kana and Thai runs become overlapping character bigrams, other scripts words. Postings are flat arrays
that map from disk at once. Measured beside SQLite's FTS5 by `benchmarks/lexical.py`.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

UNSPACED = "\u0e00-\u0e7f\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
UNSPACED += "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
"""Thai, Hangul, Han and kana: scripts whose words are not, or not reliably, set apart by spaces."""
RUNS = re.compile(f"([{UNSPACED}]+)|([^\\W{UNSPACED}]+)")
MAX_QUERY_TOKENS = 256
"""Distinct tokens of a question that count; a longer question is looked up by its first ones."""
FILES = ("ids", "terms", "starts", "postings")


def tokenize(text: str) -> list[str]:
    """Lexical tokens in order: bigrams of unspaced scripts (a lone character as itself), words of the others."""
    tokens: list[str] = []
    for run, word in RUNS.findall(unicodedata.normalize("NFKC", text).lower()):
        if word:
            tokens.append(word)
        elif len(run) == 1:
            tokens.append(run)
        else:
            tokens.extend(a + b for a, b in pairwise(run))
    return tokens


def term_key(token: str) -> int:
    """64 bits that stand for a token on disk; among a million tokens two collide once in 40 million stores."""
    return int.from_bytes(blake2b(token.encode(), digest_size=8).digest(), "little")


class LexicalIndex:
    """Postings over `n` chunks.

    Attributes:
        ids: `(n,)` int64, ascending, the chunk of each row.
        terms: `(v,)` uint64, sorted keys of the distinct tokens.
        starts: `(v + 1,)` int64, where the rows of each term begin in `postings`.
        postings: `(p,)` int32, rows that hold the term, each once.
    """

    def __init__(
        self, ids: NDArray[np.int64], terms: NDArray[np.uint64], starts: NDArray[np.int64], postings: NDArray[np.int32]
    ) -> None:
        self.ids, self.terms, self.starts, self.postings = ids, terms, starts, postings

    @classmethod
    def build(cls, chunks: Iterable[tuple[int, str]]) -> "LexicalIndex":
        """Index the text of each `(chunk id, text)`, ids ascending."""
        vocabulary: dict[str, int] = {}
        ids: list[int] = []
        numbers: list[NDArray[np.int32]] = []
        for chunk_id, text in chunks:
            distinct = set(tokenize(text))
            ids.append(chunk_id)
            numbers.append(
                np.fromiter((vocabulary.setdefault(t, len(vocabulary)) for t in distinct), np.int32, len(distinct))
            )
        rows = np.repeat(np.arange(len(ids), dtype=np.int32), [len(n) for n in numbers])
        keys = np.fromiter(map(term_key, vocabulary), np.uint64, len(vocabulary))
        order = np.argsort(keys)
        rank = np.empty(len(keys), np.int64)
        rank[order] = np.arange(len(keys))
        owners = rank[np.concatenate([*numbers, np.empty(0, np.int32)])]
        pairs = np.sort(owners << 32 | rows)
        counts = np.bincount(owners, minlength=len(keys))
        return cls(
            np.array(ids, np.int64),
            keys[order],
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            (pairs & 0xFFFFFFFF).astype(np.int32),
        )

    def changed(self, gone: Sequence[int], added: "LexicalIndex") -> "LexicalIndex":
        """The index that `build` would make without the chunks `gone` and with those of `added`, made from both.

        Raises:
            ValueError: an added id does not come after all of these.
        """
        stays = np.isin(self.ids, gone, invert=True)
        ids = np.concatenate([self.ids[stays], added.ids])
        if (np.diff(ids) <= 0).any():
            raise ValueError("chunk ids do not ascend")
        # the postings of rows that stay, by their new numbers
        dropped = np.flatnonzero(~stays[self.postings])
        row_numbers = np.cumsum(stays, dtype=np.int32) - 1
        postings = row_numbers[np.delete(self.postings, dropped)]
        terms_of_dropped = np.searchsorted(self.starts, dropped, side="right") - 1
        counts = np.diff(self.starts) - np.bincount(terms_of_dropped, minlength=len(self.terms))
        # added rows have the highest numbers, so each term's come after those it has already
        ends = np.concatenate([[0], np.cumsum(counts)])
        added_counts = np.diff(added.starts)
        places = np.repeat(ends[np.searchsorted(self.terms, added.terms, side="right")], added_counts)
        postings = np.insert(postings, places, added.postings + np.int32(stays.sum()))
        terms = np.union1d(self.terms[counts > 0], added.terms)
        lengths = np.zeros(len(terms), np.int64)
        lengths[np.searchsorted(terms, self.terms[counts > 0])] = counts[counts > 0]
        lengths[np.searchsorted(terms, added.terms)] += added_counts
        return LexicalIndex(ids, terms, np.concatenate([[0], np.cumsum(lengths)]), postings)

    def save(self, folder: Path) -> None:
        """Write the four arrays into a folder."""
        for name in FILES:
            np.save(folder / f"lexical-{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> "LexicalIndex":
        """Map the four arrays from a folder."""
        return cls(*(np.load(folder / f"lexical-{name}.npy", mmap_mode="r") for name in FILES))

    def shares(self, question: str) -> NDArray[np.float32]:
        """How much of the question each chunk holds.

        Returns:
            `(n,)` float32 in 0..1: the idf of the question's tokens that the chunk holds, over the idf of all of them.
            Source of the idf: Robertson & Zaragoza 2009, doi:10.1561/1500000019.
        """
        count = len(self.ids)
        shares = np.zeros(count, np.float32)
        mass = 0.0
        for token in list(dict.fromkeys(tokenize(question)))[:MAX_QUERY_TOKENS]:
            rows = self._rows(token)
            idf = float(np.log1p((count - len(rows) + 0.5) / (len(rows) + 0.5)))
            shares[rows] += idf
            mass += idf
        return shares / np.float32(mass) if mass else shares

    def within(self, shares: NDArray[np.float32], ids: Iterable[int]) -> NDArray[np.float32]:
        """The shares of these chunks, and zero for all others."""
        return np.where(np.isin(self.ids, list(ids)), shares, np.float32(0))

    def best(self, shares: NDArray[np.float32], count: int) -> list[int]:
        """Ids of the chunks with the highest shares, at most `count`, none of them without a share."""
        count = min(count, len(shares))
        rows = np.argpartition(-shares, count - 1)[:count] if count else np.empty(0, np.int64)
        return [int(i) for i in self.ids[rows[shares[rows] > 0]]]

    def share_of(self, chunk_id: int, shares: NDArray[np.float32]) -> float:
        """The share of one chunk; ids ascend with the rows."""
        return float(shares[np.searchsorted(self.ids, chunk_id)])

    def _rows(self, token: str) -> NDArray[np.int32]:
        key = np.uint64(term_key(token))
        at = int(np.searchsorted(self.terms, key))
        if at == len(self.terms) or self.terms[at] != key:
            return np.empty(0, np.int32)
        return self.postings[self.starts[at] : self.starts[at + 1]]
