"""`persona status`."""

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from persona_cli.cli.output import Db, Json, plain, print_json
from persona_cli.language import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persona_cli.persona.voice import Manner, Recorded
    from persona_cli.store import Status

MOST_LISTED = 10
EXAMPLES = 3
REGISTERS = {
    "hapsyo": "formal (hapsyo)",
    "haeyo": "polite (haeyo)",
    "banmal": "casual (banmal)",
    "plain": "written (plain)",
}


Voiced = Annotated[bool, typer.Option("--voice", help=say("Show how the person speaks, as measured."))]


def status(db: Db = None, voice: Voiced = False, as_json: Json = False) -> None:
    """Show what a store holds."""
    from dataclasses import asdict

    from persona_cli import assembly
    from persona_cli.settings import load_settings
    from persona_cli.speaking import voice_of

    store = assembly.open_store(load_settings(db=db))
    state = store.status()
    measured = voice_of(store) if voice else None
    if as_json:
        print_json(asdict(state) | ({"voice": asdict(measured)} if measured else {}))
        return
    _print(state)
    if measured:
        for setting, manner in ((say("outside chats"), measured.spoken), (say("in chats"), measured.chat)):
            if manner.sentences:
                lines = [line for line in measured.lines if line.is_chat == (manner is measured.chat)]
                print(plain("\n" + say("{setting}: {count} sentences", setting=setting, count=manner.sentences)))
                _print_manner(manner, lines)


def _print(state: "Status") -> None:
    parts = say(
        "catalog {catalog:.1f}, index {index:.1f}", catalog=state.catalog_bytes / 1e6, index=state.index_bytes / 1e6
    )
    dates = " – ".join(dict.fromkeys((date or "")[:10] for date in (state.first_date, state.last_date)))
    rows: list[tuple[str, Any]] = [
        (say("store"), state.db),
        (say("documents"), state.documents),
        (say("chunks"), state.chunks),
        (say("recorded answers"), state.pairs),
        (say("speakers"), _counts(state.speakers)),
        (say("person"), ", ".join(state.names)),
        (say("dates"), dates),
        (say("languages"), _counts(state.languages)),
        (say("redacted"), say("yes") if state.redacted else ""),
        (say("embedding"), state.embedding),
        (say("generation"), state.generation if state.index_is_whole else say("{n}, damaged", n=state.generation)),
        (say("size"), f"{state.bytes / 1e6:.1f} MB ({parts})"),
        (say("last ingest"), state.last_ingest),
        (say("skipped then"), len(state.skipped)),
    ]
    _print_rows(rows)
    for skipped in state.skipped:
        reason = say(skipped["template"], **skipped["values"])
        print(plain(say("skipped {path}: {reason}", path=skipped["path"], reason=reason)))


def _print_manner(manner: "Manner", lines: "Sequence[Recorded]") -> None:
    rows = [(say("languages"), _counts({"ko": manner.korean, "en": manner.english}))]
    rows += [(say(REGISTERS[register]), _of_register(manner, register, lines)) for register in manner.registers]
    rows += [
        (say("sentence length"), say("{words:g} words, {chars:g} characters (median)", **_lengths(manner))),
        (say("laughter and marks"), _rates(manner.marks, manner.sentences)),
        (say("emoji"), _counts(manner.emoji)),
        (say("interjections"), _counts(manner.interjections)),
        (say("forms of address"), _counts(manner.address)),
        (say("first words"), _counts(manner.openers)),
        (say("contractions"), _rates({"": manner.contractions}, manner.english) if manner.english else ""),
        (say("for example"), " / ".join([line.text for line in lines if not line.register][:EXAMPLES])),
    ]
    _print_rows(rows, indent="  ")


def _of_register(manner: "Manner", register: str, lines: "Sequence[Recorded]") -> str:
    """A register's share, its endings and lines in it: "62 % (31): -어요 12, -죠 3; …"."""
    examples = [line.text for line in lines if line.register == register][:EXAMPLES]
    share = _rates({"": manner.registers[register]}, manner.told)
    endings = _counts(manner.endings.get(register, {}))
    return "; ".join(filter(None, [share, endings, *examples]))


def _lengths(manner: "Manner") -> dict[str, float]:
    return {"words": manner.words, "chars": manner.chars}


def _rates(tally: "Mapping[str, int]", whole: int) -> str:
    """Shares with the counts: "ㅋㅋ 12 % (31)"."""
    return ", ".join(f"{name} {100 * count / whole:.0f} % ({count})".strip() for name, count in tally.items())


def _print_rows(rows: "Sequence[tuple[str, Any]]", indent: str = "") -> None:
    """The rows that have a value, those in a column."""
    from rich.cells import cell_len

    width = max(cell_len(name) for name, _ in rows) + 2
    for name, value in rows:
        if value != "":
            print(plain(f"{indent}{name}{' ' * (width - cell_len(name))}{value}"))


def _counts(counted: "Mapping[str, int]") -> str:
    """The first few names with their counts: "ko 48, en 5"."""
    listed = [f"{name} {count}" for name, count in islice(counted.items(), MOST_LISTED) if count]
    return ", ".join(listed + ["…"] * (len(counted) > MOST_LISTED))
