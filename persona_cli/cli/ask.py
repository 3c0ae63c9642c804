"""`persona ask`."""

import asyncio
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from persona_cli.cli.output import Db, Json, dim, plain, print_json
from persona_cli.language import say

if TYPE_CHECKING:
    from persona_cli.chatbot import PersonaChatbot
    from persona_cli.models import Answer

SNIPPET_COLUMNS = 72


def ask(
    question: Annotated[
        str | None, typer.Argument(metavar="[QUESTION|-]", help=say("The question; - reads it from standard input."))
    ] = None,
    db: Db = None,
    top_k: Annotated[
        int | None, typer.Option("--top-k", min=1, max=20, metavar="N", help=say("Passages to answer from."))
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="M", help=say("Language model (or PERSONA_MODEL)."))
    ] = None,
    no_stream: Annotated[bool, typer.Option("--no-stream", help=say("Print the answer when it is whole."))] = False,
    as_json: Json = False,
) -> None:
    """Ask the person; the answer comes with its sources."""
    prompt = _read_question(question)
    from dataclasses import asdict

    from persona_cli.chatbot import PersonaChatbot
    from persona_cli.settings import load_settings

    settings = load_settings(db=db, model=model)
    chatbot = PersonaChatbot(db_path=settings.db, settings=settings)
    answer = asyncio.run(_answer(chatbot, prompt, top_k, show=not (as_json or no_stream)))
    if as_json:
        print_json(asdict(answer))
        return
    if no_stream:
        print(plain(answer.output))
    _print_sources(answer)


def _read_question(question: str | None) -> str:
    if question is None and sys.stdin.isatty():
        raise typer.BadParameter(say("what do you want to ask? Give a question, or - to read it from standard input"))
    if question is None or question == "-":
        from persona_cli.loading.decoding import decode

        return decode(sys.stdin.buffer.read())
    return question


async def _answer(chatbot: "PersonaChatbot", prompt: str, top_k: int | None, show: bool) -> "Answer":
    """The answer; with `show`, printed piece by piece as it comes."""
    answer: Any = None
    shown = False
    try:
        async with aclosing(chatbot.stream(prompt, top_k=top_k)) as parts:
            async for part in parts:
                if not isinstance(part, str):
                    answer = part
                elif show:
                    print(plain(part), end="", flush=True)
                    shown = True
    finally:
        if shown:
            print(flush=True)
        await chatbot.aclose()
    return answer  # type: ignore[no-any-return]


def _print_sources(answer: "Answer") -> None:
    from rich.cells import set_cell_size

    if answer.notice:
        print(f"persona: {plain(answer.notice)}", file=sys.stderr)
    if answer.sources:
        print()
    for source in answer.sources:
        about = " · ".join(filter(None, (source.source, source.locator, source.speaker, source.date)))
        print(plain(f"[{source.n}] {about}"))
        # in a dialogue the text begins with what somebody else said
        is_quoted = source.speaker and source.text.endswith(answer.output)
        line = " ".join((answer.output if is_quoted else source.text).split())
        print(dim(f"    {plain(set_cell_size(line, SNIPPET_COLUMNS).rstrip())}"))
