"""Names: what looks like one in a text, by its form alone.

English names are capitalised; Korean ones are told by what follows them (씨, 선생님, "라는 친구", 대학교), or have
Latin letters. A word that may be a common one is passed over.
"""

import re
from collections.abc import Iterator

Candidate = tuple[int, int, tuple[str, ...]]
"""Start and end in the text, and spellings any of which would bear the name out."""

WORD = re.compile(r"(?<![^\W가-힣])[^\W\d_가-힣](?:[^\W가-힣]|['’&-])*")
STARTS_SENTENCE = re.compile(r"(?:^|[.!?…:;\n•*>#|(\[\"“‘'—–])[\s\"“‘'*_(\[]*(?:[-–—] )?$")
ABBREVIATED = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|Mt|[A-Z])\. ?$")
COMMON = (
    "january february march april may june july august september october november december monday tuesday "
    "wednesday thursday friday saturday sunday jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed "
    "thu fri sat sun i mr mrs ms dr prof sir madam mum mom mama dad papa daddy mummy grandma grandpa granny "
    "grandmother grandfather mother father auntie aunt uncle god ok okay tv pc dvd cd diy am pm bc ad ps faq "
    "a an the and but or so yes no not never always all very only must my his her our their your he you she "
    "we they it this that these those as at by for from in into of off on to up with if when while what who "
    "how why is was are internet sns ai ceo vs km kg cm mm ml etc hi hello dear well oh ah hmm now then there "
    "here too also yeah street avenue road lane university college school station river lake mount island "
    "festival park"
)
COMMON_WORDS = frozenset(COMMON.split())
"""Capitalised or Latin words that name nobody in particular."""
OPENERS = frozenset(["after", "before", "since", "during", "because", "although", "once", "until", "unless", "like"])
"""What a sentence may begin with before a name."""
CODE = re.compile(r"(?<![\w-])[A-Za-z]{1,20}-?\d+[A-Za-z\d]*(?![A-Za-z\d_-])|(?<![\w-])\d+[A-Z][A-Za-z\d]*\d(?!\w)")

PARTICLE = (
    "(?:께서는?|에게서?|한테서?|이랑|랑|하고|처럼|보다|이라고|라고|이라는|라는|이었\\w*"
    "|였\\w*|이에요|예요|이야|야|이고|입니다"
    "|이다|인데"
    "|은|는|이|가|을|를|과|와|의|도|만|에서는?|에는?|으로|로|까지|부터|이고|이며|들)?(?![가-힣])"
)
SURNAMES = (
    "김이박최정강조윤장임한오서신권황안송전홍유고문양손배백허남심노하곽성차주우구민류나진지엄채원천방공현함변염여추"
)
SURNAMES += "도소석선설마길"
GIVEN = (
    "민수지혜진영현준서연우은정미경희숙자순철호성훈상태재동기석승원윤아하도예나유린빈율주선규용찬혁환웅솔별봄결온라"
    "해란옥덕복만식필병광창종보람슬이인한새"
)
"""Syllables that given names are made of."""
SAFE_SURNAMES = "김박최강윤임오서권황안송홍유문양손배허심노곽류장정"
TITLE = (
    "(?:선생님|선생|교수님?|감독님?|작가님?|대표님?|사장님?|기자님?|배우|부장님?|과장님?"
    "|팀장님?|대리님?|이사님?|원장님?"
    "|관장님?|목사님?|신부님?|박사님?|코치님?|선배님?|의사|할머니|할아버지|아저씨"
    "|아주머니|이모|삼촌|형|누나|언니|오빠)"
)
ATTACHED = "(?:선생님|교수님?|감독님?|작가님?|대표님|사장님|부장님|누나|언니|오빠|할머니|할아버지|이모|삼촌)"
TITLED_NAME = re.compile(
    rf"(?<![가-힣])(?:(?P<full>[{SURNAMES}][가-힣][{GIVEN}]) ?(?:씨|님|{ATTACHED}|(?<= ){TITLE})"
    rf"|(?P<given>[{GIVEN}]{{2}}) ?(?:씨|{ATTACHED}|(?<= ){TITLE})|(?P<any>[가-힣]{{1,2}}[^의은는한\W]) 씨"
    rf"|(?P<surname>[{SAFE_SURNAMES}])(?P<title>씨| ?{ATTACHED}| {TITLE}))"
    rf"{PARTICLE}"
)
NAMED = re.compile(
    "(?<![가-힣])(?P<name>[가-힣]{2,6}?)(?:이)?라는 (?:친구|분|애|동네|마을|회사|가게|카페|식당|"
    f"책|영화|노래|드라마|소설|밴드|선배|후배){PARTICLE}"
)
NOT_NAMED = (
    "아저 아가 마음 우리 저희 선수 기자 동기 영주 주연 주인 용사 기사 하나 미국 영국 태국 자기 우선 동생 정말 진짜 "
    "지금은 오늘은 요즘은 나중은 당시 이상한 유명한 조용한 성실한 진지한 신기한 여기 거기 저기 어디 누구 이런 그런 "
    "저런 "
    "어떤 무슨 같은 다른 친한 아는 친구 사람 엄마 아빠 가족 주주 주민은 수영 미용 전임 신임 현재 이모 고모 숙모 의원 "
    "인기 여자 남자 성인 동아 해외 영어 수학 지도 담당 미술 한국 상주 주민 원래 이제 아이 어린 선배 후배"
)
NO_NAMES = frozenset(NOT_NAMED.split())
PLACED = re.compile(
    "(?<![가-힣])(?P<stem>[가-힣]{2,6}?)(?P<kind>대학교|고등학교|중학교|초등학교|여고"
    "|출판사|회사|병원|은행|서점|미술관|박물관|"
    "도서관|극장|시장(?=에서|에 )|공원|신문사|방송국|식당|카페|섬|동|역|구(?=에|의|로"
    "|까지)|시(?=에서|로|를|까지|부터))" + PARTICLE
)
COMMON_STEMS = re.compile(
    ".*(?:행|활|운|이|노|감|자|충|변|작|공|아|협|소|진|출|부|가|연|냉|난|발|선|율|약|격|요"
    "|태|거|수|파)동|.*(?:지|무|통|번|병|영|배|악|현|퇴|면|의|직|교|방|검|용|노|징|단|아"
    "|대)역|.*(?:비|충|철|차|수|권|승|착|간이|출발|다음|시발|내|첫)역|.{2,}(?:주|구)역"
    "|.*(?:친|연|축|야|농|배|탁|당|가|도|기|입|출|지|요|욕|누|전|인|식|영|문|호|항|더라|다"
    "|하|거든|열|역|정)구|.*(?:도|택|전|접|표|다|역|혹|잠|당|실|반드|즉|입|무|제|동|하|주"
    "|계|가|오|드|으|몇|일|임|각|래|록|완료|소재|필요|사용|출근|퇴근|비상)시"
    "|.{2,}(?:이 )?같은.*|(?:자동차|주식|무역|제약|보험|광고|게임|외국|중소|건설|전자|운송"
    "|택배|영화|음반|여행|유통|식품|화장품|컨설팅|벤처|대형|소형|독립|지방|국립|공립|사립|여자|남자"
    "|종합|대학|개인|동네|동물|정신|어린이|한방|치과|산부인과|요양|시립|도립|군립|국공립|우리|다니던"
    "|작은|학교|마을|전통|벼룩|중앙|시골|인문|제조|투자|상업|외국계|정보|가요|증권|서울시|직할시|광역시"
    "|옥상|체크|실업|공업|상업|예술|과학|외국어|노동|주식|주택|부동산|취업|구내|학생|직원|교내|분식"
    "|소극|야외|국내|해외|세계|전세계|중고|헌책|동대문헌책|대안|특수|모래|보물|바위|무인|농산물|수산물"
    "|새벽|야|어|재래|저축|시중|협력|하청|계열|모|전|새|옛|첫|근린|놀이|테마|생태|체육|산악|해상"
    "|국가|북|키즈|무인|브런치|애견|만화|골목)(?:대학교|고등학교|중학교|초등학교|여고|출판사|회사|병원"
    "|은행|서점|미술관|박물관|도서관|극장|시장|공원|신문사|방송국|식당|카페|섬)"
)
"""Words that end as places and organisations do and are none, or no particular one."""
ROMAN = re.compile("[IVXivx]+")
LATIN_IN_HANGUL = re.compile(
    r"(?<![\w.@/'’-])(?P<word>[A-Za-zÀ-ɏ][A-Za-zÀ-ɏ&.+#'’-]{0,40}[A-Za-zÀ-ɏ+#]|[A-Z])(?!-?[^\W가-힣])(?P<glued>[가-힣])?"
)


def plain_word(word: str) -> str:
    """A Latin word casefolded, without its possessive or contracted ending."""
    return re.sub(r"['’](?:s|d|ll|m|re|ve)$", "", word.casefold().strip("'’&-"))


def capitalised(text: str) -> Iterator[Candidate]:
    """Capitalised words that do not begin a sentence, and those that do where another one follows."""
    words = list(WORD.finditer(text))
    for match, follower in zip(words, [*words[1:], None], strict=False):
        word, plain = match[0], plain_word(match[0])
        if not word[0].isupper() or text[match.end() : match.end() + 1].isdigit() or plain in COMMON_WORDS:
            continue
        before = text[max(0, match.start() - 12) : match.start()]
        begins = STARTS_SENTENCE.search(before) if match.start() > len(before) or before.strip() else True
        if begins and not ABBREVIATED.search(before):
            leads = follower and text[match.end() : follower.start()] == " " and follower[0][0].isupper()
            if not follower or not leads or plain_word(follower[0]) in COMMON_WORDS:
                continue
            if plain in OPENERS or plain.endswith("ly"):
                continue
        if re.split("['’]", plain)[0] not in COMMON_WORDS:
            yield *match.span(), (plain,)


def codes(text: str) -> Iterator[Candidate]:
    """Letters with digits, such as a model's name."""
    for match in CODE.finditer(text):
        if any(c.isupper() for c in match[0]) and match[0].lower() not in COMMON_WORDS:
            yield *match.span(), (match[0],)


def latin_in_hangul(text: str) -> Iterator[Candidate]:
    """Latin words in a Korean text that are capitalised or have an ending of Korean."""
    for match in LATIN_IN_HANGUL.finditer(text):
        word = match["word"]
        is_common = len(word) == 1 or word.casefold() in COMMON_WORDS or ROMAN.fullmatch(word)
        if not is_common and (match["glued"] or any(c.isupper() for c in word)):
            yield *match.span("word"), (word,)


def hangul_names(text: str) -> Iterator[Candidate]:
    """Hangul words that what follows tells to be people, places or organisations."""
    for match in TITLED_NAME.finditer(text):
        group = next(g for g in ("full", "given", "any", "surname") if match[g])
        name = match[group]
        if name in NO_NAMES or "님" in name:
            continue
        if group == "surname":
            yield match.start(group), match.end("title"), (name + match["title"].strip().removesuffix("님"),)
        else:
            yield *match.span(group), (name, name[1:]) if group == "full" else (name,)
    for match in NAMED.finditer(text):
        if match["name"] not in NO_NAMES:
            yield *match.span("name"), (match["name"],)
    for match in PLACED.finditer(text):
        if not COMMON_STEMS.fullmatch(match["stem"] + match["kind"]):
            yield match.start("stem"), match.end("kind"), (match["stem"],)
