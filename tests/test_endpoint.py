import json
import socket
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_cli.endpoint import MISSHAPEN, NO_KEY, PAUSES_S, UPSTREAM_CHARS, Endpoint, Tries
from persona_cli.errors import ModelBroken, ModelBusy, ModelError, ModelRefused, ModelUnavailable, SettingsError
from tests.stub_model import StubModel

KEY = "sk-secret-0123456789"
URL = "https://models.example/v1"
ENDPOINT = Endpoint(KEY, URL, 60)

STATUSES: dict[int, type[ModelError]] = {
    400: ModelRefused,
    401: ModelRefused,
    402: ModelRefused,
    403: ModelRefused,
    404: ModelRefused,
    408: ModelUnavailable,
    409: ModelRefused,
    413: ModelRefused,
    418: ModelRefused,
    422: ModelRefused,
    429: ModelBusy,
    500: ModelUnavailable,
    502: ModelUnavailable,
    503: ModelUnavailable,
    504: ModelUnavailable,
    529: ModelUnavailable,
}
OPENAI_ERRORS: dict[str, type[ModelError]] = {
    "OpenAIError": ModelBroken,
    "APIError": ModelUnavailable,  # an error in the middle of a stream
    "APIStatusError": ModelRefused,
    "APITimeoutError": ModelUnavailable,
    "APIConnectionError": ModelUnavailable,
    "APIResponseValidationError": ModelBroken,
    "BadRequestError": ModelRefused,
    "AuthenticationError": ModelRefused,
    "OAuthError": ModelRefused,
    "PermissionDeniedError": ModelRefused,
    "NotFoundError": ModelRefused,
    "ConflictError": ModelRefused,
    "UnprocessableEntityError": ModelRefused,
    "RateLimitError": ModelBusy,
    "InternalServerError": ModelUnavailable,
    "LengthFinishReasonError": ModelBroken,
    "ContentFilterFinishReasonError": ModelBroken,
    "InvalidWebhookSignatureError": ModelBroken,
    "WebSocketQueueFullError": ModelBroken,
    "WebSocketConnectionClosedError": ModelBroken,
}
"""Public exceptions of the openai package. A class that an upgrade brings must be given its line here."""


def public_errors(module: object) -> dict[str, type[Exception]]:
    names: list[str] = getattr(module, "__all__")  # noqa: B009  # which mypy does not know of `object`
    members = {name: getattr(module, name) for name in names}
    return {name: c for name, c in members.items() if isinstance(c, type) and issubclass(c, Exception)}


def descendants(parent: type[Exception]) -> Iterator[type[Exception]]:
    yield parent
    for child in parent.__subclasses__():
        yield from descendants(child)


def response(status: int, headers: dict[str, str] | None = None, body: object = None) -> httpx2.Response:
    request = httpx2.Request("POST", f"{URL}/chat/completions", headers={"Authorization": f"Bearer {KEY}"})
    return httpx2.Response(status, headers=headers, json=body, request=request)


def status_error(
    status: int, body: object, headers: dict[str, str] | None = None, key: str = KEY
) -> openai.APIStatusError:
    """What the client itself makes of a response."""
    transport = httpx2.MockTransport(lambda request: httpx2.Response(status, headers=headers, json=body))
    http = httpx2.Client(transport=transport)
    with (
        openai.OpenAI(api_key=key, base_url=URL, max_retries=0, http_client=http) as client,
        pytest.raises(openai.APIStatusError) as failure,
    ):
        client.embeddings.create(model="gpt", input="hello")
    return failure.value


def saying(message: object) -> dict[str, object]:
    return {"error": {"message": message, "type": "x", "param": None, "code": None}}


def with_status(status: int, **headers: str) -> openai.APIStatusError:
    return status_error(status, saying(f"you sent {KEY}"), headers)


def make(kind: type[Exception]) -> Exception:
    """An exception of a class, with the key wherever upstream might repeat it."""
    statuses = {
        openai.AuthenticationError: 401,
        openai.PermissionDeniedError: 403,
        openai.NotFoundError: 404,
        openai.RateLimitError: 429,
        openai.InternalServerError: 500,
    }
    if issubclass(kind, openai.APIStatusError):
        status = next((status for parent, status in statuses.items() if issubclass(kind, parent)), 400)
        body = {"message": f"you sent {KEY}"}
        answer = response(status, body=body)
        return (
            kind(response=answer, body=body)
            if kind is openai.OAuthError
            else kind(f"you sent {KEY}", response=answer, body=body)
        )
    error = kind.__new__(kind, f"you sent {KEY}")
    error.args = (f"you sent {KEY}",)
    if isinstance(error, openai.APIError):
        error.request, error.body = response(200).request, {"message": f"you sent {KEY}"}
    return error


def translate(error: BaseException, endpoint: Endpoint = ENDPOINT) -> ModelError:
    with pytest.raises(ModelError) as failure, endpoint.translated("gpt"):
        raise error
    return failure.value


def assert_no_key(error: BaseException, key: str = KEY) -> None:
    assert key not in "".join(traceback.format_exception(error))
    assert key not in repr(error) + str(error)


def test_every_public_exception_of_openai_has_its_place() -> None:
    errors = public_errors(openai)
    assert set(errors) == set(OPENAI_ERRORS)
    assert {name: type(translate(make(kind))) for name, kind in errors.items()} == OPENAI_ERRORS


@pytest.mark.parametrize("kind", sorted(descendants(openai.OpenAIError), key=str), ids=lambda kind: kind.__name__)
def test_no_exception_of_openai_passes_untranslated_or_shows_a_key(kind: type[Exception]) -> None:
    error = translate(make(kind))
    assert type(error) is not ModelError
    assert error.__suppress_context__
    assert error.__cause__ is None
    assert_no_key(error)


@pytest.mark.parametrize("kind", list(descendants(httpx2.HTTPError)), ids=lambda kind: kind.__name__)
def test_every_transport_error_is_an_endpoint_that_cannot_be_reached(kind: type[Exception]) -> None:
    error = translate(make(kind))
    assert type(error) is ModelUnavailable
    waited = issubclass(kind, httpx2.TimeoutException)
    assert str(error).endswith("no answer within 60 s" if waited else "no connection")
    assert_no_key(error)


def test_no_other_exception_of_httpx2_passes_untranslated() -> None:
    others = {name: kind for name, kind in public_errors(httpx2).items() if not issubclass(kind, httpx2.HTTPError)}
    del others["CookieConflict"]  # raised to those who read cookies
    assert {name: type(translate(make(kind))) for name, kind in others.items()} == {
        "InvalidURL": ModelUnavailable,
        "RequestNotRead": ModelBroken,
        "ResponseNotRead": ModelBroken,
        "StreamClosed": ModelBroken,
        "StreamConsumed": ModelBroken,
        "StreamError": ModelBroken,
    }


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_its_place(status: int) -> None:
    error = translate(with_status(status))
    assert type(error) is STATUSES[status]
    assert str(error).startswith("models.example ")
    assert "'gpt'" in str(error)
    assert_no_key(error)


@pytest.mark.parametrize("kind", MISSHAPEN)
def test_what_the_client_stumbles_with_is_a_broken_answer(kind: type[Exception]) -> None:
    assert type(translate(kind(f"you sent {KEY}"))) is ModelBroken
    assert type(translate(json.JSONDecodeError("Expecting value", KEY, 0))) is ModelBroken


@pytest.mark.parametrize("error", [TimeoutError(), OSError(KEY), ConnectionResetError(104, KEY)])
def test_what_the_system_says_is_an_endpoint_that_cannot_be_reached(error: Exception) -> None:
    assert type(translate(error)) is ModelUnavailable


@pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit(), AssertionError(), ModelBroken("ours")])
def test_what_is_not_the_clients_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as failure, ENDPOINT.translated("gpt"):
        raise error
    assert failure.value is error


def test_an_unknown_model_names_the_setting_to_change() -> None:
    assert "set PERSONA_MODEL to one it serves, or check OPENAI_BASE_URL" in str(translate(with_status(404)))
    with pytest.raises(ModelRefused, match="set PERSONA_EMBEDDING to"), ENDPOINT.translated("e5", "PERSONA_EMBEDDING"):
        raise with_status(404)


def test_upstreams_words_are_short_masked_and_harmless() -> None:
    words = f"bad \x1b]0;title\x07 \u202eword\nfor {KEY} " + "x" * 1_000
    why = str(translate(status_error(400, saying(words))).values["why"])
    assert why.startswith("bad  ]0;title")
    assert "for ***" in why
    assert why.isprintable()
    assert len(why) <= UPSTREAM_CHARS


def test_upstreams_words_stay_whole_when_there_is_no_key_to_mask() -> None:
    assert translate(status_error(400, saying("none of them"), key=NO_KEY)).values["why"] == "none of them"


@pytest.mark.parametrize("body", [None, [], "a page", saying(""), saying(None), {"error": "no"}, {"error": [KEY]}])
def test_a_refusal_without_words_gives_its_status(body: object) -> None:
    assert translate(status_error(400, body)).values["why"] == "status 400"


@pytest.mark.parametrize(
    ("base_url", "place"),
    [
        (None, "api.openai.com"),
        ("https://api.openai.com/v1", "api.openai.com"),
        ("http://127.0.0.1:11434/v1", "127.0.0.1:11434"),
        ("http://user:sk-secret@models.example:8080/v1?key=sk-secret", "models.example:8080"),
        ("http://[::1]:8080/v1", "[::1]:8080"),
        ("https://한글.kr/v1", "한글.kr"),
    ],
)
def test_a_place_is_the_address_people_know(base_url: str | None, place: str) -> None:
    assert Endpoint(base_url=base_url).place == place


@pytest.mark.parametrize("key", ["sk-한글", "sk secret", "sk-secret\n", "\tsk-secret", "sk\0secret", " "])
def test_a_key_that_no_header_can_hold_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(SettingsError, match=r"OPENAI_API_KEY cannot be '\*\*\*'") as failure:
        Endpoint(key, URL)
    with ENDPOINT.connect() as client, pytest.raises(ModelRefused, match="refused the key for 'gpt'") as refusal:
        ENDPOINT.with_key(client, key, "gpt")
    if key != " ":
        assert_no_key(failure.value, key.strip())
        assert_no_key(refusal.value, key.strip())


@pytest.mark.parametrize("base_url", ["http://", "http:///v1", "http://[::1", "http://models.example:port"])
def test_an_address_that_is_none_is_refused(base_url: str) -> None:
    with pytest.raises(SettingsError, match="OPENAI_BASE_URL cannot be 'http:"):
        Endpoint(KEY, base_url)


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(SettingsError, match=r"'http://\*\*\*@\[::1'") as failure:
        Endpoint(None, f"http://user:{KEY}@[::1")
    assert_no_key(failure.value)


def test_an_endpoint_does_not_show_its_key() -> None:
    assert repr(ENDPOINT) == f"Endpoint(base_url={URL!r}, timeout_s=60)"


def test_the_address_is_the_endpoints_own_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The openai package would read it there, and send the texts elsewhere than `place` says."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere.example/v1")
    with Endpoint(KEY).connect() as client:
        assert str(client.base_url) == "https://api.openai.com/v1/"


def test_a_callers_key_goes_alone(stub_model: StubModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "our organisation")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "our project")
    endpoint = Endpoint(KEY, stub_model.base_url, 5)
    with endpoint.connect() as client:
        assert endpoint.with_key(client, None, "gpt") is client
        for key in (None, "sk-callers", ""):
            endpoint.with_key(client, key, "gpt").embeddings.create(model="any", input="hello")
    sent = [
        (request.headers["authorization"].removeprefix("Bearer "), request.headers.get("openai-organization"))
        for request in stub_model.requests
    ]
    assert sent == [(KEY, "our organisation"), ("sk-callers", None), (KEY, "our organisation")]
    assert "openai-project" not in stub_model.requests[1].headers


def test_without_a_key_a_word_is_sent_for_it(stub_model: StubModel) -> None:
    with Endpoint(None, stub_model.base_url, 5).connect() as client:
        client.embeddings.create(model="any", input="hello")
    assert stub_model.requests[0].headers["authorization"] == f"Bearer {NO_KEY}"


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/v1"


def test_a_failed_connection_is_an_endpoint_that_cannot_be_reached(stub_model: StubModel) -> None:
    without_tls = stub_model.base_url.replace("http:", "https:")
    for base_url in (closed_port(), "http://nowhere.invalid/v1", without_tls):
        endpoint = Endpoint(KEY, base_url, 5)
        with (
            endpoint.connect() as client,
            pytest.raises(ModelUnavailable, match="cannot be reached for 'gpt': no connection") as failure,
            endpoint.translated("gpt"),
        ):
            client.embeddings.create(model="any", input="hello")
        assert_no_key(failure.value)


@pytest.mark.parametrize("kind", [ModelBusy, ModelUnavailable])
def test_three_tries_with_growing_pauses_that_chance_shortens(kind: type[ModelError]) -> None:
    error, tries = kind("out"), Endpoint(timeout_s=60).tries()
    waited = [tries.pause_s(error) for _ in PAUSES_S]
    assert all(0.75 * most <= pause_s <= most for pause_s, most in zip(waited, (0.5, 1.0), strict=True))
    with pytest.raises(kind) as failure:
        tries.pause_s(error)
    assert failure.value is error


@pytest.mark.parametrize("kind", [ModelRefused, ModelBroken])
def test_what_would_fail_again_is_not_tried_again(kind: type[ModelError]) -> None:
    with pytest.raises(kind):
        Tries(60).pause_s(kind("out"))


def test_no_try_begins_after_the_time_out() -> None:
    with pytest.raises(ModelUnavailable):
        Tries(0.01).pause_s(ModelUnavailable("out"))


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": format_datetime(datetime.now(UTC) + timedelta(seconds=3000), usegmt=True)}, None),
        ({"retry-after": "61"}, None),
        ({"retry-after": "1e999"}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_an_endpoint_that_says_how_long_to_wait_is_heeded_within_the_time_out(
    status: int, headers: dict[str, str], pause_s: float | None
) -> None:
    error = translate(with_status(status, **headers))
    if pause_s is None:
        with pytest.raises(type(error)):
            Tries(60).pause_s(error)
    else:
        assert Tries(60).pause_s(error) == pause_s


@pytest.mark.parametrize("value", ["", "0", "-3", "nan", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 99 Oct 2015"])
def test_an_endpoint_that_says_nothing_of_use_is_given_the_usual_pause(value: str) -> None:
    error = translate(with_status(429, **{"retry-after": value}))
    assert 0.75 * PAUSES_S[0] <= Tries(60).pause_s(error) <= PAUSES_S[0]


@settings(deadline=None)
@given(st.text(st.characters(codec="latin-1", exclude_categories=["Cc"])) | st.dates().map(str) | st.floats().map(str))
def test_whatever_it_says_it_is_busy(value: str) -> None:
    answer = response(429)
    answer.headers = httpx2.Headers([(b"retry-after", value.encode("latin-1"))])
    assert type(translate(openai.RateLimitError("", response=answer, body=None))) is ModelBusy
