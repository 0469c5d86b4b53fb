"""What is found by the words beside it: each rule has its words, and the pattern of what it finds.

A rule is tried only where one of its words stands, and each pattern is possessive or bounded, so that the time is
linear in the text.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from candor.redact import checks
from candor.redact.patterns import Find, any_of, by_first, compiled


class Rule(NamedTuple):
    """A kind, the words that announce it, and what comes right after one: the pattern's group 1, if `holds` says so."""

    kind: str
    words: tuple[str, ...]
    """In lower case; in the text in any."""
    pattern: str
    holds: Callable[[str], bool] = lambda found: True
    digits: int = 0
    """That the text has to have, at least."""
    reach: int = 160
    """Characters from the start of a word to the end of what it announces, at most."""
    token: int = 0
    """Visible characters in a row that the text has to have, at least."""
    own: int = 0
    """Where the pattern has the word in it, spelt so: at most so many characters from its start."""

    def find(self, text: str, low: str, words: Iterable[str]) -> Iterator[Find]:
        """`low`: the text in lower case, of the same length; `words`: those of the rule that stand in it."""
        read = text if self.own else low
        first, last = min(map(read.find, words)), max(map(read.rfind, words))
        for match in self._regex.finditer(text, max(0, first - self.own), min(len(text), last + self.reach)):
            if self.holds(match[1]):
                yield self.kind, *match.span(1)

    def stands(self, text: str, begin: int) -> bool:
        """Whether one of the words that starts there is one that announces something, whatever that is."""
        if self.own:
            return self._regex.search(text, max(0, begin - self.own), begin + self.reach) is not None
        return self._regex.match(text, begin) is not None

    @property
    def _regex(self) -> re.Pattern[str]:
        return compiled(self.pattern if self.own else any_of(self.words) + self.pattern)


def _either(words: Iterable[str]) -> str:
    """A pattern of any of these words as they are, that looks at a first letter once."""
    branches = (f"{first}(?:{'|'.join(rest)})" for first, rest in by_first(words).items())
    return f"(?:{'|'.join(branches)})"


def _joined(first: str, second: str) -> tuple[str, ...]:
    """Two words, together or with a space or sign between."""
    return tuple(first + gap + second for gap in ("", " ", "_", "-"))


def _mixed(found: str) -> bool:
    """Whether a token is more than a word: of letters and digits."""
    return _has_digit(found) and any(c.isalpha() for c in found)


def _some_digits(found: str) -> bool:
    return sum(c.isdigit() for c in found) >= 3


def _driver(found: str) -> bool:
    return _some_digits(found) and 5 <= sum(c.isalnum() for c in found) <= 19


def _has_digit(found: str) -> bool:
    return any(c.isdigit() for c in found)  # "risk-taking" and what follows it has none


def _password(found: str) -> bool:
    return not found.isalpha() or (len(set(found)) > 3 and not found.islower())


def _username(found: str) -> bool:
    return not found.isalpha() or not found.islower() or len(found) > 12


_IS = (
    r"(?:[ \t]{0,2}(?:(?:[Nn]umber|[Nn]o\.?|num|nr\.?|id|ID|code)(?![A-Za-z])|号码|[#号])){0,2}+[ \t]{0,2}+"
    r"(?:(?:is|was|are)(?![A-Za-z])|[:=#：]|为|是|号)?+[ \t]{0,2}+(?:now |still )?+[#:]?+[ \t]{0,2}+"
)
_SAYS = r"[ \t]{0,2}+(?:is(?: now)?|was|[:=：]|为|是)[ \t]{0,2}+"
_NUMBERED = r"(?=[A-Za-z]{0,7}[0-9])[A-Za-z0-9]{1,18}+"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_DATE = (
    r"(?:\d{1,4}[ ]?[./\-年][ ]?\d{1,2}[ ]?[./\-月][ ]?\d{1,4}日?"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?(?: of)?[ \-]{_MONTH},?[ \-]\d{{2,4}}|{_MONTH}[ \-]\d{{1,2}}(?:st|nd|rd|th)?,?[ \-]\d{{2,4}})"
)
_STREETS = (
    "Street", "St", "Avenue", "Ave", "Road", "Rd", "Boulevard", "Blvd", "Lane", "Ln", "Drive", "Dr", "Court", "Ct", "Place", "Pl", "Square",
    "Sq", "Way", "Terrace", "Ter", "Parkway", "Pkwy", "Highway", "Hwy", "Close", "Crescent", "Gardens", "Grove", "Mews", "Row",
)  # fmt: skip
_HOUSE = rf"[0-9]{{1,5}}[A-Za-z]?[ ](?:[NSEW]\.?[ ])?(?:(?:[A-Z][\w'.]{{0,20}}+|[0-9]{{1,3}}(?:st|nd|rd|th))[ ]){{1,4}}{_either(_STREETS)}\b\.?(?:[ ][NS]?[EW]\b|[ ][NS]\b)?"
_UNIT = r"(?:,?[ ](?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|\#)\.?[ ]?\#?\w{1,6})"
_TOWN = r"(?:[ ][A-Z][A-Za-z'.]{1,20}(?:[ ][A-Z][A-Za-z'.]{1,20}){0,2})"
_CITY = rf"(?:,{_TOWN})"
_ZIP = r"(?:,?[ ](?:[A-Z]{2}[ ]\d{5}(?:-\d{4})?|\d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z0-9]?[ ]\d[A-Z]{2}))"
_CAPITAL, _LETTER = (
    r"[A-Z\u00c0-\u00d6\u00d8-\u00de\u0100-\u017f]",
    r"[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u017f'’]",
)
_NAMED = rf"{_CAPITAL}(?![A-Z]){_LETTER}{{1,20}}(?:[ ](?:[A-Z]\.|{_CAPITAL}{_LETTER}{{1,20}}|de|van|von|der|la)){{0,3}}"
_TITLE = r"(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Sir|Madam)\.?"
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚卢傅钟姜崔谭廖"
_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_USER = ("user name", "username", "login", "screen name", "user id", "用户名")
_NICK = r"(@?[A-Za-z0-9_][A-Za-z0-9_.\-]{2,39})"

# In order of sureness.
RULES = (
    Rule("API_KEY", ("bearer", "authorization: basic"), r"[ :]{1,2}([A-Za-z0-9_.\-+/=]{16,2000})", _mixed, token=16, reach=2100),
    Rule("API_KEY", (*_joined("api", "key"), *_joined("access", "key"), "secret", "token", "密钥"), rf"(?:[ _\-]?[Kk]ey)?+{_IS}[\"']?([A-Za-z0-9_\-]{{16,255}})", _mixed, token=16, reach=400),
    Rule("PASSWORD", ("password", "passwd", "passcode", "pwd", "密码", "口令"), rf"{_SAYS}[\"']?([^\s\0\"'，。；]{{4,64}})", _password),
    Rule("PASSWORD", ("pin",), r"(?: code| number)?[ \t]{0,2}(?:is|:|=)[ \t]{0,2}(\d{4,8})(?!\d)", digits=4),
    Rule("PASSPORT_NUMBER", ("passport", "护照"), rf"{_IS}((?:[A-Za-z]{{1,2}}[ ]?)?[0-9][A-Za-z0-9]{{5,8}})(?![A-Za-z0-9])", _some_digits, digits=3),
    Rule("DRIVER_ID", ("driver", "drivers", "driving licence", "driving license", "驾驶证", "驾照"), rf"'?s?'?(?:[ ]?(?i:licen[cs]e|id|permit))?{_IS}({_NUMBERED}(?:[ \-]{_NUMBERED}){{0,4}}+)", _driver, digits=3),
    Rule("LICENSE_PLATE", tuple(_PROVINCES), rf"([{_PROVINCES}][A-HJ-NP-Z][ ·•\-]?[A-HJ-NP-Z0-9]{{4,5}}[A-HJ-NP-Z0-9挂学警港澳])", own=1),
    Rule("LICENSE_PLATE", ("plate", "plates", "registration", "reg no", "car reg", "vehicle reg", "car tag", "vehicle tag", "license tag", "licence tag", "车牌", "牌照"), rf"{_IS}([A-Z0-9](?:[ \-]?[A-Z0-9]){{3,8}})(?![A-Za-z0-9])", _mixed, digits=1),
    Rule("DATE_TIME", ("born", "birth", "birthday", "birthdate", "birth date", "dob", "d.o.b"), rf"\.?+(?i:[ ](?:is|was|on))?+[ ]?+[:=：]?+[ ]?+(?:on |the )?+((?i:{_DATE}))(?!\d)", digits=3),
    Rule("DATE_TIME", ("生日", "出生"), rf"(?:日期|于)?+[ ]?+[:=：是为]?+[ ]?+((?i:{_DATE}))(?!\d)", digits=3),
    Rule("DATE_TIME", ("生",), r"(\d{4}年\d{1,2}月\d{1,2}日)(?=出?生)", digits=6, own=16),
    Rule("BANK_ROUTING", ("routing", "aba"), r"[^0-9\n]{0,24}+([0-9]{9})(?![0-9])", checks.routing, digits=9),
    Rule("BANK_ROUTING", ("sort code",), rf"{_IS}([0-9]{{2}}[ \-]?[0-9]{{2}}[ \-]?[0-9]{{2}})(?![0-9])", digits=6),
    Rule("BANK_ACCOUNT_NUMBER", ("account", "acct", "a/c", "银行卡", "账号", "账户", "帐号", "卡号"), rf"\.?{_IS}([0-9](?:[ \-_]?[0-9]){{5,19}})(?![0-9])", digits=6),
    Rule("ADDRESS", _STREETS, rf"({_HOUSE}(?:{_UNIT}?(?:,?{_TOWN})?{_ZIP}|{_UNIT}{_CITY}?))", digits=1, own=110),
    Rule("ADDRESS", ("address", "live at", "lives at", "living at", "located at", "reside at", "resides at", "office is at", "home is at", "ship to", "shipped to", "deliver to", "delivered to", "mail to", "mailed to", "visit us at", "come to", "moved to", "住址", "地址"), rf"(?: is|是)?[: ：]{{1,2}}({_HOUSE}{_CITY}?)", digits=1),
    Rule("ADDRESS", ("po box", "p.o. box", "p.o.box", "p. o. box"), rf"[ ]([0-9]{{1,6}}(?:{_CITY}?{_ZIP})?)", digits=1),
    Rule("NAME", ("my name", "my full name", "my real name"), rf"(?<=name)(?:'s| is)[ \n]((?:{_TITLE}[ ])?{_NAMED})"),
    Rule("NAME", ("name:", "i am called", "please call me", "signed", "regards", "sincerely"), rf"(?<![A-Z]:),?[ \n]((?:{_TITLE}[ ])?{_NAMED})"),
    Rule("NAME", ("dear", "attn", "contact", "patient", "customer", "ask for", "speak to"), rf":?[ ]({_TITLE}[ ]{_NAMED})"),
    Rule("NAME", ("我叫", "我的名字是", "我的名字叫", "姓名:", "姓名：", "姓名 ", "名字:", "名字：", "名字是", "名字叫"), rf"[ ]?([{_SURNAMES}][\u4e00-\u9fff]{{1,2}})"),
    Rule("USERNAME", (*_USER, "handle", "account name", "wechat", "skype", "telegram", "instagram", "snapchat", "discord", "微信", "qq"), rf"(?: ?(?:id|ID)|号)?{_SAYS}{_NICK}", _username),
    Rule("USERNAME", _USER, rf"[ \t]{{0,2}}[:=：][ \t]{{0,2}}{_NICK}"),
)  # fmt: skip


class Literal(NamedTuple):
    """A key that tells itself by what it starts with, letter by letter."""

    kind: str
    starts: tuple[str, ...]
    rest: str
    holds: Callable[[str], bool] = lambda found: True
    sign: str = ""
    """That all of them have in them, and that a text is quickly asked for."""

    def find(self, text: str) -> Iterator[Find]:
        for start in self.starts if self.sign in text else ():
            if start in text:
                for match in compiled(re.escape(start) + self.rest).finditer(text):
                    if self.holds(match[0]):
                        yield self.kind, *match.span()


SHORTEST = 19  # characters of any key below, but for the first
_TAIL = r"[A-Za-z0-9_.\-]{16,255}"
LITERALS = (
    Literal("API_KEY", ("-----BEGIN ",), r"[A-Z ]{0,20}PRIVATE KEY-----[A-Za-z0-9+/=\s]*+(?:-----END [A-Z ]{0,20}PRIVATE KEY-----)?"),
    Literal("API_KEY", ("eyJ",), r"[A-Za-z0-9_\-]{8,2000}+(?:\.[A-Za-z0-9_\-]{8,4000}+(?:\.[A-Za-z0-9_\-]{0,2000}+)?)?", lambda found: "." in found),
    Literal("AWS_ACCESS_KEY", ("AKIA", "ASIA", "AROA", "AIDA", "AGPA", "ANPA", "ANVA"), "(?:[A-Z2-7]{16}|(?=[A-Z]*[0-9])[A-Z0-9]{16})"),
    Literal("API_KEY", ("AIza", "SG.", "ya29."), _TAIL),
    Literal("API_KEY", ("sk-", "glpat-", "GOCSPX-"), _TAIL, _has_digit, sign="-"),
    Literal("API_KEY", ("xox",), rf"[abeoprs]-{_TAIL}", sign="-"),
    Literal("API_KEY", ("sk_", "pk_", "rk_"), rf"(?:live|test)_{_TAIL}", sign="_"),
    Literal("API_KEY", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "npm_", "hf_"), _TAIL, sign="_"),
)  # fmt: skip
STARTS = tuple(start for literal in LITERALS for start in literal.starts)


_FORTY = r"[A-Za-z0-9/+](?<![A-Za-z0-9/+].)[A-Za-z0-9/+]{39,}+(?!=)"
_OF_AWS = r"(?:secret|aws)[^\n]{0,40}\Z"


def aws_secrets(text: str) -> Iterator[Find]:
    """Forty characters that have nothing of their own, after a word that says what they are."""
    for match in compiled(_FORTY).finditer(text):
        begin, end = match.span()
        if (
            end - begin == 40
            and _mixed(match[0])
            and compiled(_OF_AWS).search(text[max(0, begin - 46) : begin].lower())
        ):
            yield "AWS_SECRET_KEY", begin, end


_HOUSE_NUMBER = r"(?:路|街|大道|巷|胡同|弄|里)[ ]?[0-9]{1,5}[ ]?号(?:院|楼)?(?:[ ]?[0-9]{1,4}[ ]?(?:号楼|栋|幢|座|单元|室|层|楼)){0,4}"
_STREET_BACKWARDS = "[\u4e00-\u9fff]{1,21}"


def chinese_addresses(text: str) -> Iterator[Find]:
    """From the street's name, which stands before its kind, to the number."""
    for match in compiled(_HOUSE_NUMBER).finditer(text):
        name = compiled(_STREET_BACKWARDS).match(text[max(0, match.start() - 21) : match.start()][::-1])
        if name:
            yield "ADDRESS", match.start() - len(name[0]), match.end()
