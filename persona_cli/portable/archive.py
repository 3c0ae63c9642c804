"""Archives with a checksum for everything in them: a zip whose first member tells size and SHA-256 of all others.

One that somebody else made may be hostile. It is read as a stream and never unpacked to files, so its names lead
nowhere, and no more than a part of a member is held in memory. The same content gives the same bytes.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from stat import S_IFMT, S_IFREG
from struct import Struct
from struct import error as StructError
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from persona_cli.errors import ArchiveError
from persona_cli.persona.card_files import is_safe
from persona_cli.portable.records import parse_json

MANIFEST = "manifest.json"
MEMBERS = "members"
"""What the manifest says of the others, by name: "size" and "sha256"."""
MAX_BYTES = 2_000_000_000
"""What the members may have together, unpacked."""
MAX_MEMBERS = 6_000
MAX_MANIFEST_BYTES = 5_000_000
MAX_LINE_BYTES = 8_000_000
MAX_RATIO = 200
FREE_BYTES = 10_000_000
"""Of a member that may be packed more tightly than that."""
PART_BYTES = 1 << 20

_EPOCH = (1980, 1, 1, 0, 0, 0)
_END = Struct("<4s4H2LH")
"""What a zip ends with: signature, two disks, entries here and in all, size and place of their list, comment."""
_MAX_LIST_BYTES = 2_000 * MAX_MEMBERS
_MODE = S_IFREG | 0o644
_UNIX = 3
_ENCRYPTED = 1
_BROKEN = (
    BadZipFile,
    NotImplementedError,
    OSError,
    ValueError,
    EOFError,
    RuntimeError,
    OverflowError,
    zlib.error,
    StructError,
)
"""What `zipfile` raises for zips of all kinds of damage."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file to be put into an archive.

    Attributes:
        parts: gives its bytes, the same ones whenever it is called.
        is_dense: nothing is gained by packing it, and it is to be read at any place.
    """

    name: str
    parts: Callable[[], Iterable[bytes]]
    is_dense: bool = False


def write_archive(file: Path, about: Mapping[str, Any], members: Sequence[Member], force: bool) -> int:
    """Write an archive beside the file and give it that name when it is whole; its size in bytes.

    Args:
        about: what else the manifest is to say.
        force: replace a file that is there.

    Raises:
        ArchiveError: the file is there already or cannot be written, or the archive is too large to be read again.
    """
    checksums = {member.name: _checksum(member.parts()) for member in members}
    manifest = json.dumps({**about, MEMBERS: checksums}, ensure_ascii=False, indent=1).encode()
    size = len(manifest) + sum(int(each["size"]) for each in checksums.values())
    if size > MAX_BYTES or len(manifest) > MAX_MANIFEST_BYTES or len(members) >= MAX_MEMBERS:
        raise ArchiveError(
            "{file} would hold {size:.0f} MB in {count} files, and at most {most} MB in {files} are taken: leave out"
            " --evaluation, or give --no-embeddings",
            file=str(file),
            size=size / 1e6,
            count=len(members),
            most=MAX_BYTES // 1_000_000,
            files=MAX_MEMBERS,
        )
    aside = file.with_name(f".{file.name[:100]}.{token_hex(4)}")
    try:
        _refuse_to_replace(file, force)
        try:
            everything = [Member(MANIFEST, lambda: [manifest]), *members]
            if not _write(aside, everything, checksums, ZIP_DEFLATED):
                _write(aside, everything, checksums, ZIP_STORED)  # one that looks like a bomb would be refused
            written = aside.stat().st_size
            _refuse_to_replace(file, force)
            os.replace(aside, file)
        finally:
            with suppress(OSError):
                aside.unlink()
    except OSError as broken:
        why = broken.strerror or str(broken)
        raise ArchiveError("{file} cannot be written: {why}", file=str(file), why=why) from broken
    return written


def _refuse_to_replace(file: Path, force: bool) -> None:
    if os.path.lexists(file) and not (force and file.is_file()):
        raise ArchiveError("{file} is there already: give --force to replace it, or another name", file=str(file))


def _write(path: Path, members: Iterable[Member], checksums: Mapping[str, Mapping[str, Any]], packing: int) -> bool:
    """Write the zip to disk; whether none of its members is packed too tightly."""
    with path.open("wb") as file:
        with ZipFile(file, "w") as archive:
            for member in members:
                entry = ZipInfo(member.name, _EPOCH)
                entry.create_system = _UNIX
                entry.external_attr = _MODE << 16
                entry.compress_type = ZIP_STORED if member.is_dense else packing
                entry.file_size = int(checksums.get(member.name, {}).get("size", 0))  # tells whether it takes a zip64
                with archive.open(entry, "w") as target:
                    for part in member.parts():
                        target.write(part)
            entries = archive.infolist()
        file.flush()
        os.fsync(file.fileno())
    return not any(map(_is_too_tight, entries))


def _is_too_tight(entry: ZipInfo) -> bool:
    return entry.file_size > FREE_BYTES + MAX_RATIO * entry.compress_size


def _checksum(parts: Iterable[bytes]) -> dict[str, Any]:
    size, digest = 0, sha256()
    for part in parts:
        size += len(part)
        digest.update(part)
    return {"size": size, "sha256": digest.hexdigest()}


class Archive:
    """An archive that is read; every byte in it was compared with its checksum when it was opened.

    Args:
        file: where it is.
        known: the latest format that is understood; the manifest's "format" tells the archive's.

    Attributes:
        about: what the manifest says.

    Raises:
        ArchiveError: it is damaged, not whole, made to do harm, or of a newer format.
    """

    def __init__(self, file: Path, known: int) -> None:
        self.name = str(file)
        try:
            self._file = file.open("rb")
        except OSError as broken:
            why = broken.strerror or str(broken)
            raise ArchiveError("{file} cannot be read: {why}", file=self.name, why=why) from broken
        try:
            self._open(known)
        except BaseException:
            self._file.close()
            raise

    def _open(self, known: int) -> None:
        with self._translated():
            self._check_end()
            self._zip = ZipFile(self._file)
        self._entries = self._checked(self._zip.infolist())
        self.about = self._manifest(known)
        self._members = self._checked_members()
        for name in self._members:
            for _ in self.parts(name):
                pass

    def close(self) -> None:
        """Let go of the file."""
        self._zip.close()
        self._file.close()

    def __contains__(self, name: str) -> bool:
        return name in self._members

    @property
    def names(self) -> list[str]:
        """What is in it beside the manifest."""
        return list(self._members)

    def size(self, name: str) -> int:
        """Bytes that a member has, unpacked."""
        return self._entries[name].file_size

    def parts(self, name: str) -> Iterator[bytes]:
        """The bytes of a member. Raises: ArchiveError: they are not those of the checksum."""
        size, digest = 0, sha256()
        for part in self._parts(name):
            size += len(part)
            digest.update(part)
            yield part
        if self._members[name] != {"size": size, "sha256": digest.hexdigest()}:
            raise self.damaged()

    def read(self, name: str) -> bytes:
        """All bytes of a member. Raises: ArchiveError."""
        return b"".join(self.parts(name))

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a member, each of which ends in a newline. Raises: ArchiveError."""
        rest = b""
        for part in self.parts(name):
            *lines, rest = (rest + part).split(b"\n")
            yield from lines
            if len(rest) > MAX_LINE_BYTES:
                raise self.hostile(name)
        if rest:
            raise self.damaged()

    def reader(self, name: str) -> Callable[[int, int], bytes]:
        """What gives so many bytes from a place on of a member that is not packed. Raises: ArchiveError."""
        entry = self._entries[name]
        if entry.compress_type != ZIP_STORED:
            raise self.hostile(name)
        with self._translated():
            self._file.seek(entry.header_offset + 26)
            lengths = self._file.read(4)
            first = entry.header_offset + 30 + int.from_bytes(lengths[:2], "little")
            first += int.from_bytes(lengths[2:], "little")

        def read(place: int, size: int) -> bytes:
            with self._translated():
                self._file.seek(first + place)
                data = self._file.read(size)
            if len(data) != size:
                raise self.damaged()
            return data

        return read

    def damaged(self) -> ArchiveError:
        """That it is not as it was written."""
        return ArchiveError("{file} is damaged, or no .persona file: get it again", file=self.name)

    def hostile(self, member: str) -> ArchiveError:
        """That there is something in it which `persona export` does not write."""
        return ArchiveError(
            "{file} holds {member!r} in a way no honest .persona file does: do not use it",
            file=self.name,
            member=member[:100],
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except _BROKEN as broken:
            raise self.damaged() from broken

    def _check_end(self) -> None:
        """The list of members must end the file and have a bounded length: `zipfile` takes in all of it at once."""
        size = self._file.seek(0, os.SEEK_END)
        self._file.seek(max(0, size - _END.size))
        signature, _, _, _, count, length, place, comment = _END.unpack(self._file.read())
        if signature != b"PK\5\6" or comment or place + length + _END.size != size:
            raise ValueError("no end of a zip")
        if count > MAX_MEMBERS or length > _MAX_LIST_BYTES:
            raise self._too_large(size, count)

    def _checked(self, entries: Sequence[ZipInfo]) -> dict[str, ZipInfo]:
        """The members by name, none of which is a trap."""
        size = sum(entry.file_size for entry in entries)
        if size > MAX_BYTES or len(entries) > MAX_MEMBERS:
            raise self._too_large(size, len(entries))
        checked: dict[str, ZipInfo] = {}
        for entry in entries:
            name = entry.orig_filename
            is_plain = S_IFMT(entry.external_attr >> 16) in (0, S_IFREG) and not entry.flag_bits & _ENCRYPTED
            is_sized = entry.compress_type != ZIP_STORED or entry.compress_size == entry.file_size
            is_packed = entry.compress_type in (ZIP_STORED, ZIP_DEFLATED) and is_sized and not _is_too_tight(entry)
            if name in checked or not is_safe(name) or not is_plain or not is_packed:
                raise self.hostile(name)
            checked[name] = entry
        if not entries or entries[0].filename != MANIFEST:
            raise self.damaged()
        return checked

    def _too_large(self, size: int, count: int) -> ArchiveError:
        return ArchiveError(
            "{file} holds {size:.0f} MB in {count} files, and at most {most} MB in {files} are taken: do not use it",
            file=self.name,
            size=size / 1e6,
            count=count,
            most=MAX_BYTES // 1_000_000,
            files=MAX_MEMBERS,
        )

    def _manifest(self, known: int) -> dict[str, Any]:
        if self.size(MANIFEST) > MAX_MANIFEST_BYTES:
            raise self.hostile(MANIFEST)
        about = parse_json(b"".join(self._parts(MANIFEST)))
        version = about.get("format") if isinstance(about, dict) else None
        if not isinstance(about, dict) or type(version) is not int or version < 1:
            raise self.damaged()
        if version > known:
            raise ArchiveError(
                "{file} was written by a newer persona (format {version}, this one knows {known}): upgrade persona",
                file=self.name,
                version=version,
                known=known,
            )
        return about

    def _checked_members(self) -> dict[str, Any]:
        members = self.about.pop(MEMBERS, None)
        if not isinstance(members, dict):
            raise self.damaged()
        for name in self._entries.keys() - members.keys() - {MANIFEST}:
            raise self.hostile(name)
        if members.keys() - self._entries.keys() or MANIFEST in members:
            raise self.damaged()
        return members

    def _parts(self, name: str) -> Iterator[bytes]:
        with self._translated(), self._zip.open(self._entries[name]) as file:
            while part := file.read(PART_BYTES):
                yield part
