"""Small talk: greetings and thanks are conversation, not questions to look up; so is what is asked about the bot.

Only a text that is nothing else counts: a question about the person must never be taken for small talk.
"""

import re
from typing import Literal

Kind = Literal["greeting", "thanks", "farewell", "laughter", "apology", "about_bot", "who"]
"""`who` asks who the person is, which they may have been asked on record as well."""

MAX_LENGTH = 80
"""Characters; a longer text says something."""
LAUGHTER = re.compile(
    "(?>[ㅋㅎ]|ㅋㄷ|하하|헤헤|히히|호호|푸하|하|크크|큭큭|키키|l+o+l|lmf?ao|rofl|a?haha|ha|h(?![a-z])|hehe|he|xd|[😀-😆😹😸🤣])++"
)
VOCATIVE = (
    r"(?: (?:선생님|쌤|형|누나|언니|오빠|여러분|다들|[가-힣]{2,5}[님씨]|there|everyone|everybody|all|guys"
    r"|folks|man|mate|buddy|friend|my friend|bot|sir|again|doctor|doc)(?= |$))?"
)
FILLERS = re.compile("(?:네+|넵|예|아|오|와|앗|oh|ah|ok|okay|great|cool|lol|haha)(?= |$)")
WORDS: list[tuple[Kind, str]] = [
    (
        "greeting",
        "안녕(?:들? ?하(?:세[요여용]|십니까|신가요|심까))?[오옹]*|안뇽(?:하세요)?|안냐세요|하이(?:루|요"
        "|하이)?|헬로우?|할로|(?:ㅎㅇ)+|(?:방가)+"
        "|반가워요?|반갑습니다|(?:만나서|만나 ?뵙게 ?되어) ?반가(?:워요|웠어요)|만나서 ?반갑습니다"
        "|처음 ?뵙겠습니다|오랜만(?:이에요|입니다|이네요)"
        "|좋은 ?(?:아침|저녁|오후)(?:이에요|입니다|이네요)?|굿 ?모닝|여보세요|새해 ?복 ?많이 ?받으세요|hi+"
        "|hello+|helo|hey+|heya|hiya|howdy|yo|sup"
        "|was+up|what'?s up|greetings|good (?:morning|afternoon|evening|day)|morning|(?:nice|good|great"
        "|pleased|lovely) to meet you"
        "|long time no see|happy new year|merry christmas|잘 ?(?:지내(?:요|세요|시죠|셨어요|셨나요|니|냐)?|지냈어요?)"
        "|how are you(?: doing)?(?: today)?|how's it going|how do you do",
    ),
    (
        "apology",
        "(?:정말|진짜|너무)? ?(?:미안(?:해|해요|합니다)?|죄송(?:해요|합니다)?|ㅈㅅ|쏘리)"
        "|(?:i'?m |i am )?(?:so |very |really )?sorry"
        "|my apologies|my bad",
    ),
    (
        "thanks",
        "(?:(?:정말|진짜|너무|대단히|매우|항상|늘|답변|대답|답장|좋은 ?말씀|친절한 ?(?:답변|설명)|도와주셔서"
        "|알려주셔서|답해주셔서|대답해주셔서) ?){0,3}"
        "(?:감사(?:합니다|해[요용여]|드려요|드립니다|요)?|고마워[요용]?|고맙습니다|땡큐|쌩유|(?:ㄱㅅ)+|ㄳ)"
        "|many thanks|th(?:an)?x|ty(?:sm|vm)?|cheers|(?:thanks|thank (?:you|u))(?: (?:so much|very much|a lot"
        "|a million|again))?"
        "(?: for (?:the|your|all your) (?:answer|answers|reply|help|time|kind words))?|much appreciated"
        "|i appreciate it|사랑해요?|사랑합니다|응원(?:해요?|합니다|할게요)|[파화]이팅"
        "|(?:저 )?(?:완전 )?팬(?:이에요|입니다|이야)"
        "|i love you|love you|i'm a (?:big |huge )?fan",
    ),
    (
        "farewell",
        "안녕히 ?(?:계세요|가세요|주무세요)|잘 ?(?:자요?|가요?|있어요?)|굿 ?(?:나잇|밤|바이)|(?:바이)+"
        "|(?:빠이)+|빠빠이|(?:ㅂㅇ)+|ㅂㅂ|ㅂ2|ㅃ2|ㅅㄱ"
        "|수고하세요|(?:다음에|나중에|내일|또) ?(?:봐요?|뵐게요|올게요|만나요)|(?:이만 ?)?갈게요|푹 ?쉬세요"
        "|좋은 ?(?:하루|밤|주말) ?(?:되세요|보내세요)"
        "|(?:good ?|bye ?)?bye|cya|see (?:you|ya|u)(?: (?:later|soon|tomorrow|around|next time))?|ttyl|g2g"
        "|gtg|good ?night|gn|night night|farewell"
        "|take care|have a (?:nice|good|great|lovely) (?:day|evening|weekend|night|one)|sweet dreams"
        "|sleep well|talk to you later",
    ),
]
PHRASES = [(kind, re.compile(f"(?:{words}){VOCATIVE}(?= |$)")) for kind, words in WORDS]
ASKED = re.compile("안녕|안뇽|하이|헬로|여보세요|잘 ?지|hi|hello|hey|yo|sup|was|what|how")
"""Greetings that are often typed with a question mark; "잘 자요?" asks about the person."""
NAMED = re.compile(
    r"(?i:hi|hello|hey|thanks|thank you|bye|good (?:morning|evening|night)),? (?!Kitty|Jude|Dolly)[A-Z][a-z]+[.!]*"
)

AI = "(?:ai|a i|인공지능|에이아이|챗?봇|로봇|(?:chat|챗) ?gpt|gpt|챗?지피티)"
IS = (
    "(?:야|이야|예요|에요|이에요|이예요|에여|예여|세요|이세요|세여|인가요?|임|이죠|죠|지|이지|냐|이냐"
    "|입니까|이십니까|이신가요|신가요|(?:이|가)? ?(?:맞아요?|맞죠|맞나요|맞으세요|아니에요|아니야"
    "|아니죠))"
)
YOU = "(?:(?:너는?|넌|님은?|당신은?|그쪽은?|이거|이건|이 ?챗봇은?|혹시|설마|진짜로?|정말로?|근데|그냥|지금) ?){0,4}"
MADE = "(?:만들었(?:어요?|나요|죠|습니까|음)|만든 ?(?:거예요|거야|건가요)|개발했(?:어요?|나요))"
THIS = "(?:너를?|널|당신을?|(?:이 )?(?:챗봇|봇)[을은]?|이 ai[를는]?)"
BOT = (
    "(?:an? )?(?:real )?(?:ai|bot|robot|chat ?bot|machine|computer|human(?: being)?|person|chat ?gpt|gpt"
    "|llm|language model)"
)
ABOUT_BOT = re.compile(
    rf"{YOU}{AI} ?{IS}|{YOU}사람 ?{IS}(?: {AI} ?{IS})?|{YOU}본인 ?{IS}|{YOU}본인이 ?(?:직접 ?)?(?:답|대답"
    rf"|답장)하(?:시는|는) ?(?:거예요|건가요|거야|거죠|거 ?맞아요)"
    rf"|{AI}(?:이|가) ?(?:답|대답)하(?:는 ?(?:거예요|건가요|거야|거죠)|나요)|누가 ?{THIS} ?{MADE}"
    rf"|{THIS} ?누가 ?{MADE}|누가 ?{MADE} {THIS}|(?:너|넌) ?뭐야"
    rf"|(?:so |wait |but )?(?:are you|is this|am i (?:really )?(?:talking|speaking|chatting) (?:to"
    rf"|with)) (?:really |actually |just )?{BOT}(?: or (?:not|{BOT}))?"
    "|(?:so |wait |but )?(?:is (?:this|it|that)|am i talking to) (?:really "
    "|actually )?(?:the real )?you(?: really)?|are you (?:really )?real"
    "|who (?:made|created|built|programmed|developed) (?:you|this (?:chat ?)?bot|this ai)"
    "|who trained this (?:chat ?)?bot|how were you made|what are you"
)


WHO = re.compile(
    "(?:(?:너는?|넌|당신은?|그쪽은?|혹시|근데) ?){0,3}"
    "(?:누구(?:세요|시죠|십니까|신가요|인가요|예요|에요|야|니|냐|임)"
    "|(?:이름이?|성함이?) ?(?:뭐|무엇|어떻게)? ?(?:예요|에요|이에요|야|니|죠|인가요|입니까|임|되세요|되시나요)"
    "|(?:간단한? ?)?자기 ?소개(?: ?(?:좀|한번))?"
    "(?: ?(?:해 ?(?:줘요?|주세요|주실래요)|부탁(?:해요|드려요|드립니다|합니다)))?"
    "|(?:어떤|뭐 ?하는|뭐하는) ?(?:사람|분)(?:이에요|이예요|이세요|이야|인가요|이신가요|입니까))"
    "|who (?:are|r) (?:you|u)|what(?:'s| is) (?:your|ur) name"
    "|(?:please )?(?:introduce|tell me about) yourself"
)


def kind_of(text: str) -> Kind | None:
    """What kind of small talk a text is, None when any of it is something else."""
    if len(text) > MAX_LENGTH:
        return None
    bare = " ".join(re.sub(r"[^\w\s?'😀-😆😹😸🤣]", " ", text.lower().replace("’", "'")).split())
    if LAUGHTER.fullmatch(laugh := bare.replace(" ", "").rstrip("?")) and laugh not in ("하", "h", "ha", "he"):
        return "laughter"
    if WHO.fullmatch(bare.rstrip(" ?")):
        return "who"
    spoken = re.sub("(?<![ㄱ-ㅎ])[ㅋㅎㅠㅜ]+(?![ㄱ-ㅎ])|[😀-😆😹😸🤣]", " ", bare)
    return _phrases(" ".join(spoken.replace("?", " ? ").split())) or ("greeting" if _is_named_greeting(text) else None)


def _phrases(text: str) -> Kind | None:
    """The kind of the last phrase of a text that holds nothing but phrases of small talk."""
    kind: Kind | None = None
    while text:
        if ABOUT_BOT.fullmatch(text.rstrip(" ?")):
            return "about_bot"
        found = [(match.end(), each) for each, pattern in PHRASES if (match := pattern.match(text))]
        end, found_kind = max(found, default=(0, None))
        if found_kind is None:
            filler = FILLERS.match(text)
            if not filler:
                return None
            end = filler.end()
        rest = text[end:].lstrip()
        if rest.startswith("?") and not (found_kind == "greeting" and ASKED.match(text)):
            return None
        text, kind = rest.lstrip("? "), found_kind or kind
    return kind


def _is_named_greeting(text: str) -> bool:
    return text.lower().startswith(("hi", "hello", "hey", "good m", "good e")) and bool(NAMED.fullmatch(text.strip()))
