"""Where personal data is, in a text. Each kind has its rule; where two rules overlap, the surer one counts.

A rule reads normalised text, whose digits are 0 to 9. Numbers are not bounded by letters, so that letters glued to them
hide nothing. Every pattern is possessive or bounded, so that the time is linear in the text.
"""

import ipaddress
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from candor.redact import checks
from candor.redact.entities import Entity
from candor.redact.normalise import normalise

Span = tuple[int, int]
Find = tuple[str, int, int]
NEAR = 32  # characters before a find in which its context word stands
_GAP = r"(?:[ \t\r\n\x1e\x1f_()/\-]{1,3}+|\.)"
_RUN = re.compile(rf"[0-9]++(?:{_GAP}[0-9]++)*+")
_GROUP = re.compile(r"[0-9]+")
_LONGEST_GROUPS = 12  # of one find: an evasion may set digits apart
_DIGITS = 7  # fewest that say anything without a word beside them


def find(text: str) -> list[Entity]:
    """Entities in order, none overlapping another, as offsets of `text` in code points."""
    normal = normalise(text)
    hints = Hints.of(normal.text)
    if not hints:
        return []
    chosen = _chosen(_candidates(normal.text, hints))
    return [Entity(kind, *normal.span(begin, end)) for kind, begin, end in chosen]


def _chosen(candidates: Iterator[Find]) -> list[Find]:
    """Of candidates in order of sureness, those that no surer one overlaps; in order of place."""
    taken: list[Find] = []
    for each in candidates:
        place = bisect_left(taken, each[1], key=lambda other: other[1])
        free = place == len(taken) or each[2] <= taken[place][1]
        if free and (not place or taken[place - 1][2] <= each[1]):
            taken.insert(place, each)
    return taken


def _candidates(text: str, hints: "Hints") -> Iterator[Find]:
    """Surest first."""
    for rule in _RULES:
        for begin, end in hints.places.get(rule.near, ()):
            yield from rule.find(text, begin, end)
    if hints.at:
        yield from _emails(text)
    numbers = hints.digits >= _DIGITS or (hints.digits > 3 and _DOTTED.search(text))
    runs = [match.span() for match in _RUN.finditer(text)] if numbers else []
    yield from _addresses_of_machines(text, runs)
    yield from _numbers(text, runs)
    if hints.at:
        yield from (("USERNAME", *match.span()) for match in _HANDLE.finditer(text))


# Words: what is found by the word beside it is looked for only where there is such a word.

_CONTEXT = {
    "account": ("account", "acct", "a/c", "账号", "账户", "帐号", "银行卡", "卡号", "sort code", "iban"),
    "address": ("address", "live at", "lives at", "living at", "located at", "ship to", "deliver", "reside", "mail to",
                "home is", "visit us", "come to", "moved to", "地址", "号", "住"),
    "birth": ("born", "birth", "birthday", "birthdate", "dob", "d.o.b", "生日", "出生"),
    "driver": ("driver", "driving lic", "驾驶证", "驾照"),
    "key": ("akia", "asia", "aroa", "aida", "agpa", "anpa", "anva", "key", "token", "secret", "bearer", "sk_", "sk-", "pk_", "ghp_", "gho_", "ghs_", "ghu_", "github_pat",
            "glpat-", "xox", "aiza", "eyj", "npm_", "begin ", "密钥", "sg.", "rk_", "hf_"),
    "link": ("://", "www.", ".com/", ".org/", ".net/", ".uk/", ".de/", ".cn/", ".io/"),
    "name": ("my name", "name is", "name:", "i am called", "call me", "dear ", "我叫", "我是", "名字", "姓名", "contact", "attn", "patient",
             "customer", "signed", "regards", "sincerely", "ask for", "speak to"),
    "passport": ("passport", "护照"),
    "password": ("password", "passwd", "pwd", "passcode", "密码", "口令", "pin"),
    "plate": ("plate", "licence", "license", "registration", "reg no", "vehicle", "车牌", "牌照"),
    "province": tuple("京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"),
    "routing": ("routing", "aba"),
    "street": ("street", "st", "avenue", "ave", "road", "rd", "boulevard", "blvd", "lane", "ln", "drive", "dr", "court", "ct", "place",
               "pl", "square", "sq", "way", "terrace", "ter", "parkway", "pkwy", "highway", "hwy", "close", "crescent", "gardens",
               "grove", "mews", "row"),
    "user": ("user", "login", "handle", "screen name", "account name", "wechat", "skype", "telegram", "instagram", "twitter",
             "snapchat", "discord", "用户名", "微信", "qq"),
}  # fmt: skip


_WITHOUT_DIGITS = {"key", "link", "name", "password", "user"}
_OF_FIVE_DIGITS = {"account", "driver", "passport", "routing"}
_REACH = {"key": 4200, "link": 2100}  # characters after a word in which what it announces ends
_BEFORE = 48
_PATH = re.compile(r"\.(?:com|org|net|uk|de|cn|io)/")
_UNDERSCORED = ("sk_", "pk_", "rk_", "ghp_", "gho_", "ghu_", "ghs_", "github_pat_", "npm_", "hf_")
_ENDINGS = ("", "s", "d", "ed", "es", "ing", "name", "id", "ent", "al", "r")
# Words of plain text as they are looked up, each with what it may announce; and text as they are cut from it.
STARTERS: dict[bytes, set[tuple[str, str]]] = {}
for _name, _words in _CONTEXT.items():
    for _word in _words:
        if _word.isascii() and (_parts := re.findall("[a-z]+", _word)) and _name != "link":
            for _ending in _ENDINGS:
                STARTERS.setdefault((max(_parts, key=len) + _ending).encode(), set()).add((_name, _word))
# The words worth a look in a text with no digit, with some, and with five or more.
_LEVELS = tuple(
    frozenset(word for word, pairs in STARTERS.items() if {name for name, _ in pairs} - without)
    for without in (_CONTEXT.keys() - _WITHOUT_DIGITS, _OF_FIVE_DIGITS, set())
)
_EACH = {name: {(name, word) for word in words} for name, words in _CONTEXT.items()}
_WIDE = {pair for pairs in _EACH.values() for pair in pairs if not pair[1].isascii()}
_LETTERS = bytes(ord(chr(octet).lower()) if chr(octet).isalpha() else 32 for octet in range(128)) + b" " * 128
_NO_DIGITS = bytes(octet for octet in range(256) if octet not in b"0123456789")


class Hints(NamedTuple):
    """What there is in a text that a rule could go by, found without any of them: most texts have none."""

    digits: int
    at: bool
    places: dict[str, list[Span]]
    """The stretches that context words stand in, by what they announce."""

    def __bool__(self) -> bool:
        return self.digits >= _DIGITS or self.at or bool(self.places)

    @classmethod
    def of(cls, text: str) -> "Hints":
        octets = text.encode("ascii", "replace")
        digits = len(octets.translate(None, _NO_DIGITS))
        words = _announced(text, octets, digits)
        return cls(digits, "@" in text, _stretches(text, words) if words else {})


def _announced(text: str, octets: bytes, digits: int) -> set[tuple[str, str]]:
    """Context words that may be there, each with what it announces."""
    found: set[tuple[str, str]] = set()
    for token in _LEVELS[(digits > 0) + (digits >= 5)].intersection(octets.translate(_LETTERS).split()):
        found |= STARTERS[token]
    if not text.isascii():
        found |= _WIDE
    if keyed(text):
        found |= _EACH["key"]
    if "://" in text or "www." in text or "WWW." in text or ("/" in text and _PATH.search(text)):
        found |= _EACH["link"]
    without = _OF_FIVE_DIGITS if digits else _EACH.keys() - _WITHOUT_DIGITS
    return found if digits >= 5 else {pair for pair in found if pair[0] not in without}


def keyed(text: str) -> bool:
    """Whether a key may start somewhere, by the letters that its kind begins with."""
    if "AKIA" in text or "ASIA" in text or "eyJ" in text or "AIza" in text or "SG." in text:
        return True
    if "-" in text and ("sk-" in text or "glpat-" in text or "xox" in text):
        return True
    return "_" in text and any(prefix in text for prefix in _UNDERSCORED)


def _stretches(text: str, words: set[tuple[str, str]]) -> dict[str, list[Span]]:
    low = text.lower()
    low = low if len(low) == len(text) else text
    places: dict[str, list[int]] = {}
    for name, word in words:
        if word in low:
            places.setdefault(name, []).extend(_all(low, word))
    return {name: _merged(sorted(at), _REACH.get(name, 160), len(text)) for name, at in places.items()}


def _all(text: str, word: str) -> Iterator[int]:
    place = text.find(word)
    while place >= 0:
        yield place
        place = text.find(word, place + len(word))


def _merged(at: list[int], reach: int, length: int) -> list[Span]:
    spans: list[Span] = []
    for place in at:
        begin, end = max(0, place - _BEFORE), min(length, place + reach)
        if spans and begin <= spans[-1][1]:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((begin, end))
    return spans


_compiled = lru_cache(maxsize=None)(re.compile)  # when first needed: all of them would cost each cold start


class Rule(NamedTuple):
    """One pattern of one kind: its group 1, or all of it, if `holds` says so."""

    kind: str
    pattern: str
    near: str
    """What of _CONTEXT has to stand beside it."""
    holds: Callable[[str], bool] = lambda found: True

    def find(self, text: str, begin: int, end: int) -> Iterator[Find]:
        for match in _compiled(self.pattern).finditer(text, begin, end):
            span = match.span(1) if match.re.groups else match.span()
            if self.holds(text[slice(*span)]):
                yield self.kind, *span


def _compact(found: str) -> str:
    return "".join(letter for letter in found if letter.isalnum())


def _mixed(found: str) -> bool:
    """Whether a token is more than a word: of letters and digits, or long and of both cases."""
    return any(c.isdigit() for c in found) and any(c.isalpha() for c in found)


def _digits(found: str) -> bool:
    return sum(c.isdigit() for c in found) >= 3


_IS = r"(?:[ \t]{0,2}(?:number|no\.?|num|nr\.?|#|id|code|号码|号)){0,2}[ \t]{0,2}(?:is|was|are|[:=#：]|为|是|号)?[ \t]{0,2}(?:now |still )?[#:]?[ \t]{0,2}"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_DATE = (
    r"(?:\d{1,4}[ ]?[./\-年][ ]?\d{1,2}[ ]?[./\-月][ ]?\d{1,4}日?"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?(?: of)?[ \-]{_MONTH},?[ \-]\d{{2,4}}|{_MONTH}[ \-]\d{{1,2}}(?:st|nd|rd|th)?,?[ \-]\d{{2,4}})"
)
_STREET = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Square|Sq|Way|Terrace|Ter|"
    r"Parkway|Pkwy|Highway|Hwy|Close|Crescent|Gardens|Grove|Mews|Row)"
)
_HOUSE = rf"[0-9]{{1,5}}[A-Za-z]?[ ](?:[NSEW]\.?[ ])?(?:[A-Z0-9][\w'.]{{0,20}}[ ]){{1,4}}{_STREET}\b\.?"
_UNIT = r"(?:,?[ ](?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|\#)\.?[ ]?\#?\w{1,6})"
_CITY = r"(?:,[ ][A-Z][A-Za-z'.]{1,20}(?:[ ][A-Z][A-Za-z'.]{1,20}){0,2})"
_ZIP = r"(?:,?[ ](?:[A-Z]{2}[ ]\d{5}(?:-\d{4})?|\d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z0-9]?[ ]\d[A-Z]{2}))"
_NAMED = r"[A-Z][a-z'’]{1,20}(?:[ ](?:[A-Z]\.|[A-Z][a-zA-Z'’]{1,20}|de|van|von|der|la)){0,3}"
_TITLE = r"(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Sir|Madam)\.?"
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚卢傅钟姜崔谭廖"
_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"

_RULES = (
    Rule("URL", r"(?:[hH][tT][tT][pP][sS]?|[fF][tT][pP]|[sS][sS][hH]|[a-z]{2,12})://[^\s<>\"'，。；）]{3,2000}", "link"),
    Rule("URL", r"(?<![A-Za-z0-9.@])[wW]{3}\.[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63}){1,5}(?:/[^\s<>\"'，。；]{0,2000})?", "link"),
    Rule("URL", r"(?<![A-Za-z0-9.@/\-])(?:[a-z0-9\-]{1,63}\.){1,4}(?:com|org|net|uk|de|cn|io)/[^\s<>\"'，。；]{1,2000}", "link"),
    Rule("API_KEY", r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[A-Za-z0-9+/=\s]*+(?:-----END [A-Z ]{0,20}PRIVATE KEY-----)?", "key"),
    Rule("API_KEY", r"eyJ[A-Za-z0-9_\-]{8,2000}+(?:\.[A-Za-z0-9_\-]{8,4000}+(?:\.[A-Za-z0-9_\-]{0,2000}+)?)?", "key", lambda found: "." in found),
    Rule("AWS_ACCESS_KEY", r"(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA)[A-Z2-7]{16}", "key"),
    Rule("AWS_ACCESS_KEY", r"(?:AKIA|ASIA)[A-Z0-9]{16}", "key", _mixed),
    Rule("AWS_SECRET_KEY", r"(?i:secret|aws)[^\n]{0,40}?(?<![A-Za-z0-9/+])([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])", "key", _mixed),
    Rule("API_KEY", r"(?:(?:sk|pk|rk)_(?:live|test)_|gh[pousr]_|github_pat_|glpat-|npm_|hf_|sk-(?:proj-|ant-)?|xox[abeoprs]-|AIza|SG\.)[A-Za-z0-9_.\-]{16,255}", "key"),
    Rule("API_KEY", r"(?i:bearer)[ :]{1,2}([A-Za-z0-9_.\-+/=]{16,2000})", "key"),
    Rule("API_KEY", r"(?i:api[ _\-]?key|access[ _\-]?key|secret(?:[ _\-]?key)?|auth[ _\-]?token|access[ _\-]?token|token|密钥)" + _IS + r"[\"']?([A-Za-z0-9_\-]{16,255})", "key", _mixed),
    Rule("PASSWORD", r"(?i:password|passwd|passcode|pwd|密码|口令)[ \t]{0,2}(?:is now|is|was|[:=：]|为|是)[ \t]{0,2}[\"']?([^\s\"'，。；]{4,64})", "password", lambda found: not found.isalpha() or (len(set(found)) > 3 and not found.islower())),
    Rule("PASSWORD", r"\bPIN(?: code| number)?[ \t]{0,2}(?:is|:|=)[ \t]{0,2}(\d{4,8})(?!\d)", "password"),
    Rule("PASSPORT_NUMBER", r"(?i:passport|护照)" + _IS + r"([A-Za-z]{0,2}[0-9][A-Za-z0-9]{5,8})(?![A-Za-z0-9])", "passport", _digits),
    Rule("DRIVER_ID", r"(?i:driver'?s?'?|driving|驾驶证|驾照)[ ]?(?i:licen[cs]e|id|permit)?" + _IS + r"([A-Za-z0-9](?:[ \-]?[A-Za-z0-9]){4,18})(?![A-Za-z0-9])", "driver", _digits),
    Rule("LICENSE_PLATE", rf"[{_PROVINCES}][A-HJ-NP-Z][ ·•\-]?[A-HJ-NP-Z0-9]{{4,5}}[A-HJ-NP-Z0-9挂学警港澳]", "province"),
    Rule("LICENSE_PLATE", r"(?i:(?:licen[cs]e|number|registration|vehicle|car)[ ](?:plates?|tag|reg(?:istration)?)|plates?|reg(?:istration)?(?:[ ]no)?|车牌|牌照)" + _IS + r"([A-Z0-9]{1,4}(?:[ \-]?[A-Z0-9]{1,4}){1,3})(?![A-Za-z0-9])", "plate", lambda found: _mixed(found) and 4 <= len(_compact(found)) <= 9),
    Rule("DATE_TIME", rf"(?i:\bborn(?: on)?|birth(?:day|date)?|\bd\.?o\.?b\.?|生日|出生(?:日期|于)?)(?i:[ ](?:is|was|on))?[ ]?[:=：是为]?[ ]?(?:on |the )?((?i:{_DATE}))(?!\d)", "birth"),
    Rule("DATE_TIME", r"(\d{4}年\d{1,2}月\d{1,2}日)(?=出?生)", "birth"),
    Rule("BANK_ROUTING", r"(?i:routing|\baba\b)[^0-9\n]{0,24}([0-9]{9})(?![0-9])", "routing", checks.routing),
    Rule("BANK_ROUTING", r"(?i:sort code)" + _IS + r"([0-9]{2}[ \-]?[0-9]{2}[ \-]?[0-9]{2})(?![0-9])", "account"),
    Rule("BANK_ACCOUNT_NUMBER", r"(?i:(?:bank )?(?:account|acct)\.?|\ba/c\b|银行卡|银行账[号户]|账[号户]|帐号|卡号)" + _IS + r"([0-9](?:[ \-_]?[0-9]){5,19})(?![0-9])", "account"),
    Rule("ADDRESS", rf"{_HOUSE}(?:{_UNIT}?{_CITY}?{_ZIP}|{_UNIT}{_CITY}?)", "street"),
    Rule("ADDRESS", rf"(?i:address|(?:live|lives|living|located|reside|resides|office is|home is) at|ship(?:ped)? to|deliver(?:ed)? to|mail(?:ed)? to|visit us at|come to|moved to|住址|地址)(?: is|是)?[: ：]{{1,2}}({_HOUSE}{_CITY}?)", "address"),
    Rule("ADDRESS", r"[\u4e00-\u9fff]{1,21}(?:路|街|大道|巷|胡同|弄|里)[ ]?[0-9]{1,5}[ ]?号(?:院|楼)?(?:[ ]?[0-9]{1,4}[ ]?(?:号楼|栋|幢|座|单元|室|层|楼)){0,4}", "address"),
    Rule("NAME", rf"(?:[Mm]y (?:full |real )?name(?:'s| is)|[Nn]ame:|I am called|[Pp]lease call me|(?:[Ss]igned|[Rr]egards|[Ss]incerely),?)[ \n]((?:{_TITLE}[ ])?{_NAMED})", "name"),
    Rule("NAME", rf"(?:[Dd]ear|[Aa]ttn:?|[Cc]ontact|[Pp]atient|[Cc]ustomer|[Aa]sk for|[Ss]peak to)[ ]({_TITLE}[ ]{_NAMED})", "name"),
    Rule("NAME", rf"(?:我叫|我的名字[是叫]|姓名[:： ]|名字[:：是叫])[ ]?([{_SURNAMES}][\u4e00-\u9fff]{{1,2}})", "name"),
    Rule("USERNAME", r"(?i:user ?name|user id|login|screen name|handle|account name|wechat(?: id)?|skype(?: id)?|telegram|instagram|snapchat|discord|用户名|微信号?|qq号?)[ \t]{0,2}(?:is|[:=：]|为|是)[ \t]{0,2}(@?[A-Za-z0-9_][A-Za-z0-9_.\-]{2,39})", "user", lambda found: not found.isalpha() or not found.islower() or len(found) > 12),
    Rule("USERNAME", r"(?i:user ?name|login|screen name|user id|用户名)[ \t]{0,2}[:=：][ \t]{0,2}(@?[A-Za-z0-9_][A-Za-z0-9_.\-]{2,39})", "user"),
)  # fmt: skip
_HANDLE = re.compile(r"(?<![A-Za-z0-9_.@/%+\-])@[A-Za-z_][A-Za-z0-9_]{2,29}(?![A-Za-z0-9_@])")

# E-mail: each @ is looked at once, and the text on both sides of it up to the limits of RFC 5321, 4.5.3.1.

_LOCAL_BACKWARDS = re.compile(r"[A-Za-z0-9\u00c0-\u024f!#$&'*+=?^`{|}~_.%/\-\x1e]{1,64}")
_DOMAIN = re.compile(
    r"(?:[A-Za-z0-9\u00c0-\u024f](?:[A-Za-z0-9\u00c0-\u024f\-]{0,61}[A-Za-z0-9\u00c0-\u024f])?\.){1,8}[A-Za-z]{2,24}"
)


def _emails(text: str) -> Iterator[Find]:
    at = text.find("@")
    while at >= 0:
        local = _LOCAL_BACKWARDS.match(text[max(0, at - 64) : at][::-1])
        if local and (domain := _DOMAIN.match(text, at + 1, at + 256)):
            begin = at - len(local[0].rstrip(".'/-=?&"))
            if begin < at:
                yield "EMAIL", begin, domain.end()
        at = text.find("@", at + 1)


# Machines

_DOTTED = re.compile(r"\.[0-9]{1,3}\.[0-9]")
_IPV4 = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9]|\.[0-9])")
_IPV6 = re.compile(r"(?<![A-Za-z0-9:.])[0-9A-Fa-f:]{2,39}[0-9.]{0,15}(?![A-Za-z0-9:])")
_FOURS = re.compile(r"\.[0-9A-Fa-f]{4}\.")
_COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:")
_PAIR = re.compile(r"[:\-][0-9A-Fa-f]{2}[:\-]")
_MAC = re.compile(
    r"(?<![0-9A-Fa-f:\-])[0-9A-Fa-f]{2}(?:([:\-])[0-9A-Fa-f]{2}(?:\1[0-9A-Fa-f]{2}){4})(?![0-9A-Fa-f]|[:\-][0-9A-Fa-f])"
)
_MAC_OF_FOURS = re.compile(r"(?<![0-9A-Fa-f.])[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?![0-9A-Fa-f.])")
_VERSION = re.compile(r"(?i)(?:version|release|build|firmware|\bv|\bver\.?|版本)[ :]{0,2}\Z")


def _addresses_of_machines(text: str, runs: list[Span]) -> Iterator[Find]:
    if (text.count(":") > 4 or text.count("-") > 4) and _PAIR.search(text):
        yield from (("MAC_ADDRESS", *match.span()) for match in _MAC.finditer(text))
    if _FOURS.search(text):
        yield from (("MAC_ADDRESS", *match.span()) for match in _MAC_OF_FOURS.finditer(text) if _mixed(match[0]))
    for begin, end in runs:
        if text.count(".", begin, end) > 2:
            yield from (("IP_ADDRESS", *m.span()) for m in _IPV4.finditer(text, begin, end) if _ipv4(text, m))
    if _COLONS.search(text):
        for match in _IPV6.finditer(text):
            found = match[0].rstrip(".")
            if found.count(":") > 1 and len(found) > 2 and _is_ip(found):
                yield "IP_ADDRESS", match.start(), match.start() + len(found)


def _ipv4(text: str, match: re.Match[str]) -> bool:
    begin = match.start()
    inner = begin and (
        text[begin - 1] in "0123456789" or (text[begin - 1] == "." and text[begin - 2 : begin - 1].isdigit())
    )
    return not inner and _is_ip(match[0]) and not _VERSION.search(text, max(0, begin - 12), begin)


def _is_ip(found: str) -> bool:
    try:
        ipaddress.ip_address(found)
    except ValueError:
        return False
    return True


# Numbers: runs of digits with little between them, and within a run any neighbouring groups.


def _numbers(text: str, runs: list[Span]) -> Iterator[Find]:
    """Those with a checksum first, then numbers of people and telephones by their shape or the word before them."""
    runs = [run for run in runs if run[1] - run[0] >= _DIGITS]
    groups = [[match.span() for match in _GROUP.finditer(text, *run)] for run in runs]
    for each in groups:
        yield from _checked(text, each)
    yield from _ibans(text, runs)
    for each in groups:
        yield from _shaped(text, each)


def _checked(text: str, groups: list[Span]) -> Iterator[Find]:
    """Cards and resident IDs, from the start of each group on."""
    ends = [0, *accumulate(end - begin for begin, end in groups)]
    if ends[-1] < _FEWEST:
        return
    digits = "".join([text[begin:end] for begin, end in groups])
    sums, first = checks.luhn_sums(digits), 0
    while first < len(groups):
        place, last = ends[first], bisect_left(ends, ends[first] + _FEWEST, first)
        province = checks.province(digits, place)
        while last < len(ends) and (size := ends[last] - place) <= _MOST:
            found, after, its = "", 0, sums[(ends[last] - 1) % 2]
            if (its[ends[last]] - its[place]) % 10 == 0 and checks.issued(digits[place : ends[last]]):
                found = "CREDIT_DEBIT_NUMBER"
            if province and size in (15, 17, 18):
                found, after = _resident(digits[place : ends[last]], text, groups[last - 1][1]) or (found, 0)
            if found:
                yield found, groups[first][0], groups[last - 1][1] + after
                break
            last += 1
        else:
            last = first + 1
        first = last


_FEWEST, _MOST = 13, 19  # digits of a card: ISO/IEC 7812
_X = re.compile(r"[ _\-]?[xX]")


def _resident(digits: str, text: str, end: int) -> tuple[str, int] | None:
    """An ID of these digits, and how many characters after them belong to it."""
    if len(digits) == 17:
        after = _X.match(text, end)
        return ("CN_RESIDENT_ID", len(after[0])) if after and checks.resident_id(digits + "X") else None
    return ("CN_RESIDENT_ID", 0) if checks.resident_id(digits) else None


_IBAN_START = re.compile(r"(?=([A-Za-z]{2}[0-9]{2}))")
_IBAN_GAP = re.compile(r"[ _.\x1f-]")


def _ibans(text: str, runs: list[Span]) -> Iterator[Find]:
    """From two letters before digits on: 15 to 33 letters and digits, whatever stands between them."""
    places = [match.start() for match in _IBAN_START.finditer(text)] if runs else []
    for place in places:
        length = checks.IBAN_LENGTHS.get(text[place : place + 2].upper(), 0)
        value, end = _IBAN_GAP.sub("", text[place : place + 45])[:length], place
        if length and value.isalnum() and checks.iban(value.upper()):
            for letter in value:
                end = text.index(letter, end) + 1
            yield "INTERNATIONAL_BANK_ACCOUNT_NUMBER", place, end


_PHONE_WORD = re.compile(
    r"(?i)(?:phone|tel|call|mobile|cell|fax|text|whats ?app|sms|hotline|number|reach (?:me|us)|dial|ring|contact|电话|手机|联系|致电|拨打|热线|传真|短信)"
    r"[^0-9\n]{0,20}\Z"
)
_SOCIAL_WORD = re.compile(r"(?i)(?:ssn|social security|itin|taxpayer|tax id)[^0-9\n]{0,24}\Z")
_NO_PHONE_WORD = re.compile(
    r"(?i)(?:isbn|order|invoice|tracking|serial|model|item|part|case|ticket|ref(?:erence)?|订单|编号|单号)[^0-9\n]{0,16}\Z"
)
# Digits in each group of a telephone number, as countries write them.
_SHAPES = {
    (3, 3, 4), (1, 3, 3, 4), (3, 7), (6, 4), (3, 4, 4), (3, 8), (4, 7), (4, 8), (4, 3, 4), (4, 4, 3), (5, 6), (5, 3, 3),
    (3, 3, 3), (2, 2, 2, 2, 2), (2, 4, 4), (2, 8), (2, 9), (2, 5, 4), (2, 4, 5), (4, 6), (5, 5), (2, 3, 4), (2, 3, 5),
    (3, 3, 5), (1, 4, 4), (3, 2, 2, 2), (4, 3, 3), (4, 2, 2, 2), (3, 6), (3, 3, 2, 2), (2, 7), (2, 3, 2, 2), (5, 4), (4, 5),
}  # fmt: skip


class Beside(NamedTuple):
    """What stands before a run of digits: nothing of it is before any group but the first."""

    text: str = ""
    social: bool = False
    phone: bool = False
    other: bool = False

    @classmethod
    def of(cls, text: str, begin: int) -> "Beside":
        before = text[max(0, begin - NEAR) : begin]
        words = (_SOCIAL_WORD, _PHONE_WORD, _NO_PHONE_WORD)
        return cls(before, *(word.search(before) is not None for word in words))


def _shaped(text: str, groups: list[Span]) -> Iterator[Find]:
    """Telephone numbers and those of the US, in neighbouring groups, most of them first."""
    sizes = [end - begin for begin, end in groups]
    ends = [0, *accumulate(sizes)]
    digits = "".join([text[begin:end] for begin, end in groups])
    first, most = 0, len(groups) if len(groups) <= _LONGEST_GROUPS else 5
    beside = Beside.of(text, groups[0][0])
    while first < len(groups):
        begin, place = groups[first][0], ends[first]
        last = bisect_right(ends, place + 15, first, min(first + most, len(groups)) + 1) - 1
        while last > first and ends[last] - place >= _DIGITS:
            end, whole = groups[last - 1][1], first == 0 and last == len(groups)
            if end - begin <= 28 and (
                kind := _of_shape(text, (begin, end), digits[place : ends[last]], sizes[first:last], beside, whole)
            ):
                yield kind, begin - (begin > 0 and text[begin - 1] in "+("), end
                break
            last -= 1
        else:
            last = first + 1
        first = last
        if first < len(groups):
            beside = Beside(text[groups[first][0] - 1])


def _of_shape(text: str, span: Span, digits: str, sizes: list[int], beside: Beside, whole: bool) -> str:
    if len(digits) == 9 and (sizes == [3, 2, 4] or beside.social):
        if checks.itin(digits):
            return "US_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER"
        if checks.ssn(digits):
            return "SSN"
    return "PHONE" if _phone(text, span, digits, sizes, beside, whole) else ""


def _phone(text: str, span: Span, digits: str, sizes: list[int], beside: Beside, whole: bool) -> bool:
    before = beside.text
    if before.endswith("+") or (digits.startswith("00") and len(sizes) > 1):
        international = digits.removeprefix("00")
        fewest, most = checks.subscriber(international)
        trunk = 1 if "(0)" in text[slice(*span)] else 0
        return fewest <= len(international) - trunk <= most
    if _mobile(digits):
        return True
    if (not whole and len(sizes) == 1) or beside.other or before[-1:] in ("$", "€", "£", "¥", "#"):
        return False
    if beside.phone:
        return len(digits) >= 7 and (len(sizes) > 1 or len(digits) <= 12)
    return len(sizes) > 1 and _national(text[slice(*span)], digits, tuple(sizes), before)


def _mobile(digits: str) -> bool:
    """Of China: 1, then 3 to 9, then nine digits; maybe after 86."""
    own = digits.removeprefix("86") if len(digits) == 13 else digits
    return len(own) == 11 and own[0] == "1" and own[1] in "3456789"


def _national(found: str, digits: str, shape: tuple[int, ...], before: str) -> bool:
    """A form that some country writes its numbers in, of separators and digits that no date or amount has."""
    if shape not in _SHAPES:
        return False
    if digits[0] == "0":
        return 9 <= len(digits) <= 12
    if shape in ((3, 3, 4), (6, 4), (1, 3, 3, 4)):
        own = digits[-10:]
        return own[0] in "23456789" and own[3] in "23456789" and (len(digits) == 10 or digits[0] == "1")
    if shape == (5, 5):
        return digits[0] in "6789"
    if digits[:3] in ("400", "800"):
        return shape in ((3, 3, 4), (3, 4, 3), (3, 7))
    if before.endswith("("):
        return 9 <= len(digits) <= 12
    return (
        shape in ((3, 3, 3), (3, 2, 2, 2)) and digits[0] in "6789" and "." not in found and not digits.endswith("000")
    )
