"""What reads documents may hang, crash, lie or take all memory: only that process ends, and the next file is read."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_cli.errors import LoadError
from persona_cli.loading import load
from persona_cli.loading.isolation import Extractor
from tests.binary_files import pdf
from tests.office_files import docx, pptx, xlsx
from tests.stories import STORY, WRITERS

DOCX = docx("글")
READ = "import sys; i = sys.stdin.buffer; n = int.from_bytes(i.read(8), 'big'); i.readline(); i.read(n); "
ANSWER = READ + "a = {!r}; sys.stdout.buffer.write(len(a).to_bytes(8, 'big') + a); sys.stdout.flush(); i.read()"
CRASHED = "its reader crashed"


@pytest.fixture
def extractor() -> Iterator[Extractor]:
    extractor = Extractor()
    yield extractor
    extractor.close()


def played_by(code: str) -> Extractor:
    """An extractor whose process runs this instead."""
    return Extractor([sys.executable, "-c", code])


def words(extractor: Extractor, data: bytes = DOCX, suffix: str = ".docx") -> list[str]:
    return [block.text for block in extractor.extract(suffix, data, 30).blocks]


def process_of(extractor: Extractor) -> "subprocess.Popen[bytes]":
    assert extractor._process
    return extractor._process


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")  # what nobody has waited for is there still, as a zombie
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


def ends(pid: int, within_s: float = 10) -> bool:
    stop = time.monotonic() + within_s
    while is_running(pid) and time.monotonic() < stop:
        time.sleep(0.02)
    return not is_running(pid)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import time; time.sleep(60)", "not read within 0.5 s"),
        (READ + "import time; time.sleep(60)", "not read within 0.5 s"),
        (READ + "import os; os.abort()", CRASHED),
        (READ + "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", CRASHED),
        ("", CRASHED),
        ("print('no answer at all, but something on the terminal')", CRASHED),
        (READ + "sys.stdout.buffer.write(b'\\xff' * 100)", CRASHED),
        (ANSWER.format(b"[]"), CRASHED),
        (ANSWER.format(b"{}"), CRASHED),
        (ANSWER.format(b'{"blocks": [[1, 2]], "title": "", "author": "", "date": ""}'), CRASHED),
        (ANSWER.format(b'{"blocks": [["image", "", 0, [], ""]], "title": "", "author": "", "date": ""}'), CRASHED),
        (ANSWER.format(b'{"blocks": ' + b"[" * 5000), CRASHED),
    ],
)
def test_a_reader_that_fails_costs_its_file_alone(code: str, reason: str, capfd: pytest.CaptureFixture[str]) -> None:
    extractor = played_by(code)
    with pytest.raises(LoadError) as caught:
        extractor.extract(".docx", bytes(1_000_000), 0.5 if "sleep" in code else 30)
    assert str(caught.value) == reason
    extractor.close()
    assert capfd.readouterr() == ("", "")


def test_a_command_that_is_not_there_is_a_reader_that_crashed() -> None:
    with pytest.raises(LoadError, match=CRASHED):
        words(Extractor(["/nowhere/at/all"]))


def test_the_next_file_gets_a_new_process(extractor: Extractor, tmp_path: Path) -> None:
    assert words(extractor) == ["글"]
    first = process_of(extractor).pid
    assert words(extractor) == ["글"]
    assert process_of(extractor).pid == first
    os.kill(first, signal.SIGKILL)
    assert ends(first)
    assert words(extractor) == ["글"]
    assert process_of(extractor).pid != first


def sheet_to_the_last_corner() -> bytes:
    """A workbook of 17 thousand million cells, two of them filled."""
    return xlsx({"a": {"A1": "하나", "XFD1048576": "둘"}})


def laughs() -> bytes:
    """A page of tags that stay open."""
    return b"<div>" * 2_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system bounds no process's memory")
def test_a_file_that_takes_all_memory_is_refused(extractor: Extractor) -> None:
    with pytest.raises(LoadError, match=CRASHED):
        extractor.extract(".xlsx", sheet_to_the_last_corner(), 30)
    small = Extractor(memory_mb=96)
    with pytest.raises(LoadError, match=r"^reading it takes more than 96 MB of memory$"):
        small.extract(".html", laughs(), 30)
    small.close()
    assert words(extractor) == ["글"]


def test_a_large_file_gives_its_memory_back(extractor: Extractor) -> None:
    assert words(extractor, b"<p>word</p><!--" + bytes(5_000_000) + b"-->", ".html") == ["word"]
    assert extractor._process is None


def test_ctrl_c_is_the_parents_business(extractor: Extractor) -> None:
    assert words(extractor) == ["글"]
    process = process_of(extractor)
    process.send_signal(signal.SIGINT)
    assert words(extractor) == ["글"]
    assert process_of(extractor) is process


def test_an_interrupted_reading_leaves_no_answer_for_the_next() -> None:
    code = """
import signal, threading, os
from persona_cli.loading.isolation import Extractor
extractor = Extractor()
extractor.extract(".html", b"<p>one</p>", 30)
first = extractor._process.pid
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    extractor.extract(".html", b"<p>two</p>" * 400_000, 30)
except KeyboardInterrupt:
    words = [block.text for block in extractor.extract(".html", b"<p>three</p>", 30).blocks]
    print(words, extractor._process.pid != first)
"""
    assert outcome(code) == "['three'] True"


STARTED = """
import os, threading, time
from persona_cli.loading.isolation import {how}
{extract}
print(extractor._process.pid, flush=True)
"""


def outcome(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.strip()


def test_no_process_is_left_when_the_program_ends() -> None:
    extract = 'extractor = shared_extractor()\nextractor.extract(".html", b"<p>one</p>", 30)'
    assert ends(int(outcome(STARTED.format(how="shared_extractor", extract=extract))))


@pytest.mark.parametrize("size", [1, 3_000_000])
def test_no_process_is_left_when_the_program_is_killed(size: int) -> None:
    """Neither one that waits, nor one that is busy for seconds to come."""
    extract = f"""extractor = Extractor()
extractor.extract(".html", b"<p>one</p>", 30)
threading.Thread(target=extractor.extract, args=(".html", b"<p>two</p>" * {size}, 30)).start()
time.sleep(0.5)"""
    code = STARTED.format(how="Extractor", extract=extract) + "time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        pid = int(program.stdout.readline())
        assert is_running(pid)
        program.kill()
    assert ends(pid)


def test_the_system_ends_a_process_that_nobody_else_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one busy in a library that lets no other thread run, whose program was killed."""
    code = """
import signal, sys
from persona_cli.extraction import __main__ as program
program.GRACE_S = 0
def hang(request):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    while True: pass
program._answer = hang
sys.argv = ["", "1024"]
program.main()"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    process.stdin.write(bytes(8) + json.dumps({"suffix": ".html", "seconds": 0.5}).encode() + b"\n")
    process.stdin.flush()
    assert process.wait(30) == -signal.SIGALRM
    process.stdin.close()
    process.stdout.close()


def test_the_process_imports_nothing_of_the_house_and_no_library_before_it_is_needed() -> None:
    code = "import persona_cli.extraction.__main__, sys; print(*sorted(sys.modules))"
    modules = outcome(code).split()
    assert [name for name in modules if name.startswith("persona_cli.")] == [
        "persona_cli.extraction",
        "persona_cli.extraction.__main__",
        "persona_cli.extraction.blocks",
    ]
    assert not {"chromadb", "numpy", "olefile", "pydantic", "pypdfium2", "python_calamine"} & {*modules}


@pytest.mark.parametrize(
    ("suffix", "library"), [(".pdf", "pypdfium2"), (".xlsx", "python_calamine"), (".hwp", "olefile")]
)
def test_without_the_office_part_its_files_say_how_to_get_it(suffix: str, library: str) -> None:
    code = f"import sys; sys.modules[{library!r}] = None; from persona_cli.extraction.__main__ import main; main()"
    extractor = played_by(code)
    data = xlsx({"a": {"A1": "글"}})
    with pytest.raises(LoadError) as caught:
        extractor.extract(suffix, data, 30)
    assert str(caught.value) == f"{suffix} files need the office part: pip install 'persona-cli[office]'"
    assert words(extractor) == ["글"]
    extractor.close()


def test_reading_leaves_no_file_anywhere(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("work", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "work/json.py").write_text("raise SystemExit('the code of a stranger ran')")
    extractor = Extractor()
    for suffix, write in WRITERS.items():
        extractor.extract(suffix, write(STORY), 30)
    extractor.extract(".pdf", pdf(["글"]), 30)
    extractor.extract(".xlsx", xlsx({"a": {"A1": "글"}}), 30)
    extractor.extract(".docx", slipping(), 30)
    extractor.close()
    left = [path.name for folder in (home, tmp_path) for path in folder.rglob("*") if path.is_file()]
    assert left == ["json.py"]


def slipping() -> bytes:
    """A document with an entry that would lie outside of any folder it was unpacked to."""
    from io import BytesIO

    file = BytesIO(DOCX)
    with ZipFile(file, "a") as packed:
        packed.writestr("../../outside.txt", "글")
        packed.writestr("/tmp/outside.txt", "글")
    return file.getvalue()


FILES: Sequence[tuple[str, bytes]] = [
    *((f"a{suffix}", write(STORY)) for suffix, write in WRITERS.items()),
    ("a.pdf", pdf(["글", "둘째 줄"], ["둘째 쪽"])),
    ("a.pptx", pptx([("제목", ["글"], "노트")])),
    ("a.xlsx", xlsx({"a": {"A1": "글", "B2": 1.0}})),
    ("a.eml", "From: a@b.kr\r\nDate: Tue, 5 Mar 2024 10:20:30 +0900\r\n\r\n글\r\n".encode()),
]


@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 200)), min_size=1, max_size=4),
)
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_is_read_or_refused_and_never_more(
    file: tuple[str, bytes], damages: list[tuple[float, bytes, int]]
) -> None:
    name, data = file
    for at, put, gone in damages:
        start = int(at * len(data))
        data = data[:start] + put + data[start + gone :]
    reason = ""
    try:
        load(name, data)
    except LoadError as error:
        reason = str(error)
    assert reason != CRASHED
