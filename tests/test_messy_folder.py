"""A folder as people have them: a thousand files of every kind, fifty of them bad."""

import json
import os
import random
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from persona_cli.cli.boundary import FAILED
from tests import office_files as office
from tests.commands import PERSONA

GOOD, BAD = 950, 50
PEAK_MB = 400
"""The most memory that reading it all may take; docs/formats.md states it."""

WORDS = [
    *("우산", "골목", "서랍", "보류", "새벽", "라디오", "국수", "의자", "편지", "계단"),
    *("umbrella", "drawer", "noodle", "letter", "stairs", "radio", "dawn"),
]


def sentence(draw: random.Random) -> str:
    return " ".join(draw.choices(WORDS, k=5)) + "."


def chat(draw: random.Random) -> str:
    lines = "".join(f"[박자두] [오후 8:{n + 10}] {sentence(draw)}\n[김여울] [오후 9:{n + 10}] 네?\n" for n in range(3))
    day = "--------------- 2024년 5월 1일 수요일 ---------------"
    return f"두루미 모임 님과 카카오톡 대화\n저장한 날짜 : 2024-05-02 10:44:52\n\n{day}\n{lines}"


def subtitles(draw: random.Random) -> str:
    return "".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\n{sentence(draw)}\n\n" for n in range(1, 4))


def pdf(text: str) -> bytes:
    """A page with a line of Latin text."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        " /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
    ]
    data, offsets = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(data)}\n%%EOF\n"
    return f"{data}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode()


def locked_pdf() -> bytes:
    key = "00" * 32
    lock = f"/Encrypt << /Filter /Standard /V 1 /R 2 /O <{key}> /U <{key}> /P -4 >> /ID [<00> <00>]"
    return pdf("nothing").replace(b"/Root 1 0 R", f"/Root 1 0 R {lock}".encode())


def bomb() -> bytes:
    return office.archive({"[Content_Types].xml": "<Types/>", "word/document.xml": b" " * 400_000_000})


GOOD_KINDS: dict[str, Callable[[random.Random], bytes]] = {
    "txt": lambda draw: f"{sentence(draw)}\r\n{sentence(draw)}\r\n".encode("cp949"),
    "md": lambda draw: f"---\ndate: 2024-03-05\n---\n# {sentence(draw)}\n\n{sentence(draw)}\n".encode(),
    "csv": lambda draw: f"질문,답변\n{sentence(draw)[:-1]}?,{sentence(draw)}\n".encode("utf-8-sig"),
    "tsv": lambda draw: f"text\tdate\n{sentence(draw)}\t2024-01-01\n".encode("utf-16"),
    "json": lambda draw: json.dumps([{"question": f"{sentence(draw)}?", "answer": sentence(draw)}]).encode(),
    "jsonl": lambda draw: json.dumps({"text": sentence(draw)}).encode(),
    "srt": lambda draw: subtitles(draw).encode("cp949"),
    "vtt": lambda draw: f"WEBVTT\n\n{subtitles(draw).replace(',', '.')}".encode(),
    "kakao.txt": lambda draw: chat(draw).encode("utf-8-sig"),
    "html": lambda draw: f"<html><body><h1>{sentence(draw)}</h1><p>{sentence(draw)}</p></body></html>".encode(),
    "docx": lambda draw: office.docx((1, sentence(draw)), sentence(draw)),
    "pdf": lambda draw: pdf(" ".join(draw.choices(["drawer", "noodle", "letter", "dawn"], k=5))),
}


def bad_files(docs: Path, draw: random.Random) -> dict[str, str]:
    """Write fifty bad files; for each the words its reason must hold."""
    binary = bytes(draw.randrange(256) for _ in range(4_000))
    reasons: dict[str, str] = {}

    def bad(name: str, data: bytes, reason: str) -> None:
        (docs / name).write_bytes(data)
        reasons[name] = reason

    for n in range(4):
        bad(f"cut{n}.pdf", pdf("x" * 100)[: 100 + 60 * n], "damaged or cut off")
        bad(f"cut{n}.docx", office.docx("잘린 글")[: 200 + 100 * n], "damaged or cut off")
        bad(f"binary{n}.txt", binary[n:], "binary, not text")
        bad(f"nul{n}.txt", b"word\0\0\0\0" * (n + 5), "binary, not text")
        bad(f"zero{n}.md", b"", "empty")
        bad(f"broken{n}.json", b'{"text": "' + b"a" * n, "not valid JSON at line 1")
        bad(f"locked{n}.pdf", locked_pdf(), "protected by a password")
        bad(f"picture{n}.png", b"\x89PNG\r\n\x1a\n", "no reader for .png files")
    for n in range(3):
        bad(f"blank{n}.txt", b" \r\n\t" * 10, "empty")
        bad(f"bomb{n}.docx", bomb(), "too large when unpacked")
    for n in range(2):
        bad(f"encoding{n}.txt", bytes(range(0x81, 0xFF)) * (n + 1), "encoding not recognised")
        bad(f"deep{n}.json", b"[" * 200_000, "nested too deeply")
    for n in range(4):
        bad(f"secret{n}.txt", "못 읽는 글".encode(), "no permission to read it")
        (docs / f"secret{n}.txt").chmod(0)
    (docs / "endless.txt").write_bytes(b"long " * 40_000_000)
    (docs / "loop").symlink_to(docs, target_is_directory=True)
    (docs / "nowhere.txt").symlink_to(docs / "missing.txt")
    os.mkfifo(docs / "pipe.txt")
    return reasons | {
        "endless.txt": "200 MB, and at most 50 MB are read",
        "loop": "a symbolic link that leads back to itself",
        "nowhere.txt": "no such file",
        "pipe.txt": "not a regular file",
    }


@pytest.fixture
def docs(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "docs"
    folder.mkdir()
    yield folder
    for path in folder.glob("secret*"):
        path.chmod(0o600)


def as_a_user(command: list[str]) -> list[str]:
    """The command without root's right to read what nobody may read."""
    if os.geteuid() != 0:
        return command
    rights = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", "--", *command]


def ingest(home: Path, *options: str) -> tuple[int, dict[str, object], int]:
    """Exit status, report, and the peak memory of the larger of its two processes, in megabytes."""
    script = """if True:
        import json, resource, subprocess, sys
        done = subprocess.run(sys.argv[1:], capture_output=True, encoding="utf-8")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(json.dumps([done.returncode, done.stdout, done.stderr, peak]))
    """
    command = as_a_user([*PERSONA, "ingest", "docs", "--speaker", "박자두", "--json", *options])
    done = subprocess.run(
        [sys.executable, "-c", script, *command], cwd=home, capture_output=True, text=True, check=True, timeout=280
    )
    status, out, err, peak = json.loads(done.stdout)
    assert out, err
    return status, json.loads(out), peak // 1_000


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="rights and pipes are made as on Linux")
def test_a_thousand_files_are_read_and_fifty_bad_ones_named(tmp_path: Path, docs: Path) -> None:
    draw = random.Random(7)
    kinds = list(GOOD_KINDS.items())
    for n in range(GOOD):
        ending, write = kinds[n % len(kinds)]
        (docs / f"{n:03}.{ending}").write_bytes(write(draw))
    reasons = bad_files(docs, draw)
    assert len(reasons) == BAD

    status, report, peak_mb = ingest(tmp_path, "--strict")

    assert status == FAILED
    assert report["documents"] == {"added": GOOD, "updated": 0, "unchanged": 0, "removed": 0, "skipped": BAD}
    told = {entry["path"].removeprefix("docs/"): entry["reason"] for entry in report["skipped"]}  # type: ignore[attr-defined]
    assert told.keys() == reasons.keys()
    assert {name: told[name] for name, words in reasons.items() if words not in told[name]} == {}
    assert peak_mb < PEAK_MB
    print(f"peak {peak_mb} MB, own {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000} MB")

    status, report, _ = ingest(tmp_path)
    assert (status, report["documents"]) == (
        0,
        {"added": 0, "updated": 0, "unchanged": GOOD, "removed": 0, "skipped": BAD},
    )
