"""A persona in one file: it comes out as it went in, and what somebody tampered with does not come in."""

import json
import os
import shutil
import signal
import stat
import struct
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path
from sys import addaudithook
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persona_cli.embedding import LOCAL, LocalEmbedder
from persona_cli.errors import ArchiveError, PersonaError, StoreError
from persona_cli.models import Chunk, question_hash, text_hash
from persona_cli.persona.card_files import pack_png, plain_picture
from persona_cli.portable import archive as archives
from persona_cli.portable import outgoing
from persona_cli.portable.incoming import Incoming, Summary
from persona_cli.store import Store
from tests.commands import persona
from tests.forks import FILE_EVENTS, Child
from tests.parts import needs
from tests.stores import FAQ, embed, make_store

KOREAN = {"LANG": "ko_KR.UTF-8"}
TOML = '# 두루미가 직접 씀\nname = "두루미"\ngreeting = "어서 와요"\n'
CARD = json.dumps(
    {"name": "Crane", "description": "d", "personality": "", "scenario": "", "first_mes": "", "mes_example": ""}
)
CASES = '{"question": "고양이 이름은?", "source": "faq.txt"}\n{"question": "세금은?", "answerable": false}\n'
WAYS = ("냥이는 뭐라고 불러요?", "고양이 부를 때 뭐라 해요?")
QUESTIONS = ("고양이 이름이 뭐예요?", "Why did you move the studio?", "방송 몇 시에 해?", "양자역학이 뭐야?")
SECRET = "아무에게도 말하지 않은 비밀이에요."


def make_whole_store(folder: Path) -> Path:
    """A store with all that an archive may hold, and with what it may not: sessions, texts that are gone."""
    make_store(folder, {"old.txt": [Chunk(SECRET, "line 1", f"{SECRET}?")]})
    make_store(folder)
    with closing(Store(folder)) as store:
        picture = pack_png(plain_picture(), {"chara": CARD.encode()})
        files = {"asset/assets/icon/손.png": b"\x89PNG\0", "asset/b": b""}
        kept = {"persona.toml": TOML, "card.json": CARD, "evaluation.jsonl": CASES}
        store.catalog.set_assets({n: v.encode() for n, v in kept.items()} | files | {"card.png": picture})
        store.catalog.set_facts({"names": json.dumps(["두루미", "Crane"], ensure_ascii=False), "redact": "no"})
        store.catalog.cache_vectors(LOCAL, [question_hash(way) for way in WAYS], [embed(w, asked=True) for w in WAYS])
        store.catalog.keep_ways({text_hash(FAQ[1].whole): WAYS, text_hash(FAQ[2].whole): []}, 3)
        with store.catalog.transaction() as connection:
            row = {"id": "s", "started": "2026-01-01", "summary": SECRET}
            connection.execute(
                sa.text("INSERT INTO sessions (id, started, summary) VALUES (:id, :started, :summary)"), row
            )
        with store.writing():
            store.publish([], ["old.txt"], {}, LOCAL)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_whole_store(tmp_path_factory.mktemp("whole") / "store")


@pytest.fixture(scope="module")
def packed(whole: Path) -> Path:
    """The archive of that store."""
    file = whole.parent / "두루미.persona"
    export(whole, file)
    return file


def export(folder: Path, file: Path, **how: bool) -> Summary:
    with closing(Store(folder)) as store:
        return outgoing.export(store, file, **how)


def bring_in(file: Path, folder: Path, force: bool = False) -> Summary:
    with closing(Incoming(file)) as incoming, closing(Store(folder, create=True)) as store:
        return incoming.settle(store, lambda _: LocalEmbedder(), incoming.embedding, lambda *_: None, force=force)


def held(folder: Path) -> Any:
    """All that a store holds of a persona, and its sessions."""
    with (
        closing(Store(folder)) as store,
        store.reading() as (snapshot, generation),
        store.catalog.reading() as connection,
    ):
        assets = snapshot.assets([name for name in snapshot.asset_names() if name != "voice.json"])
        facts = [snapshot.fact(name) for name in ("names", "redact", "embedding")]
        chunks = [(stored.source, stored.chunk) for stored in snapshot.all_chunks()]
        assert len(generation.lexical.ids) == len(chunks)
        ways = (snapshot.ways(), snapshot.augmented())
        talks = connection.execute(sa.text("SELECT id, summary FROM sessions")).fetchall()
        return list(snapshot.all_documents()), chunks, ways, assets, facts, [tuple(talk) for talk in talks]


def answers(folder: Path) -> list[dict[str, Any]]:
    told = [persona("ask", question, "--json", "--db", str(folder), cwd=folder.parent) for question in QUESTIONS]
    assert [done.returncode for done in told] == [0] * len(QUESTIONS)
    keys = ("output", "mode", "answerable", "support", "sources")
    return [{key: json.loads(done.stdout)[key] for key in keys} for done in told]


def test_a_persona_goes_from_store_to_store_and_nothing_of_it_changes(
    whole: Path, packed: Path, tmp_path: Path
) -> None:
    summary = bring_in(packed, tmp_path / "store")
    assert (summary.name, summary.documents, summary.chunks, summary.questions) == ("두루미", 2, 4, 2)
    assert (summary.embedding, summary.vectors, summary.embedded) == (LOCAL, 9, 0)
    *before, talks = held(whole)
    *after, no_talks = held(tmp_path / "store")
    assert after == before
    assert (talks, no_talks) == ([("s", SECRET)], [])
    export(tmp_path / "store", tmp_path / "again.persona")
    assert (tmp_path / "again.persona").read_bytes() == packed.read_bytes()
    shutil.copytree(whole, tmp_path / "whole")  # to ask is to begin a session
    assert answers(tmp_path / "store") == answers(tmp_path / "whole")


def test_the_archive_tells_what_is_in_it_and_nothing_that_is_gone(packed: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        contents = {name: archive.read(name) for name in archive.namelist()}
        assert archive.namelist()[0] == "manifest.json"
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert manifest.pop("members") == {
        name: {"size": len(data), "sha256": sha256(data).hexdigest()}
        for name, data in contents.items()
        if name[:4] != "mani"
    }
    assert (manifest["name"], manifest["documents"], manifest["chunks"], manifest["dimension"]) == ("두루미", 2, 4, 384)
    assert contents["persona.toml"] == TOML.encode()
    assert not any(SECRET.encode() in data for data in contents.values())
    assert text_hash(f"{SECRET}?\n{SECRET}") not in contents["embeddings.keys"]


def test_commands_carry_an_ingested_folder_over_and_the_next_ingest_finds_nothing_to_do(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "faq.txt").write_text("Q: 고양이 이름이 뭐예요?\nA: 보류예요.\n", encoding="utf-8")
    (docs / "note.md").write_text("# Move\n\nI moved in November. The old room was damp.\n", encoding="utf-8")
    (docs / "persona.toml").write_text(TOML, encoding="utf-8")
    (tmp_path / "cases.jsonl").write_text(CASES, encoding="utf-8-sig")

    def run(*arguments: str) -> str:
        done = persona(*arguments, cwd=tmp_path, env=KOREAN)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("ingest", "docs", "--db", "one")
    shown = json.loads(run("export", "a.persona", "--db", "one", "--evaluation", "cases.jsonl", "--json"))
    assert (shown["file"], shown["questions"], shown["documents"]) == ("a.persona", 2, 2)
    assert shown["bytes"] == (tmp_path / "a.persona").stat().st_size
    assert "가져왔습니다" in run("import", "a.persona", "--db", "two")
    assert "2개 그대로" in run("ingest", "docs", "--db", "two")
    assert json.loads(run("status", "--db", "two", "--json"))["names"] == ["두루미"]
    run("export", "light.persona", "--db", "two", "--no-embeddings")
    assert (tmp_path / "light.persona").stat().st_size < shown["bytes"] / 2
    done = persona("import", "light.persona", "--db", "three", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["embedded"] == shown["vectors"]
    assert done.stderr == "embedding on this machine; no text leaves it\n"
    run("export", "b.persona", "--db", "three")
    assert (tmp_path / "b.persona").read_bytes() == (tmp_path / "a.persona").read_bytes()


def test_what_the_archive_lacks_is_embedded(packed: Path, tmp_path: Path) -> None:
    def drop_first(members: dict[str, bytes]) -> None:
        members["embeddings.keys"] = members["embeddings.keys"][20:]
        members["embeddings.f32"] = members["embeddings.f32"][4 * 384 :]

    summary = bring_in(rebuilt(packed, tmp_path / "f.persona", drop_first), tmp_path / "store")
    assert (summary.vectors, summary.embedded) == (8, 1)
    done = persona("import", str(packed), "--no-embeddings", "--db", "other", "--json", cwd=tmp_path)
    assert (json.loads(done.stdout)["vectors"], json.loads(done.stdout)["embedded"]) == (0, 9)


def test_a_store_with_documents_is_replaced_only_by_force(packed: Path, whole: Path, tmp_path: Path) -> None:
    target = make_whole_store(tmp_path / "store")
    make_store(target, {"mine.txt": [Chunk("이건 제 말이에요.", "line 1")]})
    with closing(Store(target)) as store:
        store.catalog.set_assets({"asset/b": None, "asset/mine": b"mine", "persona.toml": b""})
    before = held(target)
    with pytest.raises(StoreError, match="holds 3 documents already"):
        bring_in(packed, target)
    done = persona("import", str(packed), "--db", str(target), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert held(target) == before
    bring_in(packed, target, force=True)
    assert held(target) == held(whole)
    assert [path.name for path in (target / "index").iterdir()] == ["5"]
    export(target, tmp_path / "again.persona")
    assert (tmp_path / "again.persona").read_bytes() == packed.read_bytes()


def test_an_export_is_of_one_moment(whole: Path, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(whole, tmp_path / "store")
    write = archives.write_archive

    def write_while_somebody_ingests(*arguments: Any) -> int:
        make_store(tmp_path / "store", {"new.txt": [Chunk("새 말이에요.", "line 1")]})
        return write(*arguments)

    monkeypatch.setattr(outgoing, "write_archive", write_while_somebody_ingests)
    export(tmp_path / "store", tmp_path / "a.persona")
    assert (tmp_path / "a.persona").read_bytes() == packed.read_bytes()


def test_a_file_that_is_there_is_replaced_only_by_force(whole: Path, packed: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.persona"
    file.write_text("mine")
    with pytest.raises(ArchiveError, match="is there already"):
        export(whole, file)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ArchiveError, match="is there already"):
        export(whole, tmp_path / "folder", force=True)
    assert file.read_text() == "mine"
    export(whole, file, force=True)
    assert file.read_bytes() == packed.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"mine.persona", "folder"}


def test_a_place_that_cannot_be_written_to_is_named(whole: Path, packed: Path, tmp_path: Path) -> None:
    for place in (tmp_path / "nowhere" / "a.persona", Path("/proc/a.persona")):
        with pytest.raises(ArchiveError, match=r"a\.persona cannot be written"):
            export(whole, place)
    with pytest.raises(ArchiveError, match="cannot be read"):
        bring_in(tmp_path / "nothing.persona", tmp_path / "store")
    assert not (tmp_path / "store").exists()
    with pytest.raises(PersonaError, match="cannot make the store"):
        bring_in(packed, Path("/proc/store"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB."""
    mount = needs("tmpfs")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run([mount, "-t", "tmpfs", "-o", "size=300k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_gets_no_half_of_a_persona(whole: Path, packed: Path, disk: Path) -> None:
    (disk / "others").write_bytes(bytes(290_000))
    with pytest.raises(ArchiveError, match="No space left"):
        export(whole, disk / "a.persona")
    assert [path.name for path in disk.iterdir()] == ["others"]
    (disk / "others").unlink()
    with pytest.raises(PersonaError, match=r"no space left|disk is full"):
        bring_in(packed, disk / "store")
    shutil.rmtree(disk / "store" / "index", ignore_errors=True)
    with closing(Store(disk / "store")) as store, store.catalog.snapshot() as snapshot:
        assert (snapshot.generation, snapshot.documents(), snapshot.asset_names()) == (0, {}, [])


def test_a_text_that_packs_like_a_bomb_is_written_so_that_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "FREE_BYTES", 1_000)
    make_store(tmp_path / "one", {"a.txt": [Chunk("ㅋ" * 300_000, "line 1", "웃어 봐")]})
    export(tmp_path / "one", tmp_path / "a.persona")
    assert bring_in(tmp_path / "a.persona", tmp_path / "two").chunks == 1


@pytest.mark.parametrize(
    ("source", "chunk", "key"),
    [
        ("new\nline.txt", FAQ[0], "source"),
        ("a.txt", Chunk("ㅋ" * 400_000, "line 1"), "text"),
        ("a.txt", replace(FAQ[0], date="2024-02-31"), "date"),
    ],
)
def test_what_could_not_be_imported_is_not_exported(tmp_path: Path, source: str, chunk: Chunk, key: str) -> None:
    make_store(tmp_path / "store", {source: [chunk]})
    with pytest.raises(ArchiveError, match=f"cannot be exported, for no archive may hold its {key}"):
        export(tmp_path / "store", tmp_path / "a.persona")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def rebuilt(packed: Path, to: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """The archive with its members changed, and with checksums that are right all the same."""
    with zipfile.ZipFile(packed) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    change(members)
    manifest |= json.loads(members.pop("manifest.json", b"{}"))
    listed = {name: {"size": len(data), "sha256": sha256(data).hexdigest()} for name, data in members.items()}
    text = json.dumps({**manifest, "members": listed | manifest.get("extra", {})}, ensure_ascii=False)
    with zipfile.ZipFile(to, "w") as archive:
        for name, data in {"manifest.json": text.encode(), **members}.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_STORED)
    return to


def set_line(member: str, **values: object) -> Callable[[dict[str, bytes]], None]:
    """Changes values in the first line of a member."""

    def change(members: dict[str, bytes]) -> None:
        first, rest = members[member].split(b"\n", 1)
        members[member] = json.dumps({**json.loads(first), **values}).encode() + b"\n" + rest

    return change


def put(**values: bytes) -> Callable[[dict[str, bytes]], None]:
    """Puts members in; `__` stands for a dot."""
    return lambda members: members.update({name.replace("__", "."): data for name, data in values.items()})


def tell(**values: object) -> Callable[[dict[str, bytes]], None]:
    return lambda members: members.update({"manifest.json": json.dumps(values).encode()})


def scale(factor: float) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        members["embeddings.f32"] = (np.frombuffer(members["embeddings.f32"], "<f4") * np.float32(factor)).tobytes()

    return change


def take(member: str, start: int, end: int | None = None) -> Callable[[dict[str, bytes]], None]:
    return lambda members: members.update({member: members[member][start:end]})


def say_twice(members: dict[str, bytes]) -> None:
    members["documents.jsonl"] += members["documents.jsonl"]
    members["manifest.json"] = json.dumps({"documents": 4}).encode()


def add(name: str) -> Callable[[dict[str, bytes]], None]:
    return lambda members: members.update({name: b""})


NAMES = ["/etc/x", "asset/../x", "../x", "C:/x", "asset\\x", "asset//x", "asset/", "x.py", "asset/\x1b[2J", "a/b"]
NESTED = b"[" * 200_000
HOSTILE: dict[str, tuple[Callable[[dict[str, bytes]], object], str]] = {
    **{f"name {name!r}": (add(name), "honest") for name in NAMES},
    "newer": (tell(format=2), "upgrade persona"),
    "no format": (tell(format=None), "damaged"),
    "true format": (tell(format=True), "damaged"),
    "unknown key": (tell(extra={}), "damaged"),
    "missing member": (tell(extra={"asset/b2": {"size": 0, "sha256": ""}}), "damaged"),
    "name of a list": (tell(name=["x"]), "damaged"),
    "name that steers": (tell(name="\x1b[2J"), "damaged"),
    "embedding elsewhere": (tell(embedding="openai:x y"), "damaged"),
    "counts": (tell(chunks=3), "damaged"),
    "many documents": (tell(documents=10**9), "damaged"),
    "dimension": (tell(dimension=192), "embeddings"),
    "no chunks": (lambda members: members.pop("chunks.jsonl"), "damaged"),
    "no keys": (lambda members: members.pop("embeddings.keys"), "damaged"),
    "source type": (set_line("documents.jsonl", source=5), "line 1: source"),
    "source empty": (set_line("documents.jsonl", source=""), "line 1: source"),
    "source control": (set_line("documents.jsonl", source="a\x1b[2J"), "line 1: source"),
    "source surrogate": (set_line("documents.jsonl", source="\ud800"), "line 1: source"),
    "source twice": (say_twice, "damaged"),
    "size": (set_line("documents.jsonl", size=-1), "line 1: size"),
    "size huge": (set_line("documents.jsonl", size=2**70), "line 1: size"),
    "checksum": (set_line("documents.jsonl", sha256="xyz"), "line 1: sha256"),
    "no object": (put(documents__jsonl=b"5\n"), "line 1: JSON"),
    "nested": (put(chunks__jsonl=NESTED + b"\n"), "line 1: JSON"),
    "many digits": (put(chunks__jsonl=b"9" * 10_000 + b"\n"), "line 1: JSON"),
    "no UTF-8": (put(chunks__jsonl=b"\xff\n"), "line 1: JSON"),
    "NaN": (put(chunks__jsonl=b'{"document": NaN}\n'), "line 1: JSON"),
    "endless line": (put(chunks__jsonl=b"x" * 9_000_000), "honest"),
    "no newline": (take("chunks.jsonl", 0, -1), "damaged"),
    "strange key": (set_line("chunks.jsonl", hash="x"), "line 1: JSON"),
    "document": (set_line("chunks.jsonl", document=2), "line 1: document"),
    "document true": (set_line("chunks.jsonl", document=True), "line 1: document"),
    "text type": (set_line("chunks.jsonl", text=["x"]), "line 1: text"),
    "text empty": (set_line("chunks.jsonl", text=""), "line 1: text"),
    "text NUL": (set_line("chunks.jsonl", text="a\0"), "line 1: text"),
    "text surrogate": (set_line("chunks.jsonl", text="\udfff"), "line 1: text"),
    "text long": (set_line("chunks.jsonl", text="x" * 1_000_001), "line 1: text"),
    "other text": (set_line("chunks.jsonl", text="Nobody said that."), "embeddings.keys"),
    "question": (set_line("chunks.jsonl", question=""), "line 1: question"),
    "locator": (set_line("chunks.jsonl", locator=None), "line 1: locator"),
    "locator control": (set_line("chunks.jsonl", locator="line 1\nline 2"), "line 1: locator"),
    "speaker": (set_line("chunks.jsonl", speaker="x" * 6_000), "line 1: speaker"),
    "date": (set_line("chunks.jsonl", date="2024-02-31"), "line 1: date"),
    "date in words": (set_line("chunks.jsonl", date="yesterday"), "line 1: date"),
    "date type": (set_line("chunks.jsonl", date=20240101), "line 1: date"),
    "ways": (set_line("chunks.jsonl", ways=["a?", "a?"]), "line 1: ways"),
    "ways type": (set_line("chunks.jsonl", ways="a?"), "line 1: ways"),
    "asked for": (set_line("chunks.jsonl", asked_for=1.5), "line 1: asked_for"),
    "not of unit length": (scale(1.01), "embeddings"),
    "infinite": (scale(float("inf")), "embeddings"),
    "NaN vector": (scale(float("nan")), "embeddings"),
    "half a vector": (take("embeddings.f32", 4), "damaged"),
    "vector too many": (put(embeddings__f32=b""), "damaged"),
    "key twice": (lambda m: m.update({"embeddings.keys": m["embeddings.keys"][:20] * 9}), "embeddings.keys"),
    "no vectors of a key": (
        lambda m: m.update({"embeddings.keys": bytes(20) + m["embeddings.keys"]}),
        "embeddings.keys",
    ),
    "persona.toml": (put(persona__toml=b"name = 5"), r"persona\.toml, line 1: name"),
    "persona.toml not UTF-8": (put(persona__toml=b"\xff"), "damaged"),
    "card.json": (put(card__json=b"{}"), r"card\.json"),
    "card.json nested": (put(card__json=NESTED), r"card\.json"),
    "card.png": (put(card__png=CARD.encode()), r"card\.png"),
    "evaluation": (put(evaluation__jsonl=b"{}"), r"evaluation\.jsonl, line 1"),
}


@pytest.mark.parametrize(("change", "why"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_archive_is_refused_before_anything_is_written(
    packed: Path, tmp_path: Path, change: Callable[[dict[str, bytes]], object], why: str
) -> None:
    file = rebuilt(packed, tmp_path / "f.persona", change)
    with pytest.raises(PersonaError, match=why) as refused:
        bring_in(file, tmp_path / "store")
    assert "f.persona" in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["f.persona"]


def copied(packed: Path, to: Path, change: Callable[[zipfile.ZipInfo], object], extra: bool = False) -> Path:
    """The archive with the entry of a text in it changed."""
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(to, "w") as target:
        for entry in source.infolist():
            data = source.read(entry)
            if entry.filename == "asset/b":
                change(entry)
            target.writestr(entry, data)
            if extra and entry.filename == "asset/b":
                with pytest.warns(UserWarning, match="Duplicate"):
                    target.writestr(entry, data)
    return to


def pretend_link(entry: zipfile.ZipInfo) -> None:
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16


def test_links_twins_passwords_and_other_packings_are_refused(packed: Path, tmp_path: Path) -> None:
    file = tmp_path / "f.persona"
    changes: list[tuple[Callable[[zipfile.ZipInfo], object], bool]] = [
        (pretend_link, False),
        (lambda entry: None, True),
        (lambda entry: setattr(entry, "compress_type", zipfile.ZIP_LZMA), False),
    ]
    for change, extra in changes:
        with pytest.raises(ArchiveError, match="holds 'asset/b' in a way"):
            Incoming(copied(packed, file, change, extra))
    data = bytearray(packed.read_bytes())
    at = data.rindex(b"PK\1\2", 0, data.rindex(b"asset/b"))
    data[at + 8] |= 1
    file.write_bytes(data)
    with pytest.raises(ArchiveError, match="holds 'asset/b' in a way"):
        Incoming(file)


def test_bombs_are_refused_by_what_they_claim_and_by_what_they_are(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "f.persona"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b"{}")
        archive.writestr("asset/zeros", bytes(20_000_000))
    with pytest.raises(ArchiveError, match="'asset/zeros' in a way"):
        Incoming(file)
    data = bytearray(file.read_bytes())
    at = data.rindex(b"PK\1\2")
    data[at + 24 : at + 28] = struct.pack("<I", 1_000)  # it claims to be small
    file.write_bytes(data)
    with pytest.raises(ArchiveError, match=r"holds|damaged"):
        Incoming(file)
    data[at + 24 : at + 28] = struct.pack("<I", 2_100_000_000)
    file.write_bytes(data)
    with pytest.raises(ArchiveError, match="holds 2100 MB"):
        Incoming(file)
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(6_001):
            archive.writestr(f"asset/{number}", b"")
    with pytest.raises(ArchiveError, match="6001 files"):
        Incoming(file)
    monkeypatch.setattr("persona_cli.portable.incoming.MAX_CHUNKS", 3)
    with pytest.raises(ArchiveError, match="4 chunks"):
        Incoming(packed)
    monkeypatch.setattr("persona_cli.portable.archive.MAX_BYTES", 10_000)
    with pytest.raises(ArchiveError, match="do not use it"):
        Incoming(packed)


@pytest.mark.parametrize("data", [b"", b"PK\5\6" + bytes(18), b"\x89PNG", b"x" * 100_000, b"PK\3\4" * 1_000])
def test_what_is_no_archive_is_told_in_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "f.persona").write_bytes(data)
    done = persona("import", "f.persona", "--db", "store", cwd=tmp_path, env=KOREAN)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "persona: f.persona: 손상되었거나 .persona 파일이 아닙니다. 다시 받으세요\n"
    assert not (tmp_path / "store").exists()


def unpacked(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@settings(derandomize=True, max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(data=st.data())
def test_damage_anywhere_is_noticed_or_changes_nothing(packed: Path, data: st.DataObject) -> None:
    whole = bytearray(packed.read_bytes())
    places = st.integers(0, len(whole) - 1)
    listed = whole.index(b"PK\1\2")  # where flips matter most
    for place in data.draw(st.lists(places | st.integers(listed, len(whole) - 1), max_size=3)):
        whole[place] ^= data.draw(st.integers(1, 255))
    end = data.draw(st.just(len(whole)) | places)
    file = packed.with_name("damaged.persona")
    file.write_bytes(whole[:end])
    try:
        Incoming(file).close()
    except PersonaError:
        return
    assert unpacked(file) == unpacked(packed)


def import_and_die(pipe: "Connection[Any, Any]", file: Path, folder: Path, last: int) -> None:
    """Import, and be killed at a step: an SQL statement, a commit, or a change to the files."""
    incoming, store = Incoming(file), Store(folder)
    steps = 0

    def step(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, args: tuple[Any, ...]) -> None:
        if event in FILE_EVENTS or (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR)):
            step()

    sa.event.listen(sa.Engine, "before_cursor_execute", step)
    sa.event.listen(sa.Engine, "commit", step)
    addaudithook(audit)
    incoming.settle(store, lambda _: LocalEmbedder(), LOCAL, lambda *_: None, force=True)
    pipe.send(steps)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_an_import_that_is_killed_at_any_step_has_happened_or_has_not(
    packed: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    mine = make_store(tmp_path / "mine", {"mine.txt": [Chunk("이건 제 말이에요.", "line 1")]})
    target = tmp_path / "store"

    def die_at(step: int) -> "tuple[int | None, Any]":
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(mine, target)
        child = Child.start(import_and_die, packed, target, step)
        return child.kill(60), child.heard()

    status, steps = die_at(-1)
    assert status == 0
    before, (*after, _) = held(mine), held(whole)
    outcomes = set()
    for step in range(1, steps + 1, 3):
        assert die_at(step)[0] == -signal.SIGKILL
        state = held(target)
        outcomes.add(state == before)
        assert state == before or state[:-1] == tuple(after)
        if step % 10 == 1:
            bring_in(packed, target, force=True)
            assert held(target)[:-1] == tuple(after)
            assert len(list((target / "index").iterdir())) == 1
    assert outcomes == {True, False}
