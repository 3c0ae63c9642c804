"""The lexical half of retrieval beside SQLite's FTS5: time to build, time to look up a question.

    python benchmarks/lexical.py TEXT_FILE --chunks 10000

The text is cut into pieces of 500 characters, repeated up to the wanted number; questions are 30 characters drawn from
it. Both sides use persona's tokens and the same idf weights, and both return the best 100 chunks.
"""

import argparse
import random
import sqlite3
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from persona_cli.lexical import LexicalIndex, tokenize

QUESTIONS = 100
BEST = 100


def fts5(chunks: Sequence[tuple[int, str]]) -> Callable[[str], object]:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE t USING fts5(x, content='', detail=none)")
    rows = ((number, " ".join(set(tokenize(text)))) for number, text in chunks)
    connection.executemany("INSERT INTO t(rowid, x) VALUES (?, ?)", rows)

    def look_up(question: str) -> object:
        tokens = list(dict.fromkeys(tokenize(question)))
        parts = " UNION ALL ".join("SELECT rowid AS r, 1.0 AS w FROM t WHERE t MATCH ?" for _ in tokens)
        query = f"SELECT r, SUM(w) AS s FROM ({parts}) GROUP BY r ORDER BY s DESC LIMIT {BEST}"
        return connection.execute(query, [f'"{token}"' for token in tokens]).fetchall()

    return look_up


def postings(chunks: Sequence[tuple[int, str]]) -> Callable[[str], object]:
    index = LexicalIndex.build(chunks)
    return lambda question: index.best(index.shares(question), BEST)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--chunks", type=int, default=10_000)
    arguments = parser.parse_args()
    text = " ".join(arguments.file.read_text(encoding="utf-8").split())
    draw = random.Random(0)
    starts = [draw.randrange(max(1, len(text) - 500)) for _ in range(arguments.chunks)]
    chunks = [(number, text[start : start + 500]) for number, start in enumerate(starts, 1)]
    questions = [text[start : start + 30] for start in starts[:QUESTIONS]]
    medians = []
    for name, make in (("fts5", fts5), ("postings", postings)):
        start = time.perf_counter()
        look_up = make(chunks)
        built = time.perf_counter() - start
        times = []
        for question in questions:
            start = time.perf_counter()
            look_up(question)
            times.append(1e3 * (time.perf_counter() - start))
        medians.append(statistics.median(times))
        print(f"{name:9} build {built:6.2f} s   question p50 {medians[-1]:7.2f} ms")
    print(f"fts5 takes {medians[0] / medians[1]:.0f} times as long a question")


if __name__ == "__main__":
    main()
