"""Find network addresses by their form: e-mail addresses, user names, links, IP and MAC addresses.

Each pattern starts with a literal character or a set of characters, which the engine finds quickly. The text before
that character is examined only where the text after it matches.
"""

from collections.abc import Iterator

from candor.redact.patterns import Match, compiled

# E-mail: within the limits of RFC 5321, 4.5.3.1.
_LOCAL = r"[A-Za-z0-9\u00c0-\u024f!#$&'*+=?^`{|}~_.%/\-\x1e]"
_LOCAL_BACKWARDS = rf"{_LOCAL}{{1,64}}"
_LABEL = r"[A-Za-z0-9\u00c0-\u024f](?:[A-Za-z0-9\u00c0-\u024f\-]{0,61}[A-Za-z0-9\u00c0-\u024f])?"
_EMAIL = rf"@(?<={_LOCAL}@)(?:{_LABEL}\.){{1,8}}(?:[xX][nN]--[A-Za-z0-9\-]{{2,59}}|[A-Za-z]{{2,24}})"
_HANDLE = r"@(?<![A-Za-z0-9_.@/%+\-]@)[A-Za-z_][A-Za-z0-9_]{2,29}(?![A-Za-z0-9_@])"


def emails(text: str) -> Iterator[Match]:
    """Yield e-mail addresses of a normalised text."""
    last_end, match_local = 0, compiled(_LOCAL_BACKWARDS).match
    for match in compiled(_EMAIL).finditer(text) if "@" in text else ():
        at, end = match.span()
        local = match_local(text[at - 64 if at - 64 > last_end else last_end : at][::-1])
        begin = at - len(local[0].rstrip(".'/-=?&|")) if local else at
        if begin < at:
            yield "EMAIL", begin, end
            last_end = end


def handles(text: str) -> Iterator[Match]:
    """Yield user names written as @name."""
    if "@" in text:
        yield from (("USERNAME", *match.span()) for match in compiled(_HANDLE).finditer(text))


_LINK_CHARACTER = r"[^\s\0<>\"'，。；]"
_URL = r"://(?<=[A-Za-z][A-Za-z]://)[^\s<>\"'，。；）]{3,2000}+"
_SCHEME_BACKWARDS = r"(?:[sS]?[pP][tT][tT][hH]|[pP][tT][fF]|[hH][sS][sS]|[a-z]{2,12})"
_WWW = rf"[wW](?<![A-Za-z0-9.@].)[wW]{{2}}\.[A-Za-z0-9\-]{{1,63}}(?:\.[A-Za-z0-9\-]{{1,63}}){{1,5}}(?:/{_LINK_CHARACTER}{{0,2000}})?"
_PATH = rf"\.(?:com|org|net|uk|de|cn|io)/{_LINK_CHARACTER}{{1,2000}}"
_HOST_BACKWARDS = r"[a-z0-9\-]{1,63}(?:\.[a-z0-9\-]{1,63}){0,3}(?![A-Za-z0-9.@/\-])"


def links(text: str) -> Iterator[Match]:
    """Yield links with a scheme, and host names of common domains that are followed by a path."""
    for match in compiled(_URL).finditer(text):
        scheme = compiled(_SCHEME_BACKWARDS).match(text[max(0, match.start() - 12) : match.start()][::-1])
        if scheme:
            yield "URL", match.start() - len(scheme[0]), match.end()
    for match in compiled(_PATH).finditer(text):
        host = compiled(_HOST_BACKWARDS).match(text[max(0, match.start() - 256) : match.start()][::-1])
        if host:
            yield "URL", match.start() - len(host[0]), match.end()


def www_links(text: str) -> Iterator[Match]:
    """Yield links that start with "www."."""
    yield from (("URL", *match.span()) for match in compiled(_WWW).finditer(text))


_OCTET = r"(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9]))"
_FIRST_OCTET = r"(?:(?<=2)(?:[0-4][0-9]|5[0-5])|(?<=1)[0-9][0-9]|(?<=[1-9])[0-9]|)"  # the first digit stands before it
_VERSION_END = "[NnEeDdRrVv.本]"  # of the words below
_AFTER_VERSION = rf"(?:(?:(?<={_VERSION_END}.)|(?<={_VERSION_END}[ :].)|(?<={_VERSION_END}[ :][ :].))())?"
_IPV4 = rf"[0-9](?<![0-9].)(?<![0-9]\..){_AFTER_VERSION}{_FIRST_OCTET}{_OCTET}{{3}}(?![0-9]|\.[0-9])"
_IPV4_HINT = r"\.[0-9]{1,3}\.[0-9]"
_IPV6 = r"[0-9A-Fa-f:](?<![A-Za-z0-9:.].)[0-9A-Fa-f:]{1,38}[0-9.]{0,15}(?![A-Za-z0-9:])"
_IPV6_HINT = r":[0-9A-Fa-f]{0,4}:"
_MAC_HINT = r"[:\-][0-9A-Fa-f]{2}[:\-]"
_MAC = r"[0-9A-Fa-f](?<![0-9A-Fa-f:\-].)[0-9A-Fa-f]([:\-])[0-9A-Fa-f]{2}(?:\1[0-9A-Fa-f]{2}){4}(?![0-9A-Fa-f]|[:\-][0-9A-Fa-f])"
_MAC_DOTTED = (
    r"\.[0-9A-Fa-f]{4}\.(?<=(?<![0-9A-Fa-f.])([0-9A-Fa-f]{4})\.[0-9A-Fa-f]{4}\.)[0-9A-Fa-f]{4}(?![0-9A-Fa-f.])"
)
_GROUP = "[0-9A-Fa-f]{1,4}"
_IPV6_GROUPS = (  # eight, or up to seven with a gap
    rf"(?=[^0-9]*[0-9])(?:{_GROUP}(?::{_GROUP}){{7}}"
    rf"|(?=:*(?:[^:]+:*){{1,7}}\Z)(?:{_GROUP}(?::{_GROUP})*+)?::(?:{_GROUP}(?::{_GROUP})*+)?)"
)
_EMBEDDED_IPV4 = r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.|\Z)){4}(?<!\.)"
_VERSION_WORD = r"(?i)(?:version|release|build|firmware|chapter|section|\bv\.?|\bver\.?|版本)[ :]{0,2}\Z"


def ip_and_mac_addresses(text: str) -> Iterator[Match]:
    """Yield MAC, IPv4 and IPv6 addresses. Four dotted numbers after a word such as "version" are no address.

    Example:
        >>> list(ip_and_mac_addresses("version 1.2.3.4 on 192.168.1.1"))
        [('IP_ADDRESS', 19, 30)]
    """
    if (text.count(":") > 4 or text.count("-") > 4) and compiled(_MAC_HINT).search(text):
        yield from (("MAC_ADDRESS", *match.span()) for match in compiled(_MAC).finditer(text))
    for match in compiled(_MAC_DOTTED).finditer(text):
        begin, end = match.start() - 4, match.end()
        digits = text[begin:end].replace(".", "")
        if not digits.isdigit() and not digits.isalpha():
            yield "MAC_ADDRESS", begin, end
    if compiled(_IPV4_HINT).search(text):
        for match in compiled(_IPV4).finditer(text):
            begin, end = match.span()
            if match.lastindex is None or not compiled(_VERSION_WORD).search(text[max(0, begin - 12) : begin]):
                yield "IP_ADDRESS", begin, end
    if compiled(_IPV6_HINT).search(text):
        for match in compiled(_IPV6).finditer(text):
            address = match[0].rstrip(".")
            if _is_ipv6(address):
                begin = match.start()
                yield "IP_ADDRESS", begin, begin + len(address)


def _is_ipv6(address: str) -> bool:
    """Validate an IPv6 address (RFC 4291, section 2.2) that has a digit: nobody writes one such as "a::b"."""
    if "." in address:
        groups, _, embedded = address.rpartition(":")
        if not compiled(_EMBEDDED_IPV4).fullmatch(embedded):
            return False
        address = f"{groups}:0:0"
    return compiled(_IPV6_GROUPS).fullmatch(address) is not None
