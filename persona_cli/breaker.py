"""A language model that is left alone for a while when it is down."""

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from persona_cli.errors import ModelBusy, ModelError, ModelUnavailable
from persona_cli.models import ChatModel, Message, Usage

FAILURES = 3
"""Failures in a row after which a model is taken to be down."""
COOL_DOWN_S = 15.0
"""How long it is then left alone, before one question tries it again."""


class Breaker:
    """Asks a model only while it answers, so that one that is down does not cost its time-out at every question.

    What counts is whether an answer begins. Callers' own keys are counted apart, and only by whether anybody answers
    at all: one of them that is used up says nothing about the others.

    Args:
        model: what is asked.
        clock: seconds that only ever grow.
    """

    def __init__(self, model: ChatModel, clock: Callable[[], float] = time.monotonic) -> None:
        self.model = model.model
        self._inner = model
        self._clock = clock
        self._ours = _Circuit()
        self._callers = _Circuit()

    async def stream(self, messages: Sequence[Message], api_key: str | None = None) -> AsyncGenerator[str | Usage]:
        """The model's pieces. Raises: ModelError; ModelUnavailable at once while it is left alone."""
        circuit = self._callers if api_key else self._ours
        left_s = circuit.left_s(self._clock())
        if left_s > 0:
            raise ModelUnavailable(
                "{model!r} did not answer the last questions and is left alone for {seconds:.0f} s",
                model=self.model,
                seconds=max(left_s, 1),
            )
        try:
            async with aclosing(self._inner.stream(messages, api_key)) as pieces:
                async for piece in pieces:
                    circuit.failures = 0
                    yield piece
        except ModelError as error:
            if isinstance(error, ModelUnavailable) or (isinstance(error, ModelBusy) and not api_key):
                circuit.fail(self._clock())
            elif not isinstance(error, ModelBusy):
                circuit.failures = 0
            raise

    async def aclose(self) -> None:
        """Let go of the connections that the running event loop holds."""
        await self._inner.aclose()


class _Circuit:
    """Failures in a row, and until when they keep questions away."""

    def __init__(self) -> None:
        self.failures = 0
        self._until = 0.0

    def fail(self, now: float) -> None:
        self.failures += 1
        self._until = now + COOL_DOWN_S

    def left_s(self, now: float) -> float:
        """Seconds to leave the model alone; when they are over, one question goes through and the next ones wait."""
        if self.failures < FAILURES:
            return 0
        if now < self._until:
            return self._until - now
        self._until = now + COOL_DOWN_S
        return 0
