"""Addresses of people and machines in networks: e-mail, handles, links, IP and MAC addresses, told by their form.

Each pattern starts with a sign, which is found at once, or with a set of characters; what stands before the sign is
looked at only where what stands after it is right.
"""

import ipaddress
from collections.abc import Iterator

from candor.redact.patterns import Find, compiled

# E-mail: within the limits of RFC 5321, 4.5.3.1.
_LOCAL = r"[A-Za-z0-9\u00c0-\u024f!#$&'*+=?^`{|}~_.%/\-\x1e]"
_LOCAL_BACKWARDS = rf"{_LOCAL}{{1,64}}"
_LABEL = r"[A-Za-z0-9\u00c0-\u024f](?:[A-Za-z0-9\u00c0-\u024f\-]{0,61}[A-Za-z0-9\u00c0-\u024f])?"
_EMAIL = rf"@(?<={_LOCAL}@)(?:{_LABEL}\.){{1,8}}(?:[xX][nN]--[A-Za-z0-9\-]{{2,59}}|[A-Za-z]{{2,24}})"
_HANDLE = r"@(?<![A-Za-z0-9_.@/%+\-]@)[A-Za-z_][A-Za-z0-9_]{2,29}(?![A-Za-z0-9_@])"


def emails(text: str) -> Iterator[Find]:
    free = 0
    for match in compiled(_EMAIL).finditer(text) if "@" in text else ():
        at = match.start()
        local = compiled(_LOCAL_BACKWARDS).match(text[max(free, at - 64) : at][::-1])
        begin = at - len(local[0].rstrip(".'/-=?&|")) if local else at
        if begin < at:
            yield "EMAIL", begin, match.end()
            free = match.end()


def handles(text: str) -> Iterator[Find]:
    if "@" in text:
        yield from (("USERNAME", *match.span()) for match in compiled(_HANDLE).finditer(text))


_REST = r"[^\s\0<>\"'，。；]"
_URL = r"://(?<=[A-Za-z][A-Za-z]://)[^\s<>\"'，。；）]{3,2000}+"
_SCHEME_BACKWARDS = r"(?:[sS]?[pP][tT][tT][hH]|[pP][tT][fF]|[hH][sS][sS]|[a-z]{2,12})"
_WWW = (
    rf"[wW](?<![A-Za-z0-9.@].)[wW]{{2}}\.[A-Za-z0-9\-]{{1,63}}(?:\.[A-Za-z0-9\-]{{1,63}}){{1,5}}(?:/{_REST}{{0,2000}})?"
)
_PATH = rf"\.(?:com|org|net|uk|de|cn|io)/{_REST}{{1,2000}}"
_HOST_BACKWARDS = r"[a-z0-9\-]{1,63}(?:\.[a-z0-9\-]{1,63}){0,3}(?![A-Za-z0-9.@/\-])"


def links(text: str) -> Iterator[Find]:
    for match in compiled(_URL).finditer(text):
        scheme = compiled(_SCHEME_BACKWARDS).match(text[max(0, match.start() - 12) : match.start()][::-1])
        if scheme:
            yield "URL", match.start() - len(scheme[0]), match.end()
    for match in compiled(_PATH).finditer(text):
        host = compiled(_HOST_BACKWARDS).match(text[max(0, match.start() - 256) : match.start()][::-1])
        if host:
            yield "URL", match.start() - len(host[0]), match.end()


def hosts(text: str) -> Iterator[Find]:
    """Links that start with www."""
    yield from (("URL", *match.span()) for match in compiled(_WWW).finditer(text))


_OCTET = r"(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9]))"
_IPV4 = rf"[0-9](?<![0-9].)(?<![0-9]\..)[0-9]{{0,2}}+{_OCTET}{{3}}(?![0-9]|\.[0-9])"
_DOTTED = r"\.[0-9]{1,3}\.[0-9]"
_IPV6 = r"[0-9A-Fa-f:](?<![A-Za-z0-9:.].)[0-9A-Fa-f:]{1,38}[0-9.]{0,15}(?![A-Za-z0-9:])"
_COLONS = r":[0-9A-Fa-f]{0,4}:"
_PAIR = r"[:\-][0-9A-Fa-f]{2}[:\-]"
_MAC = r"[0-9A-Fa-f](?<![0-9A-Fa-f:\-].)[0-9A-Fa-f]([:\-])[0-9A-Fa-f]{2}(?:\1[0-9A-Fa-f]{2}){4}(?![0-9A-Fa-f]|[:\-][0-9A-Fa-f])"
_MAC_OF_FOURS = (
    r"\.[0-9A-Fa-f]{4}\.(?<=(?<![0-9A-Fa-f.])([0-9A-Fa-f]{4})\.[0-9A-Fa-f]{4}\.)[0-9A-Fa-f]{4}(?![0-9A-Fa-f.])"
)
_VERSION = r"(?i)(?:version|release|build|firmware|chapter|section|\bv\.?|\bver\.?|版本)[ :]{0,2}\Z"


def machines(text: str) -> Iterator[Find]:
    if (text.count(":") > 4 or text.count("-") > 4) and compiled(_PAIR).search(text):
        yield from (("MAC_ADDRESS", *match.span()) for match in compiled(_MAC).finditer(text))
    for match in compiled(_MAC_OF_FOURS).finditer(text):
        begin, end = match.start() - 4, match.end()
        found = text[begin:end].replace(".", "")
        if not found.isdigit() and not found.isalpha():
            yield "MAC_ADDRESS", begin, end
    for match in compiled(_IPV4).finditer(text) if compiled(_DOTTED).search(text) else ():
        begin = match.start()
        if _is_ipv4(match[0]) and not compiled(_VERSION).search(text, max(0, begin - 12), begin):
            yield "IP_ADDRESS", *match.span()
    for match in compiled(_IPV6).finditer(text) if compiled(_COLONS).search(text) else ():
        found = match[0].rstrip(".")
        if _is_ipv6(found):
            yield "IP_ADDRESS", match.start(), match.start() + len(found)


def _is_ipv4(found: str) -> bool:
    return all(part == "0" or (part[0] != "0" and int(part) < 256) for part in found.split("."))


def _is_ipv6(found: str) -> bool:
    """RFC 4291, section 2.2. What is plainly none is told without an exception, which costs more than all the rest."""
    if len(found) < 3 or not any(c.isdigit() for c in found):  # "a::b" is none that anyone writes
        return False
    if found.count("::") > 1 or ":::" in found or ("::" not in found and found.count(":") < 6):
        return False
    try:
        ipaddress.IPv6Address(found)
    except ValueError:
        return False
    return True
