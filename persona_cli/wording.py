"""A question as people type it, in the words that an embedding model and an index know.

Every entry is one that means the same wherever it stands; what is also an ordinary word is left alone, or is taken only
where its neighbours tell. Missing an abbreviation costs little, changing a word costs the answer. Abbreviations are
spelled out in Korean only: in English that found no more (benchmarks/quality.py).
"""

import re

INVISIBLE = re.compile(
    "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]|(?<![\u0600-\u109f])[\u200c\u200d]"
)
"""Marks without width. The joiners spell words in Arabic and Indic scripts, and stay there."""
TONE = "\U0001f440-\U0001f450\U0001f493-\U0001f49f\U0001f600-\U0001f64f\U0001f910-\U0001f92f\U0001f970-\U0001f97a"
TONE += (
    "\U0001f3fb-\U0001f3ff\U0001fae0-\U0001faff\u2639-\u263b\u2661\u2665\u2728\u2763\u2764\ufe0f\U0001f525\U0001f389"
)
"""Faces, hands and hearts. Other emoji may be what is asked about, and are dropped at the end only."""
EMOJI = TONE + "\U0001f000-\U0001faff\U000e0020-\U000e007f\u2600-\u266c\u2670-\u2775\u2794-\u27bf\u2b00-\u2bff"
AT_THE_ENDS = re.compile(rf"\A[\s{TONE}]+|(?<![\s{EMOJI}])[\s{EMOJI}]+\Z")
SOUNDS = re.compile(
    r"(?<![ㅋㅎㅠㅜㅡ])(?:(?<![ㄱ-ㅎ])[ㅋㅎㅠㅜㅡ]|[ㅋㅎㅠㅜㅡ]{2})[ㅋㅎㅠㅜㅡ]*+(?:[_.][ㅠㅜㅡ]++)?+"
    r"(?![ㄱ-ㅎ]|(?:[은는을를이가]|이?라\w{0,4})(?:\s|\Z))"
    r"|ㅎ?ㄷㄷ+|ㅇ[ㅅㅁ]ㅇ|ㅉㅉ+|\^[_.]?\^|;;+"
)
"""Laughing, crying and faces made of letters, but not where they are what is asked about."""
SPACE_BEFORE_MARK = re.compile(r" (?=[?!.,]+(?:\s|\Z))")
ASKED_OR_CALLED = re.compile("[?!]{2,}")
TRAILING = re.compile(r"(?<=[^\W\d_])~++(?=[\s?!.,]|\Z)|(?<=~)~+")
DOTS = re.compile(r"(?<!\.)\.{2,}+(?![\d/])|(?<=…)…+")
STRETCHED = re.compile(r"([a-z])(?!\1)([aeouy])\2{2,}+(?![a-z])")


def _table(entries: str) -> dict[str, str]:
    """`short=long` entries, set apart by semicolons or new lines."""
    return dict(entry.strip().split("=") for entry in re.split("[;\n]", entries) if entry.strip())


WORDS = _table("""
    걍=그냥; 넘=너무; 넘넘=너무너무; 젤루=제일; 글고=그리고; 글구=그리고; 드뎌=드디어; 마니=많이; 솔까=솔직히
    솔까말=솔직히 말해서; 첨에=처음에; 첨엔=처음엔; 첨에는=처음에는; 첨부터=처음부터; 첨으로=처음으로; 첨이=처음이
    첨이라=처음이라; 첨인데=처음인데; 맨첨=맨 처음; 맨첨에=맨 처음에; 낼모레=내일모레; 낼은=내일은; 낼도=내일도
    낼부터=내일부터; 담주=다음 주; 담주에=다음 주에; 담주부터=다음 주부터; 담달=다음 달; 담달에=다음 달에; 담번=다음번
    담번에=다음번에; 그담=그다음; 그담에=그다음에; 그담엔=그다음엔; 머=뭐; 최애=가장 좋아하는; 차애=두 번째로 좋아하는
    강추=적극 추천; 존잼=아주 재미있는; 핵잼=아주 재미있는; 노잼=재미없는; 핵노잼=아주 재미없는; 존맛=아주 맛있는
    존맛탱=아주 맛있는; 노맛=맛없는; 극혐=아주 싫어하는; ㄱㄴ=가능; ㄱㄴ요=가능해요; ㅂㄱㄴ=불가능; ㄹㅇ=정말
    ㄹㅇㅋㅋ=정말; ㄹㅇ로=정말로; ㄱㅊ=괜찮아요; ㅇㅋ=오케이; ㅊㅊ=추천; ㅊㅊ좀=추천 좀; ㅈㅅ=죄송; ㅊㅋ=축하
    ㄱㅅ=감사; ㄳ=감사; ㅁㄹ=몰라요; ㅇㄷ=어디; ㅃㄹ=빨리; ㅈㄴ=매우; ㅇㄱㄹㅇ=이건 정말; ㄴㄴ=아니
""")
"""Whole eojeols."""
NOUNS = _table("""
    겜=게임; 랭겜=랭크 게임; 폰겜=휴대폰 게임; 모바일겜=모바일 게임; 공포겜=공포 게임; 인디겜=인디 게임
    보드겜=보드게임; 갓겜=명작 게임; 망겜=망한 게임; 똥겜=재미없는 게임; 종겜=종합 게임; 겜방=게임 방송; 캠방=캠 방송
    생방=생방송; 개인방=개인 방송; 음방=음악 방송; 뱅송=방송; 뱅온=방송 시작; 뱅종=방송 종료; 휴뱅=휴방; 도네=후원
    브금=배경음악; 플탐=플레이 시간; 닉넴=닉네임; 욕댓=악플; 악댓=악플; 선플=좋은 댓글; 유툽=유튜브; 유튭=유튜브
    윱튜브=유튜브; 인스타=인스타그램; 페북=페이스북; 넷플=넷플릭스; 디코=디스코드; 플스=플레이스테이션
    배그=배틀그라운드; 옵치=오버워치; 프사=프로필 사진; 상메=상태 메시지; 갠톡=개인 메시지; 갠방=개인 방송
    핸폰=휴대폰; 놋북=노트북; 피방=PC방; 피씨방=PC방; 코노=코인 노래방; 스벅=스타벅스; 맥날=맥도날드; 배민=배달의민족
    월욜=월요일; 화욜=화요일; 수욜=수요일; 목욜=목요일; 금욜=금요일; 토욜=토요일; 일욜=일요일; 남친=남자친구
    여친=여자친구; 남사친=남자 사람 친구; 여사친=여자 사람 친구; 베프=가장 친한 친구; 찐친=진짜 친한 친구
    찐팬=진짜 팬; 엄빠=엄마 아빠; 냥이=고양이; 냥줍=길고양이 입양; 댕댕이=강아지; 딸램=딸; 딸래미=딸; 아들램=아들
    아들래미=아들; 남푠=남편; 알바=아르바이트; 취준=취업 준비; 취준생=취업 준비생; 공시생=공무원 시험 준비생
    자소서=자기소개서; 칼퇴=정시 퇴근; 헬린이=헬스 초보; 주린이=주식 초보; 코린이=코인 초보; 팬싸=팬 사인회
    스밍=스트리밍; 저메추=저녁 메뉴 추천; 점메추=점심 메뉴 추천; 아점=아침 겸 점심; 맛점=맛있는 점심
    뜨아=뜨거운 아메리카노; 얼죽아=얼어 죽어도 아이스 아메리카노; 열공=열심히 공부; 관종=관심받고 싶은 사람
    케바케=경우에 따라 다름; 사바사=사람마다 다름; 택포=택배비 포함; 무배=무료 배송; 식세기=식기세척기
    전자렌지=전자레인지; 뚜벅이=차 없는 사람; 최애=가장 좋아하는 것; 쌤=선생님; 뉴비=초보; 컴=컴퓨터
""")
"""Whole eojeols, or before one of `ENDINGS`."""
ENDINGS = set(
    re.findall(
        "[가-힣]+",
        "은 는 이 가 을 를 에 의 도 만 로 으로 와 과 랑 이랑 하고 엔 에도 에는 에서 에선 까지 부터 마다 한테 에게 "
        "께 께서 처럼 보다 이나 나 라도 들 들은 들이 들도 들을 때 중 중에 좀 뿐 야 이야 임 인 인가 인지 인데 이고 "
        "이면 이죠 이라 라서 이요 예요 에요 이에요 이예요 인가요",
    )
)
DOES = re.compile("[하해했한할함합]")
"""How a noun goes on that became a verb."""
STEMS = _table("""
    어케=어떻게; 어캐=어떻게; 어뜨케=어떻게; 어떠케=어떻게; 왤케=왜 이렇게; 왤캐=왜 이렇게; 왜케=왜 이렇게
    왜캐=왜 이렇게; 글케=그렇게; 일케=이렇게; 잼있=재미있; 재밋=재밌; 맛잇=맛있; 갠적=개인적; 머해=뭐 해; 머하=뭐 하
    머예요=뭐예요; 머에요=뭐예요; 머임=뭐임; 머라고=뭐라고; 머먹=뭐 먹; 조아하=좋아하; 조아해=좋아해; 시러하=싫어하
    시러해=싫어해; 오랫만=오랜만; 설겆이=설거지; 역활=역할; 희안하=희한하; 희안한=희한한; 몇일=며칠; 어의없=어이없
    왠만=웬만; 웬지=왠지; 빡치=화나; 빡쳐=화나; 빡쳤=화났; 빡침=화남; 잇어요=있어요; 잇음=있음; 잇었=있었; 잇엇=있었
    없엇=없었
""")
"""How eojeols begin, whatever follows; no other word begins so."""
MOST = (
    "좋|많|긴|길|큰|크|작|못하|잘하|먼저|처음|마지막|재[미밌]|맛|무서|무섭|싫|힘들|힘든|어려|쉬운|비[싸싼]|싼|오래|최근|자주|자신"
    "|친[하한]|[예이][쁘쁜]|아끼|기억|기뻤|행복|슬[프펐픈]|웃[기긴겼]|유명|인기|아쉬|후회|빠르|빠른|높|중요|귀[여엽]|뿌듯|보람"
    "|망[한했]|고마|미안"
)
NEXT = "목표|방송|영상|작품|앨범|콘서트|공연|시즌|편|여행|게임|계획|신작"
IN_PLACE = [
    (re.compile(pattern), words)
    for pattern, words in [
        ("됬", "됐"),
        ("햇(?=어[요여]|나[요여]|음|는|던|습)", "했"),
        ("(?<=[가-힣])(?<!타)겟(?=어[요여]|나[요여]|습|는데)", "겠"),
        (r"(?<=[가-힣][가-힣])쌤(?=(?:[은이을의도]|한테)?[?!.,]*(?:\s|\Z))", " 선생님"),
        (rf"(?<!\S)젤(?= ?(?:{MOST}))", "제일"),
        (rf"(?<!\S)담(?= (?:{NEXT})(?:[은는이가을를에도]|\s|\Z))", "다음"),
        (r"(?:\A|(?<=[.?!,] ))낼(?= )(?! (?:거|건|것|게|걸|때|수|만|줄|돈|생각|예정|계획|필요|세금|사람))", "내일"),
        (r"(?<!\S)썰(?=[은을이도]?(?: ?(?:좀|풀|들려|하나)| 있| 없| 더))", "이야기"),
        (r"(?<!\S)아아(?=예요|에요|만 |랑 |를 |파| ?(?:마시|마셔|드시|드세|먹|좋아))", "아이스 아메리카노"),
    ]
]
"""Slips inside words, and abbreviations that are words of their own too, where what stands beside them tells."""
TOKEN = re.compile(r"""(?<!\S)(["'“‘(]*)([^\s"'“‘(?!.,~…][^\s?!.,~…"”)]*)(?=[?!.,~…"”)]*(?:\s|\Z))""")
LONGEST = max(map(len, [*NOUNS, *STEMS]))


def plain(question: str) -> str:
    """A question without the sounds and marks of chat and with its abbreviations spelled out.

    Returns:
        At most twice as long as the question and never without words: the question itself when none is left.
    """
    text = _without_sounds(question)
    if not re.search(r"\w", text):
        return question
    spelled = TOKEN.sub(lambda m: m[1] + _spelled(m[2]), text)
    for pattern, words in IN_PLACE:
        spelled = pattern.sub(words, spelled)
    return spelled if len(spelled) <= 2 * len(question) else text


def _without_sounds(text: str) -> str:
    bare = SOUNDS.sub(" ", INVISIBLE.sub("", text))
    if bare != text:
        bare = SPACE_BEFORE_MARK.sub("", " ".join(bare.split()))
    bare = AT_THE_ENDS.sub("", bare)
    bare = ASKED_OR_CALLED.sub(lambda m: "?" if "?" in m[0] else "!", bare)
    return STRETCHED.sub(r"\1\2", DOTS.sub(lambda m: "." if "." in m[0] else "", TRAILING.sub("", bare)))


def _spelled(word: str) -> str:
    """A word or eojeol, without the marks around it, spelled out."""
    if long := WORDS.get(word) or NOUNS.get(word):
        return long
    for end in range(min(len(word), LONGEST), 0, -1):
        stem, ending = word[:end], word[end:]
        if stem in STEMS:
            return STEMS[stem] + ending
        if stem in NOUNS and (ending in ENDINGS or DOES.match(ending)):
            return NOUNS[stem] + ending
    return word
