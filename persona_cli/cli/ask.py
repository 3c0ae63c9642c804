"""`persona ask`."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from persona_cli.cli.answers import about, doubts, gist, notes
from persona_cli.cli.output import Db, Json, dim, plain, print_json
from persona_cli.language import say

if TYPE_CHECKING:
    from persona_cli.chatbot import PersonaChatbot
    from persona_cli.models import Answer, Explanation

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
    session: Annotated[
        str | None,
        typer.Option("--session", metavar="ID", help=say("Go on with this session; a new name begins one.")),
    ] = None,
    go_on: Annotated[bool, typer.Option("--continue", help=say("Go on with the last session."))] = False,
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="DATE", help=say("Answer from what had been said by this date."))
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help=say("Show what was weighed, and what a model was told."))
    ] = False,
    no_stream: Annotated[bool, typer.Option("--no-stream", help=say("Print the answer when it is whole."))] = False,
    as_json: Json = False,
) -> None:
    """Ask the person; the answer comes with its sources."""
    prompt = _read_question(question)
    from persona_cli.loading.dates import parse_date

    if as_of is not None and not parse_date(as_of):
        raise typer.BadParameter(say("{value!r} is no date such as 2024-01-31", value=as_of))
    if session is not None and go_on:
        raise typer.BadParameter(say("--session and --continue go one without the other"))
    from dataclasses import asdict

    from persona_cli.chatbot import PersonaChatbot
    from persona_cli.settings import load_settings

    settings = load_settings(db=db, model=model)
    chatbot = PersonaChatbot(db_path=settings.db, settings=settings)
    session_id = chatbot.enter(session, go_on)
    more = {"top_k": top_k, "as_of": as_of, "explain": explain, "session": session_id}
    answer = asyncio.run(_answer(chatbot, prompt, more, show=not (as_json or no_stream)))
    if as_json:
        print_json({name: value for name, value in asdict(answer).items() if name != "explanation" or value})
        return
    if no_stream:
        print(_dimmed(plain(answer.output), answer.unsupported))
    elif answer.unsupported:
        print(dim(plain(doubts(answer))))
    _print_sources(answer)
    if answer.explanation:
        _print_explanation(answer.explanation)


def _read_question(question: str | None) -> str:
    if question is None and sys.stdin.isatty():
        raise typer.BadParameter(say("what do you want to ask? Give a question, or - to read it from standard input"))
    if question is None or question == "-":
        from persona_cli.loading.decoding import decode

        return decode(sys.stdin.buffer.read())
    return question


async def _answer(chatbot: "PersonaChatbot", prompt: str, more: dict[str, Any], show: bool) -> "Answer":
    """The answer; with `show`, printed piece by piece as it comes."""
    answer: Any = None
    shown = False
    try:
        async with aclosing(chatbot.stream(prompt, **more)) as parts:
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


def _dimmed(output: str, spans: Sequence[str]) -> str:
    """The answer with what no passage bears out in the quiet style."""
    for span in spans:
        output = output.replace(span, dim(span))
    return output


def _print_explanation(explanation: "Explanation") -> None:
    from rich.cells import set_cell_size

    print(f"\n{say('looked up')}: {plain(' / '.join(explanation.looked_up))}")
    print(
        f"{say('support')}: {explanation.support:.2f} ({say('refused below {least:g}', least=explanation.threshold)})"
    )
    for n, c in enumerate(explanation.candidates, 1):
        figures = f"{c.score:6.2f}  {c.similarity:.3f} {c.asked:6.3f} {c.share:.2f} {c.support:.2f}"
        text = set_cell_size(" ".join(c.text.split()), SNIPPET_COLUMNS).rstrip()
        print(plain(f"{n:3}  {figures}  {c.source} · {c.locator}"))
        print(dim(plain(f"     {text}")))
    print(dim(say("score, similarity, similarity with the recorded question, share of tokens, support by itself")))
    for message in explanation.prompt:
        print(f"\n{dim('--- ' + message['role'])}\n{plain(message['content'])}")


def _print_sources(answer: "Answer") -> None:
    from rich.cells import set_cell_size

    for note in notes(answer):
        print(f"persona: {plain(note)}", file=sys.stderr)
    if answer.sources:
        print()
    for source in answer.sources:
        print(plain(f"[{source.n}] {about(source)}"))
        print(dim(f"    {plain(set_cell_size(gist(source, answer.output), SNIPPET_COLUMNS).rstrip())}"))
