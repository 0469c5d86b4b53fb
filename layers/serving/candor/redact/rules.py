"""Find entities by the words beside them, and keys by their prefixes.

Each rule has context words and a pattern. A rule is tried only where one of its words occurs, and each pattern is
possessive or bounded, so that time is linear in the text.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from candor.redact import checks
from candor.redact.patterns import Match, any_word, compiled, group_by_first_letter


class Rule(NamedTuple):
    """A context rule: trigger words, then a pattern whose group 1 is the entity if `validator` accepts it."""

    entity_type: str
    """Type of the entities, one of candor.redact.TYPES."""
    context: tuple[str, ...]
    """Trigger words in lower case. In the text they may have any case."""
    pattern: str
    """Pattern of what follows a trigger word. Group 1 is the entity."""
    validator: Callable[[str], bool] = lambda value: True
    """Accepts or rejects the entity's text."""
    min_digits: int = 0
    """Minimum digits in the text for the rule to be tried."""
    reach: int = 160
    """Maximum characters from the start of a trigger word to the end of the entity."""
    min_token: int = 0
    """Minimum visible characters in a row in the text for the rule to be tried."""
    word_offset: int = 0
    """If the pattern itself contains the trigger word, case included: maximum characters before the word, else 0."""

    def find(self, text: str, lowered: str, words: Iterable[str]) -> Iterator[Match]:
        """Yield entities of a normalised text.

        Args:
            text: The text.
            lowered: The text in lower case, of the same length.
            words: The rule's trigger words that occur in it.
        """
        searched = text if self.word_offset else lowered
        first, last = min(map(searched.find, words)), max(map(searched.rfind, words))
        begin, end = max(0, first - self.word_offset), min(len(text), last + self.reach)
        for match in self._regex.finditer(text, begin, end):
            if self.validator(match[1]):
                yield self.entity_type, *match.span(1)

    def matches_at(self, text: str, begin: int) -> bool:
        """Return True if a trigger word at this offset is followed by the pattern. The validator is not asked."""
        if self.word_offset:
            return self._regex.search(text, max(0, begin - self.word_offset), begin + self.reach) is not None
        return self._regex.match(text, begin) is not None

    @property
    def _regex(self) -> re.Pattern[str]:
        return compiled(self.pattern if self.word_offset else any_word(self.context) + self.pattern)


def _either(words: Iterable[str]) -> str:
    """Return a pattern that matches any of the words, case included, and tests each first letter once."""
    branches = (f"{first}(?:{'|'.join(rest)})" for first, rest in group_by_first_letter(words).items())
    return f"(?:{'|'.join(branches)})"


def _joined(first: str, second: str) -> tuple[str, ...]:
    """Return the spellings of a compound word: joined, or with a space, an underscore or a hyphen."""
    return tuple(first + gap + second for gap in ("", " ", "_", "-"))


def _is_alphanumeric(value: str) -> bool:
    """Return True if the value has both letters and digits."""
    return _has_digit(value) and any(c.isalpha() for c in value)


def _has_3_digits(value: str) -> bool:
    return sum(c.isdigit() for c in value) >= 3


def _is_driver_id(value: str) -> bool:
    return _has_3_digits(value) and 5 <= sum(c.isalnum() for c in value) <= 19


def _has_digit(value: str) -> bool:
    return any(c.isdigit() for c in value)  # "risk-taking" contains "sk-", but no digit follows


def _is_password(value: str) -> bool:
    return not value.isalpha() or (len(set(value)) > 3 and not value.islower())


def _is_username(value: str) -> bool:
    return not value.isalpha() or not value.islower() or len(value) > 12


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
# One attempt a number: from its first digit, or its last five; from others only where a ZIP code may end before them.
_HOUSE_DIGITS = "[0-9](?:(?<![0-9].)[0-9]{0,4}+|(?<=[0-9]{4}.)[0-9]{0,4}+|[0-9]{4})(?![0-9])"
_HOUSE = rf"{_HOUSE_DIGITS}[A-Za-z]?[ ](?:[NSEW]\.?[ ])?(?:(?:[A-Z][\w'.]{{0,20}}+|[0-9]{{1,3}}(?:st|nd|rd|th))[ ]){{1,4}}{_either(_STREETS)}\b\.?(?:[ ][NS]?[EW]\b|[ ][NS]\b)?"
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

# The most certain first.
RULES = (
    Rule("API_KEY", ("bearer", "authorization: basic"), r"[ :]{1,2}([A-Za-z0-9_.\-+/=]{16,2000})", _is_alphanumeric, min_token=16, reach=2100),
    Rule("API_KEY", (*_joined("api", "key"), *_joined("access", "key"), "secret", "token", "密钥"), rf"(?:[ _\-]?[Kk]ey)?+{_IS}[\"']?([A-Za-z0-9_\-]{{16,255}})", _is_alphanumeric, min_token=16, reach=400),
    Rule("PASSWORD", ("password", "passwd", "passcode", "pwd", "密码", "口令"), rf"{_SAYS}[\"']?([^\s\0\"'，。；]{{4,64}})", _is_password),
    Rule("PASSWORD", ("pin",), r"(?: code| number)?[ \t]{0,2}(?:is|:|=)[ \t]{0,2}(\d{4,8})(?!\d)", min_digits=4),
    Rule("PASSPORT_NUMBER", ("passport", "护照"), rf"{_IS}((?:[A-Za-z]{{1,2}}[ ]?)?[0-9][A-Za-z0-9]{{5,8}})(?![A-Za-z0-9])", _has_3_digits, min_digits=3),
    Rule("DRIVER_ID", ("driver", "drivers", "driving licence", "driving license", "驾驶证", "驾照"), rf"'?s?'?(?:[ ]?(?i:licen[cs]e|id|permit))?{_IS}({_NUMBERED}(?:[ \-]{_NUMBERED}){{0,4}}+)", _is_driver_id, min_digits=3),
    Rule("LICENSE_PLATE", tuple(_PROVINCES), rf"([{_PROVINCES}][A-HJ-NP-Z][ ·•\-]?[A-HJ-NP-Z0-9]{{4,5}}[A-HJ-NP-Z0-9挂学警港澳])", word_offset=1),
    Rule("LICENSE_PLATE", ("plate", "plates", "registration", "reg no", "car reg", "vehicle reg", "car tag", "vehicle tag", "license tag", "licence tag", "车牌", "牌照"), rf"{_IS}([A-Z0-9](?:[ \-]?[A-Z0-9]){{3,8}})(?![A-Za-z0-9])", _is_alphanumeric, min_digits=1),
    Rule("DATE_TIME", ("born", "birth", "birthday", "birthdate", "birth date", "dob", "d.o.b"), rf"\.?+(?i:[ ](?:is|was|on))?+[ ]?+[:=：]?+[ ]?+(?:on |the )?+((?i:{_DATE}))(?!\d)", min_digits=3),
    Rule("DATE_TIME", ("生日", "出生"), rf"(?:日期|于)?+[ ]?+[:=：是为]?+[ ]?+((?i:{_DATE}))(?!\d)", min_digits=3),
    Rule("DATE_TIME", ("生",), r"(\d{4}年\d{1,2}月\d{1,2}日)(?=出?生)", min_digits=6, word_offset=16),
    Rule("BANK_ROUTING", ("routing", "aba"), r"[^0-9\n]{0,24}+([0-9]{9})(?![0-9])", checks.routing, min_digits=9),
    Rule("BANK_ROUTING", ("sort code",), rf"{_IS}([0-9]{{2}}[ \-]?[0-9]{{2}}[ \-]?[0-9]{{2}})(?![0-9])", min_digits=6),
    Rule("BANK_ACCOUNT_NUMBER", ("account", "acct", "a/c", "银行卡", "账号", "账户", "帐号", "卡号"), rf"\.?{_IS}([0-9](?:[ \-_]?[0-9]){{5,19}})(?![0-9])", min_digits=6),
    Rule("ADDRESS", _STREETS, rf"({_HOUSE}(?:{_UNIT}?(?:,?{_TOWN})?{_ZIP}|{_UNIT}{_CITY}?))", min_digits=1, word_offset=110),
    Rule("ADDRESS", ("address", "live at", "lives at", "living at", "located at", "reside at", "resides at", "office is at", "home is at", "ship to", "shipped to", "deliver to", "delivered to", "mail to", "mailed to", "visit us at", "come to", "moved to", "住址", "地址"), rf"(?: is|是)?[: ：]{{1,2}}({_HOUSE}{_CITY}?)", min_digits=1),
    Rule("ADDRESS", ("po box", "p.o. box", "p.o.box", "p. o. box"), rf"[ ]([0-9]{{1,6}}(?:{_CITY}?{_ZIP})?)", min_digits=1),
    Rule("NAME", ("my name", "my full name", "my real name"), rf"(?<=name)(?:'s| is)[ \n]((?:{_TITLE}[ ])?{_NAMED})"),
    Rule("NAME", ("name:", "i am called", "please call me", "signed", "regards", "sincerely"), rf"(?<![A-Z]:),?[ \n]((?:{_TITLE}[ ])?{_NAMED})"),
    Rule("NAME", ("dear", "attn", "contact", "patient", "customer", "ask for", "speak to"), rf":?[ ]({_TITLE}[ ]{_NAMED})"),
    Rule("NAME", ("我叫", "我的名字是", "我的名字叫", "姓名:", "姓名：", "姓名 ", "名字:", "名字：", "名字是", "名字叫"), rf"[ ]?([{_SURNAMES}][\u4e00-\u9fff]{{1,2}})"),
    Rule("USERNAME", (*_USER, "handle", "account name", "wechat", "skype", "telegram", "instagram", "snapchat", "discord", "微信", "qq"), rf"(?: ?(?:id|ID)|号)?{_SAYS}{_NICK}", _is_username),
    Rule("USERNAME", _USER, rf"[ \t]{{0,2}}[:=：][ \t]{{0,2}}{_NICK}"),
)  # fmt: skip


class KeyFormat(NamedTuple):
    """A format of keys that is recognised by its prefix."""

    entity_type: str
    """Type of the entities, one of candor.redact.TYPES."""
    prefixes: tuple[str, ...]
    """Literal prefixes, case included."""
    rest: str
    """Pattern of what follows a prefix."""
    validator: Callable[[str], bool] = lambda value: True
    """Accepts or rejects the whole key."""
    required: str = ""
    """A character in all prefixes. Without it in the text, no prefix is searched."""

    def find(self, text: str) -> Iterator[Match]:
        """Yield keys of this format in a normalised text."""
        for prefix in self.prefixes if self.required in text else ():
            if prefix in text:
                for match in compiled(re.escape(prefix) + self.rest).finditer(text):
                    if self.validator(match[0]):
                        yield self.entity_type, *match.span()


MIN_KEY_LENGTH = 19
"""Minimum characters of a key of any format below, except private keys ("-----BEGIN")."""
_TAIL = r"[A-Za-z0-9_.\-]{16,255}"
KEY_FORMATS = (
    KeyFormat("API_KEY", ("-----BEGIN ",), r"[A-Z ]{0,20}PRIVATE KEY-----[A-Za-z0-9+/=\s]*+(?:-----END [A-Z ]{0,20}PRIVATE KEY-----)?"),
    KeyFormat("API_KEY", ("eyJ",), r"[A-Za-z0-9_\-]{8,2000}+(?:\.[A-Za-z0-9_\-]{8,4000}+(?:\.[A-Za-z0-9_\-]{0,2000}+)?)?", lambda value: "." in value),
    KeyFormat("AWS_ACCESS_KEY", ("AKIA", "ASIA", "AROA", "AIDA", "AGPA", "ANPA", "ANVA"), "(?:[A-Z2-7]{16}|(?=[A-Z]*[0-9])[A-Z0-9]{16})"),
    KeyFormat("API_KEY", ("AIza", "SG.", "ya29."), _TAIL),
    KeyFormat("API_KEY", ("sk-", "glpat-", "GOCSPX-"), _TAIL, _has_digit, required="-"),
    KeyFormat("API_KEY", ("xox",), rf"[abeoprs]-{_TAIL}", required="-"),
    KeyFormat("API_KEY", ("sk_", "pk_", "rk_"), rf"(?:live|test)_{_TAIL}", required="_"),
    KeyFormat("API_KEY", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "npm_", "hf_"), _TAIL, required="_"),
)  # fmt: skip
KEY_PREFIXES = tuple(prefix for key_format in KEY_FORMATS for prefix in key_format.prefixes)
"""Prefixes of all key formats."""


_AWS_SECRET = r"[A-Za-z0-9/+](?<![A-Za-z0-9/+].)[A-Za-z0-9/+]{39,}+(?!=)"
_AWS_CONTEXT = r"(?:secret|aws)[^\n]{0,40}\Z"


def aws_secrets(text: str) -> Iterator[Match]:
    """Yield AWS secret keys: 40 characters without a prefix, shortly after "secret" or "aws" on the same line."""
    for match in compiled(_AWS_SECRET).finditer(text):
        begin, end = match.span()
        if (
            end - begin == 40
            and _is_alphanumeric(match[0])
            and compiled(_AWS_CONTEXT).search(text[max(0, begin - 46) : begin].lower())
        ):
            yield "AWS_SECRET_KEY", begin, end


_HOUSE_NUMBER = r"(?:路|街|大道|巷|胡同|弄|里)[ ]?[0-9]{1,5}[ ]?号(?:院|楼)?(?:[ ]?[0-9]{1,4}[ ]?(?:号楼|栋|幢|座|单元|室|层|楼)){0,4}"
_STREET_BACKWARDS = "[\u4e00-\u9fff]{1,21}"


def chinese_addresses(text: str) -> Iterator[Match]:
    """Yield Chinese addresses, from the name of the street to the number of the house or the flat."""
    match_name = compiled(_STREET_BACKWARDS).match
    for match in compiled(_HOUSE_NUMBER).finditer(text):
        begin, end = match.span()
        if name := match_name(text[max(0, begin - 21) : begin][::-1]):
            yield "ADDRESS", begin - name.end(), end
