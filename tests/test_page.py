"""The chat page in a real Chromium, against a real server."""

import importlib.resources
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from persona_cli.catalog import Catalog
from persona_cli.models import Chunk
from tests.parts import needs
from tests.servers import ASKED, RECORDED, Server, StartServer, serving
from tests.stores import make_store
from tests.stub_model import StubModel

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP rebound.example 127.0.0.1"),
]
OWN = ("http://127.0.0.1:", "http://rebound.example:")
WAIT_MS = 30_000
ATTACKS = [
    "<img src=/x onerror=\"window.ran='img'\">",
    "<script>window.ran='script'</script>",
    "<svg onload=\"window.ran='svg'\">",
    "</p></blockquote><iframe srcdoc=\"<script>parent.ran='iframe'</script>\"></iframe>",
    "<a href=\"javascript:window.ran='link'\">고양이</a> <style>*{display:none}</style>",
    "![고양이](http://192.0.2.1/x.png) [고양이](javascript:window.ran='md') {{constructor.constructor('ran=1')()}}",
    "<math><mtext><img src=x onerror=\"window.ran='math'\"></mtext></math> 고양이",
    "<details open ontoggle=\"window.ran='toggle'\"><input autofocus onfocus=\"window.ran='focus'\">",
    "&lt;img src=x onerror=window.ran='entity'&gt; \\u003cscript\\u003ewindow.ran='escape'\\u003c/script\\u003e",
    "'\"--></style></title></textarea><template><script>window.ran='template'</script></template>",
]
FORBIDDEN = "img, script, svg, iframe, a, style, math, details[ontoggle], input, template"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=needs("chromium"), args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def context_of(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    with browser.new_context(**{"locale": "ko-KR", **options}) as context:
        yield context


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained about, and what it wanted from other machines."""
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    """A Korean reader's page, which may complain of nothing and ask no other machine for anything."""
    with context_of(browser) as context:
        page = context.new_page()

        def note_request(request: Request) -> None:
            if not request.url.startswith(OWN):
                complaints.append(f"request: {request.url}")

        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", note_request)
        yield page
        assert complaints == []


def ask(page: Page, question: str) -> None:
    page.get_by_role("textbox").fill(question)
    page.get_by_role("textbox").press("Enter")


def width(page: Page) -> int:
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width


def test_a_question_in_korean_gets_its_answer_with_the_source_to_open(page: Page, quoting: Server) -> None:
    page.goto(quoting.url)
    expect(page.get_by_role("heading")).to_have_text("무엇이 궁금하세요?")
    ask(page, ASKED)
    answer = page.locator(".answer")
    expect(answer.locator("> .words")).to_have_text(RECORDED)
    expect(answer).to_contain_text("기록된 말 그대로")
    expect(answer.locator("blockquote")).to_be_hidden()
    expect(page.get_by_role("textbox")).to_be_focused()
    expect(page.get_by_role("textbox")).to_have_value("")
    answer.get_by_text("출처 1개").click()
    expect(answer.locator("blockquote")).to_be_visible()
    expect(answer.locator("blockquote")).to_contain_text("유퀴즈하고 아쉬웠던 점은 무엇인가요?")
    expect(answer.locator("mark").filter(has_text="템포대로")).to_be_visible()
    expect(answer.locator(".place")).to_contain_text("faq.txt")
    expect(answer.locator(".place")).to_contain_text("line 1 · 2024-03-05")
    expect(page.locator(".question")).to_contain_text(ASKED)


def test_a_question_that_cannot_be_answered_is_told_from_an_answer(page: Page, quoting: Server) -> None:
    page.goto(quoting.url)
    ask(page, "화성 이주 계획의 예산은 얼마인가요?")
    expect(page.locator(".answer.refused")).to_contain_text("기록에 없는 이야기")


def test_the_page_speaks_english_to_others_and_remembers_the_choice(browser: Browser, quoting: Server) -> None:
    with context_of(browser, locale="de-DE") as context:
        page = context.new_page()
        page.goto(quoting.url)
        expect(page.get_by_role("heading")).to_have_text("What would you like to ask?")
        page.get_by_role("button", name="한국어").click()
        for _ in range(2):
            expect(page.get_by_role("heading")).to_have_text("무엇이 궁금하세요?")
            expect(page.locator("html")).to_have_attribute("lang", "ko")
            page.reload()


def test_enter_sends_but_not_while_a_syllable_is_composed_nor_with_shift(page: Page, quoting: Server) -> None:
    page.goto(quoting.url)
    box = page.get_by_role("textbox")
    box.press("Enter")
    box.fill("방송은 언제")
    box.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    box.dispatch_event("keydown", {"key": "Enter", "keyCode": 229})
    box.press("Shift+Enter")
    box.press_sequentially("하나요?")
    expect(box).to_have_value("방송은 언제\n하나요?")
    expect(page.locator(".question")).to_have_count(0)
    box.press("Enter")
    expect(page.locator(".answer > .words")).to_have_text("화요일, 목요일, 토요일 밤 아홉 시요.")
    expect(page.locator(".question")).to_have_count(1)


def test_a_failure_is_shown_and_can_be_asked_again(
    page: Page, complaints: list[str], start_server: StartServer, tmp_path: Path
) -> None:
    page.goto(start_server(tmp_path).url)
    ask(page, ASKED)
    expect(page.locator(".failure")).to_contain_text("nothing has been ingested into 'vector_store' yet")
    make_store(tmp_path / "vector_store")
    page.get_by_role("button", name="다시 물어보기").click()
    expect(page.locator(".answer > .words")).to_have_text(RECORDED)
    expect(page.locator(".failure")).to_have_count(0)
    assert [complaint for complaint in complaints if "status of 404" not in complaint] == []
    complaints.clear()


def test_a_server_that_is_gone_is_named(
    page: Page, complaints: list[str], faq_folder: Path, start_server: StartServer
) -> None:
    server = start_server(faq_folder)
    page.goto(server.url)
    server.end()
    ask(page, ASKED)
    expect(page.locator(".failure")).to_contain_text("서버에 연결하지 못했어요.")
    assert [complaint for complaint in complaints if "ERR_CONNECTION_REFUSED" not in complaint] == []
    complaints.clear()


def test_stop_ends_the_work_at_the_model(
    page: Page, faq_folder: Path, stub_model: StubModel, start_server: StartServer
) -> None:
    page.goto(start_server(faq_folder, OPENAI_BASE_URL=stub_model.base_url, PERSONA_MODEL="hang").url)
    ask(page, ASKED)
    while not stub_model.requests:
        page.wait_for_timeout(20)
    page.get_by_role("button", name="멈추기").click()
    expect(page.locator(".failure")).to_contain_text("멈췄어요.")
    while not stub_model.cancelled:
        page.wait_for_timeout(20)


def test_the_content_security_policy_is_in_force(page: Page, complaints: list[str], quoting: Server) -> None:
    page.goto(quoting.url)
    violated = page.evaluate(
        """() => new Promise((done) => {
            const violated = [];
            document.addEventListener("securitypolicyviolation", (event) => {
                violated.push(event.effectiveDirective);
                if (violated.length === 4) done(violated.sort());
            });
            const script = document.createElement("script");
            script.textContent = "window.ran = 'inline'";
            document.body.append(script);
            document.body.setAttribute("onclick", "window.ran = 'attribute'");
            new Image().src = "http://192.0.2.1/x.png";
            fetch("http://192.0.2.1/").catch(() => {});
        })"""
    )
    assert violated == ["connect-src", "img-src", "script-src-attr", "script-src-elem"]
    assert page.evaluate("window.ran") is None
    assert all("Content Security Policy" in c or c == "request: http://192.0.2.1/x.png" for c in complaints)
    complaints.clear()


def test_markup_in_a_store_stays_text(page: Page, start_server: StartServer, tmp_path: Path) -> None:
    asked = [f"고양이 이야기 {n}번 {attack}" for n, attack in enumerate(ATTACKS)]
    chunks = [
        Chunk(attack, f"line 1 {attack}", question, speaker=attack, date=attack)
        for attack, question in zip(ATTACKS, asked, strict=True)
    ]
    make_store(tmp_path / "vector_store", {f"{attack}.txt": [c] for attack, c in zip(ATTACKS, chunks, strict=True)})
    page.goto(start_server(tmp_path).url)
    for n, question in enumerate(asked):
        ask(page, question)
        answer = page.locator(".answer").nth(n)
        expect(answer).to_be_visible()
        answer.locator("summary").click()
        expect(answer.locator("blockquote")).to_be_visible()
    text = page.locator("#log").inner_text()
    assert all(attack in text for attack in ATTACKS)
    assert page.locator("#log").locator(FORBIDDEN).count() == 0
    assert page.evaluate("window.ran") is None


def test_markup_in_a_models_answer_stays_text(
    page: Page, faq_folder: Path, stub_model: StubModel, start_server: StartServer
) -> None:
    stub_model.answer = " ".join(ATTACKS)
    page.goto(start_server(faq_folder, OPENAI_BASE_URL=stub_model.base_url, PERSONA_MODEL="stub").url)
    ask(page, ASKED)
    expect(page.locator(".answer.generated > .words")).to_have_text(stub_model.answer)
    assert page.locator("#log").locator(FORBIDDEN).count() == 0
    assert page.evaluate("window.ran") is None


LONG = ["ㅋ" * 200, "a" * 200, "https://persona.example/" + "x/" * 100, "한 줄\n" * 3 + "\t" * 50 + "끝"]


@pytest.fixture(scope="module")
def long_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of words, names and places that do not fit a line."""
    folder = tmp_path_factory.mktemp("long")
    chunks = [Chunk(words, f"lines {words}", f"긴 말 {words}", speaker=words) for words in LONG]
    make_store(folder / "vector_store", {f"{'폴더' * 40}/{'b' * 200}.txt": chunks})
    return folder


@pytest.mark.parametrize("pixels", [320, 360])
def test_a_narrow_window_never_scrolls_sideways(
    browser: Browser, start_server: StartServer, long_words: Path, pixels: int
) -> None:
    with context_of(browser, viewport={"width": pixels, "height": 740}, is_mobile=True, has_touch=True) as context:
        page = context.new_page()
        page.goto(start_server(long_words).url)
        assert width(page) == pixels
        for n, words in enumerate(LONG):
            ask(page, f"긴 말 {words}")
            page.locator(".answer").nth(n).locator("summary").tap()
            expect(page.locator(".answer").nth(n).locator("blockquote")).to_be_visible()
            assert width(page) == pixels
        expect(page.get_by_role("textbox")).to_be_in_viewport()


def test_a_name_that_was_pointed_at_this_machine_opens_nothing(
    page: Page, complaints: list[str], quoting: Server
) -> None:
    response = page.goto(f"http://rebound.example:{quoting.port}/")
    assert response
    assert response.status == 403
    assert response.json()["error"]["code"] == "foreign_caller"
    complaints.clear()


def test_the_page_cannot_be_framed(page: Page, complaints: list[str], quoting: Server) -> None:
    page.goto(f"{quoting.url}/healthz")
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        page.evaluate("(url) => { document.body.innerHTML = `<iframe src='${url}'></iframe>` }", quoting.url)
    assert page.frames[-1].locator("#ask").count() == 0
    complaints.clear()


GREETING = "어서 와요. **천천히** 물어봐요."
SUGGESTED = ["고양이 이름이 뭐예요?", "방송은 언제 하나요?"]
SAID = "화요일, 목요일, 토요일 밤 아홉 시에 켜요. 2031년부터는 *산책*도 해요."
AXE = importlib.resources.files("axe_playwright_python") / "axe.min.js"


@pytest.fixture(scope="module")
def stub(add_stub_model: Callable[[], StubModel]) -> StubModel:
    return add_stub_model()


@pytest.fixture(scope="module")
def two(stub: StubModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves 박자두, who greets and suggests, and Wren; the model behind them takes its time."""
    folder = tmp_path_factory.mktemp("two")
    profiles: dict[str, dict[str, Any]] = {"two": {"name": "Wren Halloway"}}
    profiles["one"] = {"name": "박자두", "language": "ko", "greeting": GREETING, "questions": SUGGESTED}
    for name, profile in profiles.items():
        make_store(folder / name)
        name_persona(folder / name, profile)
    environment = {"OPENAI_BASE_URL": stub.base_url, "PERSONA_MODEL": "slow"}
    with serving(folder, "--db", "one", "--db", "two", env=environment) as server:
        yield server


@pytest.fixture
def slow(stub: StubModel) -> StubModel:
    """The model behind `two`, which answers at once until a test says otherwise."""
    stub.answer, stub.token_delay_s, stub.cancelled = SAID, 0, 0
    stub.requests.clear()
    return stub


def name_persona(store: Path, profile: dict[str, Any]) -> None:
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in profile.items()]
    Catalog(store).set_assets({"persona.toml": "\n".join(lines).encode()})


def serious(page: Page) -> list[str]:
    """What axe-core finds serious on a page, as it is now."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    return [
        f"{violation['id']}: {node['html']}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def test_an_answer_in_korean_comes_piece_by_piece_and_is_then_whole(page: Page, two: Server, slow: StubModel) -> None:
    slow.token_delay_s = 0.1
    page.goto(two.url)
    ask(page, "방송은 언제 켜요?")
    draft = page.locator(".answer.draft")
    expect(draft).to_have_attribute("aria-live", "off")
    expect(draft).to_contain_text("화요일, 목요일")
    assert "산책" not in draft.inner_text()
    answer = page.locator(".answer.generated")
    expect(answer.locator("> .words")).to_have_text(SAID.replace("*", ""))
    expect(answer.locator("em")).to_have_text("산책")
    expect(draft).to_have_count(0)
    expect(answer.locator(".disclosure")).to_contain_text("박자두 본인이 아니라")
    expect(answer.locator(".unborne")).to_have_text("2031년")
    expect(page.get_by_role("textbox")).to_be_focused()
    answer.locator("summary").click()
    expect(answer.locator("mark").filter(has_text="목요일")).to_be_visible()


def test_stop_in_mid_stream_keeps_what_came_and_can_be_asked_again(page: Page, two: Server, slow: StubModel) -> None:
    slow.token_delay_s = 0.15
    page.goto(two.url)
    ask(page, "방송은 언제 켜요?")
    expect(page.locator(".answer.draft")).to_contain_text("화요일")
    page.keyboard.press("Escape")
    expect(page.locator(".failure")).to_contain_text("멈췄어요.")
    expect(page.locator(".answer.broken")).to_contain_text("화요일")
    while not slow.cancelled:
        page.wait_for_timeout(20)
    slow.token_delay_s = 0
    page.get_by_role("button", name="다시 물어보기").click()
    expect(page.locator(".answer.generated")).to_contain_text("산책")


def test_a_reload_finds_the_session_and_a_new_conversation_leaves_it(page: Page, two: Server, slow: StubModel) -> None:
    page.goto(two.url)
    ask(page, "방송은 언제 켜요?")
    expect(page.locator(".answer.generated")).to_contain_text("산책")
    page.reload()
    expect(page.locator(".question")).to_contain_text("방송은 언제 켜요?")
    expect(page.locator(".answer.generated")).to_contain_text("산책")
    expect(page.locator(".sources")).to_be_visible()
    ask(page, "고양이 이름이 뭐예요?")
    expect(page.locator(".answer.generated")).to_have_count(2)
    expect(page.locator(".disclosure")).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("button", name="대화 저장").click()
    saved = download.value.path().read_text(encoding="utf-8")
    assert "> 방송은 언제 켜요?" in saved
    assert "1. faq.txt · line" in saved
    page.get_by_role("button", name="새 대화").click()
    expect(page.locator(".question")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("heading")).to_have_text("박자두에게 무엇이 궁금하세요?")
    expect(page.locator(".question")).to_have_count(0)


def test_each_persona_has_its_own_greeting_and_sessions(page: Page, two: Server, slow: StubModel) -> None:
    page.goto(two.url)
    expect(page.locator("#greeting")).to_have_text(GREETING)
    expect(page.locator("#notice")).to_contain_text("박자두 본인이 아니라")
    ask(page, "방송은 언제 켜요?")
    expect(page.locator(".answer.generated")).to_be_visible()
    page.get_by_role("combobox", name="답하는 사람").select_option("Wren Halloway")
    expect(page.locator(".answer")).to_have_count(0)
    expect(page.get_by_role("heading")).to_have_text("Wren Halloway에게 무엇이 궁금하세요?")
    expect(page.locator("#greeting")).to_be_hidden()
    page.get_by_role("button", name="EN").click()
    expect(page.get_by_role("heading")).to_have_text("What would you like to ask Wren Halloway?")
    expect(page.locator("#notice")).to_contain_text("A model of Wren Halloway")
    ask(page, "When does the bakery matter to the studio?")
    expect(page.locator(".answer")).to_be_visible()
    page.get_by_role("combobox").select_option("박자두")
    expect(page.locator(".question")).to_have_count(1)
    expect(page.locator(".question")).to_contain_text("방송은 언제 켜요?")
    page.reload()
    expect(page.get_by_role("combobox")).to_have_value("박자두")
    expect(page.locator(".question")).to_contain_text("방송은 언제 켜요?")


def test_all_can_be_reached_by_keyboard(page: Page, two: Server, slow: StubModel) -> None:
    def reach(name: str) -> None:
        for _ in range(12):
            page.keyboard.press("Tab")
            focused = page.locator("button:focus, summary:focus, blockquote:focus")
            if focused.count() and name in f"{focused.get_attribute('aria-label')} {focused.inner_text()}":
                return
        raise AssertionError(f"no way to {name}")

    page.goto(two.url)
    expect(page.locator("#questions button")).to_have_text(SUGGESTED)
    reach(SUGGESTED[1])
    page.keyboard.press("Enter")
    expect(page.locator(".question")).to_contain_text(SUGGESTED[1])
    answer = page.locator(".answer.generated")
    expect(answer).to_contain_text("산책")
    expect(page.get_by_role("textbox")).to_be_focused()
    reach("출처")
    page.keyboard.press("Enter")
    expect(answer.locator("blockquote").first).to_be_visible()
    reach("복사")
    reach("새 대화")
    page.keyboard.press("Space")
    expect(page.locator(".question")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, two: Server, slow: StubModel, scheme: Any) -> None:
    with context_of(browser, color_scheme=scheme, viewport={"width": 360, "height": 740}) as context:
        page = context.new_page()
        page.goto(two.url)
        expect(page.locator("#questions button")).to_have_text(SUGGESTED)
        assert serious(page) == []
        assert width(page) == 360
        ask(page, SUGGESTED[1])
        page.locator(".sources summary").click()
        expect(page.locator("blockquote").first).to_be_visible()
        assert serious(page) == []
        assert width(page) == 360


def test_markup_in_a_persona_stays_text(page: Page, start_server: StartServer, tmp_path: Path) -> None:
    for name, attack in {"one": ATTACKS[0], "two": ATTACKS[2]}.items():
        make_store(tmp_path / name)
        profile = {"name": attack, "greeting": " ".join(ATTACKS), "questions": ATTACKS, "disclosure": attack}
        name_persona(tmp_path / name, {**profile, "description": attack})
    page.goto(start_server(tmp_path, "--db", "one", "--db", "two").url)
    expect(page.locator("#questions button")).to_have_text(ATTACKS)
    expect(page.locator("#greeting")).to_contain_text(ATTACKS[1])
    expect(page.locator("#notice")).to_contain_text(ATTACKS[0])
    page.get_by_role("combobox").select_option(ATTACKS[2])
    expect(page.get_by_role("heading")).to_contain_text(ATTACKS[2])
    for attack in ATTACKS:
        page.get_by_role("button", name=attack, exact=True).click()
        expect(page.locator(".answer")).to_have_count(1)
        page.get_by_role("button", name="새 대화").click()
    assert page.locator("main").locator(FORBIDDEN).count() == 0
    assert page.evaluate("window.ran") is None


def test_a_session_is_shown_to_nobody_else(stub_model: StubModel, faq_folder: Path, start_server: StartServer) -> None:
    server = start_server(faq_folder, PERSONA_SERVER_TOKEN="first-token-0001,second-token-0002")
    first, second = ({"Authorization": f"Bearer {name}"} for name in ("first-token-0001", "second-token-0002"))
    session = server.post({"prompt": ASKED, "session_id": "new"}, headers=first).json()["session_id"]
    told = server.get(f"/sessions/{session}", headers=first)
    assert [turn["question"] for turn in told.json()["turns"]] == [ASKED]
    assert "owner" not in told.json()
    assert told.headers["Cache-Control"] == "no-store"
    assert server.get(f"/sessions/{session}", headers=second).status_code == 404
    assert server.get(f"/sessions/{session}").status_code == 401
    assert server.get("/persona?model=nobody", headers=first).status_code == 404
