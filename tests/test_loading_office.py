import re
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from persona_cli.chunking import chunk
from persona_cli.loading import load
from persona_cli.models import Chunk, Dialogue
from persona_cli.testimony import person_in, words_of
from tests.binary_files import pdf
from tests.office_files import docx, epub, odt, pptx, xlsx
from tests.stories import CHUNKS, STORY, WRITERS, decomposed, look_up

LONG = "비가 오는 날에는 작업실 창문을 열어 두고 오래 앉아서 바다를 그린다."


def chunks(name: str, data: bytes) -> list[Chunk]:
    """What a file gives, the only one who speaks in it being the person."""
    reading = load(name, data)
    if isinstance(reading, Dialogue):
        reading = words_of(reading, person_in(reading, ()) or frozenset())
    return chunk(reading)


def said(name: str, data: bytes) -> list[tuple[str, str | None, str]]:
    return [(piece.locator, piece.question, piece.text) for piece in chunks(name, data)]


@pytest.mark.parametrize(
    ("suffix", "spell"),
    [*((suffix, list) for suffix in WRITERS), *((suffix, decomposed) for suffix in WRITERS if suffix != ".rtf")],
)
def test_every_format_gives_the_same_pieces_and_their_places(suffix: str, spell: type) -> None:
    found = said(f"story{suffix}", WRITERS[suffix](spell(STORY)))
    if suffix in (".html", ".epub"):  # where a tab is a space
        assert found == [(*place, text.replace("\t", " ")) for *place, text in CHUNKS]
    else:
        assert found == CHUNKS


@pytest.mark.parametrize(("locator", "question", "text"), CHUNKS)
def test_each_place_leads_to_the_words(locator: str, question: str | None, text: str) -> None:
    place = look_up(locator)
    assert all(line in place for line in [question or "", *text.split("\n")])


@pytest.mark.parametrize("suffix", WRITERS)
def test_an_interview_is_a_dialogue_with_places_in_the_document(suffix: str) -> None:
    parts = [
        "바다를 그리는 사람",
        "기자: 언제 시작했나요?",
        "박자두: 어릴 때요.",
        "기자: 왜요?",
        "박자두: 바다가 좋아서요.",
    ]
    assert said(f"interview{suffix}", WRITERS[suffix](parts)) == [
        ("바다를 그리는 사람, paragraphs 2-3", "언제 시작했나요?", "어릴 때요."),
        ("바다를 그리는 사람, paragraphs 4-5", "왜요?", "바다가 좋아서요."),
    ]


def test_a_long_paragraph_in_the_style_of_a_heading_is_text() -> None:
    assert said("a.docx", docx((1, LONG * 4), "끝")) == [("paragraphs 1-2", None, f"{LONG * 4}\n\n끝")]


def test_slides_are_counted_as_they_are_shown() -> None:
    slides = [
        ("첫 슬라이드", ["나는 그림을 그린다.", "매일 그린다."], "천천히 말할 것"),
        ("", ["제목 없는 슬라이드"], ""),
        ("What do you eat?", ["Rice cakes, mostly."], ""),
    ]
    assert said("talk.pptx", pptx(slides, order=[2, 0, 1])) == [
        ("What do you eat?, slide 1", "What do you eat?", "Rice cakes, mostly."),
        ("첫 슬라이드, slide 2", None, "나는 그림을 그린다.\n\n매일 그린다.\n\n천천히 말할 것"),
        ("slide 3", None, "제목 없는 슬라이드"),
    ]


def test_pages_of_a_presentation_are_slides() -> None:
    title = '<draw:frame presentation:class="title"><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>'
    body = "<draw:frame><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>"
    notes = "<presentation:notes><text:p><text:page-number>9</text:page-number></text:p></presentation:notes>"
    pages = [title.format("첫째") + body.format("비가  왔다."), body.format("앞<text:s text:c='2'/>뒤")]
    data = odt("".join(f"<draw:page>{page}{notes}</draw:page>" for page in pages), "presentation")
    assert said("a.odp", data) == [("첫째, slide 1", None, "비가 왔다."), ("slide 2", None, "앞  뒤")]


WRAPPED = ("비가 오는 날에는 작업실 창문을 열어 두고 오래 앉아서 바다를 그린다 그리", "고 해가 지면 산책을 나간다.")


def test_pages_are_counted_and_paragraphs_put_together() -> None:
    bodies = [[*WRAPPED, "짧은 줄.", "• 물감"], ["비가 그친 날."], WRAPPED, ["- 붓", "끝인사."]]
    pages = [["작업실 이야기", *body, "", f"- {number} -"] for number, body in enumerate(bodies, 7)]
    joined = " ".join(WRAPPED)
    assert said("a.pdf", pdf(*pages)) == [
        ("pages 1-4", None, f"{joined}\n\n짧은 줄.\n\n• 물감\n\n비가 그친 날.\n\n{joined}\n\n- 붓\n\n끝인사.")
    ]


def test_a_chunk_of_a_pdf_knows_its_own_pages() -> None:
    pages = [
        [line for at in range(6) for line in (f"{page}쪽 {at}번째 글. {WRAPPED[0]}", WRAPPED[1])]
        for page in range(1, 5)
    ]
    for place, _, text in said("a.pdf", pdf(*pages)):
        numbers = [int(number) for number in re.findall(r"(\d)쪽", text)]
        first, last = re.fullmatch(r"pages? (\d)(?:-(\d))?", place).groups()  # type: ignore[union-attr]
        assert (numbers[0], numbers[-1]) == (int(first), int(last or first))


def test_pairs_in_a_pdf_may_run_over_a_page() -> None:
    first = ["취미는 무엇인가요?", *[WRAPPED[0]] * 3, WRAPPED[1], "나이는 몇인가요?"]
    second = ["서른.", "고향은 어디인가요?", "바닷가."]
    assert said("faq.pdf", pdf(first, second)) == [
        ("page 1", "취미는 무엇인가요?", " ".join([*[WRAPPED[0]] * 3, WRAPPED[1]])),
        ("pages 1-2", "나이는 몇인가요?", "서른."),
        ("page 2", "고향은 어디인가요?", "바닷가."),
    ]


CELLS: Mapping[str, str | float] = {
    **{"B2": "자주 묻는 질문", "B4": "질문", "C4": "답변", "D4": "날짜"},
    **{"B5": "이름이 뭔가요?", "C5": "박자두 & <친구>", "D5": 45356},
    **{"B8": "여러 줄인가요?", "C8": "첫 줄\n둘째 줄", "D8": 45357.5, "B9": "답이 없나요?"},
}


def test_rows_are_counted_as_the_sheet_counts_them() -> None:
    data = xlsx(
        {
            "FAQ": CELLS,
            "빈 시트": {},
            "값": {"A1": "물감", "B1": "값", "A2": "파랑", "B2": 1.5, "A3": "빨강", "B3": 2.0},
        }
    )
    found = chunks("faq.xlsx", data)
    assert [(piece.locator, piece.question, piece.text, piece.date) for piece in found] == [
        ("자주 묻는 질문, FAQ, row 5", "이름이 뭔가요?", "박자두 & <친구>", "2024-03-05"),
        ("자주 묻는 질문, FAQ, row 8", "여러 줄인가요?", "첫 줄\n둘째 줄", "2024-03-06T12:00:00"),
        ("값, row 2", None, "물감: 파랑\n값: 1.5", None),
        ("값, row 3", None, "물감: 빨강\n값: 2", None),
    ]
    for piece in found[:2]:
        row = int(re.findall(r"row (\d+)", piece.locator)[0])
        assert (CELLS[f"B{row}"], CELLS[f"C{row}"]) == (piece.question, piece.text)


def test_a_hidden_sheet_is_not_read() -> None:
    assert said("a.xlsx", xlsx({"보임": {"A1": "하나"}, "숨김": {"A1": "둘"}}, hidden=["숨김"])) == [
        ("보임, row 1", None, "하나")
    ]


PAGE = """<html><head>{meta}<title>박자두의 블로그</title><meta property="article:published_time"
content="2023-04-05T09:10:11+09:00"><style>.a {{}}</style><script>var 스크립트 = "<p>안 보임</p>";</script></head>
<body><header><h1>사이트 이름</h1></header><nav><ul><li>메뉴</li></ul></nav>{body}
<footer>저작권</footer></body></html>"""
ARTICLE = """<h1>비 오는 날</h1><p>처음 방송을 켠 날은
  <b>비가</b> 왔다.<br>우산이 &lt;없었다&gt;.</p><p hidden>숨은 글</p><p style="display: none">숨은 글</p>
<aside>광고</aside><dl><dt>취미는?</dt><dd>그림.</dd><dt>나이는?</dt><dd>서른.</dd></dl><form><button>보내기</button></form>
<img src="http://192.0.2.1/picture.png" alt="x"><iframe src="http://192.0.2.1/"></iframe>"""
FROM_PAGE = [
    ("비 오는 날, paragraph 1", None, "처음 방송을 켠 날은 비가 왔다.\n우산이 <없었다>."),
    ("비 오는 날, paragraphs 2-3", "취미는?", "그림."),
    ("비 오는 날, paragraphs 4-5", "나이는?", "서른."),
]


@pytest.mark.parametrize(
    ("meta", "encoding"),
    [
        ('<meta charset="utf-8">', "utf-8"),
        ("", "utf-8-sig"),
        ("", "utf-16"),
        ("", "cp949"),
        ('<meta charset="euc-kr">', "cp949"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=ks_c_5601-1987">', "cp949"),
    ],
)
@pytest.mark.parametrize(
    "body", ["<article>{}</article>", "<div role=main>{}</div>", "<table><tr><td>{}</td></tr></table>"]
)
def test_a_page_gives_its_words_without_what_is_around_them(body: str, meta: str, encoding: str) -> None:
    text = PAGE.format(meta=meta, body=body.format(ARTICLE)).replace("\n", "\r\n")
    found = chunks("page.htm", text.encode(encoding))
    assert [(piece.locator, piece.question, piece.text) for piece in found] == FROM_PAGE
    assert {piece.date for piece in found} == {"2023-04-05T09:10:11+09:00"}


@pytest.mark.parametrize("page", ["{}", "<main>{}</main>", "<div class='layout has-sidebar'>{}</div>"])
@pytest.mark.parametrize(
    "beside",
    [
        *('<div id="comments">{}</div>', '<ul class="post-comment"><li>{}</ul>', '<div class="댓글">{}</div>'),
        *(
            '<div id="GNB">{}</div>',
            '<div class="area_reply_2">{}</div>',
            '<p>비가 왔다.<span class="reply"> {}</span></p>',
        ),
        '<div class="comments"><article class="comment-body">{}</article></div>',
    ],
)
def test_comments_and_menus_are_known_by_their_names(page: str, beside: str) -> None:
    own = "" if beside.startswith("<p>") else "<p>비가 왔다.</p>"
    html = f"<title>일기</title><body class='no-js sidebar'>{page.format(own + beside.format('나도요'))}"
    assert said("a.html", html.encode()) == [("일기, paragraph 1", None, "비가 왔다.")]


@pytest.mark.parametrize(
    "html",
    [
        '<div class="menu"><p>비가 왔다.</p></div>',
        '<p>쿠키</p><div class="layout sidebar-right"><main><p>비가 왔다.</p></main></div>',
        '<div class="commentary navigator footers"><p>비가 왔다.</p></div>',
    ],
)
def test_a_page_does_not_lose_its_own_words_by_a_name(html: str) -> None:
    assert said("a.html", f"<title>일기</title>{html}".encode()) == [("일기, paragraph 1", None, "비가 왔다.")]


def test_what_is_under_no_heading_has_the_title_of_the_page() -> None:
    assert said("a.html", "<title>일기</title>비가 왔다.".encode()) == [("일기, paragraph 1", None, "비가 왔다.")]


def test_a_chapter_without_a_heading_has_its_title_from_the_table_of_contents() -> None:
    book = epub(
        {"1장 비": "<p>비가 왔다.</p>", "2장 해": "<h1>둘째 장</h1><p>해가 났다.</p>", "끝": "<p>끝</p><p>안녕.</p>"}
    )
    assert [(piece.locator, piece.text, piece.date) for piece in chunks("book.epub", book)] == [
        ("1장 비, paragraph 1", "비가 왔다.", "2021-05-06"),
        ("둘째 장, paragraph 1", "해가 났다.", "2021-05-06"),
        ("끝, paragraph 1", "안녕.", "2021-05-06"),
    ]


def letter(**headers: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    for name, value in {"From": "박자두 <jadu@example.kr>", "Subject": "Re: 전시회", **headers}.items():
        if value:
            message[name.replace("_", "-")] = value
    message["Date"] = "Tue, 5 Mar 2024 10:20:30 +0900"
    return message


BODY = """전시회는 오월에 엽니다.
많이 와 주세요.

그때 만나요.

2024년 3월 4일 (월) 오후 3:10, 김여울 <yeoul@example.kr>님이 작성:

> 전시회는 언제인가요?
> 궁금합니다.
-- \r
박자두
"""


@pytest.mark.parametrize("charset", ["utf-8", "ks_c_5601-1987", "html"])
def test_a_letter_is_what_its_author_says_in_it(charset: str) -> None:
    message = letter()
    if charset == "html":
        own, _, quoted = BODY.partition("2024년")
        inner = "".join(f"<div>{part}</div>" for part in own.replace("\n", "<br>", 1).split("\n\n"))
        message.set_content(f'{inner}<div class="gmail_quote">{quoted}</div>', subtype="html")
    else:
        message.set_payload(BODY.encode("cp949" if charset != "utf-8" else charset))
        message["Content-Type"] = f'text/plain; charset="{charset}"'
        message["Content-Transfer-Encoding"] = "8bit"
    data = message.as_bytes()
    (piece,) = chunks("letter.eml", data)
    assert piece == Chunk(
        "전시회는 오월에 엽니다.\n많이 와 주세요.\n그때 만나요.",
        "Re: 전시회, paragraphs 1-2",
        None,
        "박자두",
        "2024-03-05T10:20:30+09:00",
    )
    reading = load("letter.eml", data)
    assert isinstance(reading, Dialogue)
    assert person_in(reading, ["김여울"]) == frozenset()  # what somebody else wrote is not hers


def test_a_letter_may_spell_its_headers_wrongly_and_lack_an_author() -> None:
    raw = "From: 박자두 <jadu@example.kr>\r\nSubject: 전시회 소식\r\nDate: soon\r\n\r\n오월에 엽니다.\r\n".encode(
        "cp949"
    )
    assert chunks("a.eml", raw) == [Chunk("오월에 엽니다.", "전시회 소식, paragraph 1", None, "박자두")]
    nobody = letter(From="")
    nobody.set_content("오월에 엽니다.")
    assert [(piece.locator, piece.speaker) for piece in chunks("a.eml", nobody.as_bytes())] == [
        ("Re: 전시회, paragraph 1", None)
    ]
