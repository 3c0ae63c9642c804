"""A model that is down is left alone, and tried again."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from persona_cli import PersonaChatbot
from persona_cli.breaker import COOL_DOWN_S, FAILURES, Breaker
from persona_cli.errors import ModelBroken, ModelBusy, ModelError, ModelRefused, ModelUnavailable
from persona_cli.models import Message, Usage
from persona_cli.settings import load_settings
from tests.stub_model import StubModel

pytestmark = pytest.mark.anyio
KEY = "sk-of-a-caller"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Model:
    """Fails as it is told to, and counts how often it is asked."""

    model = "stub"

    def __init__(self) -> None:
        self.asked = 0
        self.failure: type[ModelError] | None = None
        self.late = False

    async def stream(self, messages: Sequence[Message], api_key: str | None = None) -> AsyncGenerator[str | Usage]:
        self.asked += 1
        if self.failure and not self.late:
            raise self.failure("down")
        yield "a piece"
        if self.failure:
            raise self.failure("down")

    async def aclose(self) -> None:
        pass


class Case:
    """A breaker with its model, at a time that the test tells."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.model = Model()
        self.breaker = Breaker(self.model, lambda: self.now)

    async def ask(self, api_key: str | None = None) -> bool:
        """Whether the model was asked."""
        before = self.model.asked
        try:
            async with aclosing(self.breaker.stream([], api_key)) as pieces:
                async for _ in pieces:
                    pass
        except ModelError:
            pass
        return self.model.asked > before


@pytest.mark.parametrize("failure", [ModelUnavailable, ModelBusy])
async def test_after_three_failures_in_a_row_it_is_left_alone_and_then_tried_once(failure: type[ModelError]) -> None:
    case = Case()
    case.model.failure = failure
    assert [await case.ask() for _ in range(FAILURES + 2)] == [True] * FAILURES + [False] * 2
    case.now += COOL_DOWN_S - 0.1
    assert not await case.ask()
    case.now += 0.1
    assert [await case.ask() for _ in range(3)] == [True, False, False]
    case.now += COOL_DOWN_S
    case.model.failure = None
    assert [await case.ask() for _ in range(3)] == [True, True, True]
    case.model.failure = failure
    assert [await case.ask() for _ in range(FAILURES + 1)] == [True] * FAILURES + [False]


@pytest.mark.parametrize(
    ("other", "late"), [(None, False), (ModelRefused, False), (ModelBroken, False), (ModelBusy, True)]
)
async def test_an_answer_of_any_kind_in_between_is_a_new_beginning(other: type[ModelError] | None, late: bool) -> None:
    case = Case()
    for _ in range(4):
        case.model.failure, case.model.late = ModelUnavailable, False
        assert [await case.ask() for _ in range(FAILURES - 1 - late)] == [True] * (FAILURES - 1 - late)
        case.model.failure, case.model.late = other, late
        assert await case.ask()


async def test_an_answer_that_breaks_off_again_and_again_does_not_count() -> None:
    case = Case()
    case.model.failure, case.model.late = ModelUnavailable, True
    assert all([await case.ask() for _ in range(3 * FAILURES)])


async def test_a_trial_that_somebody_leaves_is_followed_by_another() -> None:
    case = Case()
    case.model.failure = ModelUnavailable
    assert all([await case.ask() for _ in range(FAILURES)])
    case.now += COOL_DOWN_S
    await case.breaker.stream([]).aclose()
    case.model.failure = None
    assert await case.ask()


async def test_a_callers_key_that_is_used_up_keeps_nobody_from_the_model() -> None:
    case = Case()
    case.model.failure = ModelBusy
    assert all([await case.ask(KEY) for _ in range(3 * FAILURES)])
    assert [await case.ask() for _ in range(FAILURES + 1)] == [True] * FAILURES + [False]
    assert await case.ask(KEY)
    case.model.failure = ModelUnavailable
    assert [await case.ask(KEY) for _ in range(FAILURES + 1)] == [True] * FAILURES + [False]


async def test_a_dead_endpoint_is_asked_no_more_and_the_answer_says_so(faq_folder: Path, stub_model: StubModel) -> None:
    settings = load_settings(openai_base_url=stub_model.base_url, model="error-500", model_timeout_s=0.1)
    bot = PersonaChatbot(db_path=faq_folder / "vector_store", settings=settings)
    notices = []
    for number in range(FAILURES + 2):
        async with aclosing(bot.stream("유퀴즈 출연 후 아쉬웠던 점?")) as parts:
            answer = [part async for part in parts][-1]
        assert not isinstance(answer, str)
        assert answer.mode == "quoted"
        notices.append(answer.notice or "")
        if number == FAILURES - 1:
            asked = len(stub_model.requests)
    await bot.aclose()
    assert len(stub_model.requests) == asked
    assert ["left alone for" in notice for notice in notices] == [False] * FAILURES + [True] * 2
    assert (
        notices[-1]
        == "'error-500' did not answer the last questions and is left alone for 15 s; these are the recorded words"
    )
