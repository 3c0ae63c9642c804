"""The database file: how it is opened, and what its errors mean."""

import sqlite3
from pathlib import Path
from stat import S_ISREG
from typing import Any

import sqlalchemy as sa

from persona_cli.errors import StoreBusy, StoreDamaged, StoreError, StoreUnwritable

FILE_NAME = "catalog.sqlite3"
BUSY_TIMEOUT_S = 10


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnwritable("cannot make the store {db!r}: {why}", db=str(folder), why=error.strerror) from error


def may_be_there(path: Path) -> bool:
    """Whether it is a file, or lies where we may not look."""
    try:
        return S_ISREG(path.stat().st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def stamp(path: Path) -> tuple[int, int]:
    """Size of a file and time of its last change; zeros if it cannot be seen."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def engine(url: sa.URL, **more: Any) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S}, **more)
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    """Leave transactions to us (the driver begins none for a SELECT, which would be no snapshot) and set the pragmas.

    https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-serializable
    """
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "foreign_keys = ON", "synchronous = FULL", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('persona_begin', 'DEFERRED')}")


def store_error(error: BaseException, folder: Path) -> StoreError:
    """What a database error means for whoever uses the store."""
    name = getattr(error, "sqlite_errorname", "")
    db = str(folder)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreBusy("{db!r} is busy: another process is writing to it, try again", db=db)
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StoreUnwritable("{db!r} cannot be written to: check its permissions", db=db)
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return StoreUnwritable("no space left for {db!r}: free some and run it again", db=db)
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreDamaged(
            "the catalog of {db!r} is damaged: put back a copy of {file}, or move the folder away and ingest again",
            db=db,
            file=FILE_NAME,
        )
    return StoreDamaged("the catalog of {db!r} cannot be used: {why}", db=db, why=str(error))
