"""The detector on planted entities, on look-alikes and under evasions, and what is written over entities."""

import ipaddress
import random
import re
import string
import sys
from itertools import combinations_with_replacement, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candor.redact import MODES, TYPES, Entity, checks, find, normalise, redact
from candor.redact.digits import Digits
from candor.redact.normalise import NormalizedText
from tests.benchmark import redact as bench

EXAMPLES = {
    "EMAIL": ["write to john.o'neil+film@mail.example.co.uk now", "邮箱是wang.wei@example.com.cn谢谢"],
    "PHONE": [
        "call (555) 234-5678",
        "555-123-4567",
        "400-1234-567",
        "+44 (0)20 7946 0018",
        "06 12 34 56 78",
        "98765 43210",
        "010-62345678",
        "手机13800138000",
    ],
    "CREDIT_DEBIT_NUMBER": ["4111 1111 1111 1111", "3782-822463-10005", "x5555555555554444y"],
    "INTERNATIONAL_BANK_ACCOUNT_NUMBER": ["GB82 WEST 1234 5698 7654 32", "de89370400440532013000"],
    "SSN": ["my SSN is 123-45-6789"],
    "US_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER": ["ITIN 912-70-1234"],
    "CN_RESIDENT_ID": ["身份证号11010519491231002X", "130503670401001"],
    "PASSPORT_NUMBER": ["passport number X1234567", "护照号码E12345678"],
    "DRIVER_ID": ["driver's license number D1234567"],
    "LICENSE_PLATE": [
        "车牌京A12345",
        "licence plate AB12 XYZ",
        "My license plate is 7ABC123 The car",
        "plate: ABC 1234 Call me",
    ],
    "IP_ADDRESS": ["from 192.168.1.1 on", "2001:db8::ff00:42:8329"],
    "MAC_ADDRESS": ["00:1B:44:11:3A:B7"],
    "URL": ["https://user:pw@example.com/x?token=abc", "www.example.com/title"],
    "API_KEY": [
        "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
        "Bearer abcdefghij0123456789",
        "Authorization: Basic dXNlcjpwYXNzd29yZA==",
    ],
    "AWS_ACCESS_KEY": ["AKIAIOSFODNN7EXAMPLE"],
    "AWS_SECRET_KEY": ["aws secret wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"],
    "BANK_ACCOUNT_NUMBER": ["account number 12345678", "银行账号6222000000001234"],
    "BANK_ROUTING": ["routing number 021000021"],
    "DATE_TIME": ["I was born on July 4, 1976", "出生日期：1990年1月2日"],
    "ADDRESS": [
        "12 Maple Street, Springfield, IL 62704",
        "1600 Pennsylvania Avenue NW, Washington, DC 20500",
        "80 Wood Lane London W12 0TT",
        "PO Box 123, Springfield, IL 62704",
        "北京市海淀区中关村大街27号",
    ],
    "NAME": ["Hello, my name is Jane Doe.", "my name is José García", "我叫王小明"],
    "USERNAME": ["ask @jane_doe", "username: janed0e"],
    "PASSWORD": ["Password: hunter2!", "密码是abc12345"],
}


def types(text):
    return [entity.type for entity in find(text)]


@pytest.mark.parametrize("kind", EXAMPLES)
def test_find_example_of_each_type(kind):
    """Each example has one entity, of its type."""
    for text in EXAMPLES[kind]:
        assert types(text) == [kind], text


def test_examples_cover_every_type():
    """There is an example of every type."""
    assert set(EXAMPLES) == set(TYPES)


@pytest.mark.parametrize(
    "text", [*bench.NEGATIVES, "", " ", "a film", "she said 'my name is legion' softly", "5 @ 3", "a@b", "@", "(((("]
)
def test_find_look_alikes_finds_nothing(text):
    """Look-alikes are left alone, also beside an entity."""
    assert find(text) == []
    assert types(f"{text} and jane@example.com") == ["EMAIL"]


CHECKED = [
    (checks.luhn, "4111111111111111", "4111111111111112"),
    (checks.iban, "GB82WEST12345698765432", "GB82WEST12345698765433"),
    (checks.resident_id, "11010519491231002X", "110105194912310021"),
    (checks.resident_id, "11010519491231002X", "11010519490231002X"),
    (checks.resident_id, "130503670401001", "990503670401001"),
    (checks.ssn, "123456789", "666456789"),
    (checks.itin, "912701234", "912931234"),
    (checks.routing, "021000021", "021000022"),
    (lambda value: checks.matches_iin(value, 15), "378282246310005", "411111111111116"),
]


@pytest.mark.parametrize(("check", "good", "bad"), CHECKED)
def test_checks_accept_valid_and_refuse_invalid(check, good, bad):
    """Checksums and ranges follow their specifications."""
    assert check(good)
    assert not check(bad)


groups = st.lists(st.text("0123456789", min_size=1, max_size=5), min_size=3, max_size=12)
runs = st.lists(groups, min_size=1, max_size=3).map(lambda each: ", ".join(" ".join(run) for run in each))


@given(runs)
@settings(deadline=None, max_examples=300)
def test_digits_cards_equal_one_by_one_luhn(text):
    """Windows that pass all at once are those that pass one by one."""
    expected = set()
    for run in re.finditer("[0-9][0-9 ]*", text):
        groups = [match.span() for match in re.compile("[0-9]+").finditer(text, *run.span())]
        for begin, end in ((first[0], last[1]) for first, last in combinations_with_replacement(groups, 2)):
            value = text[begin:end].replace(" ", "")
            if 13 <= len(value) <= 19 and ord(value[0]) in checks.IIN_FIRST_DIGITS[len(value)] and checks.luhn(value):
                expected.add((begin, end))
    digits, cards = Digits.from_text(text), set()
    for length, bits in digits.cards() if digits else ():
        cards |= {digits.span(start, start + length) for start in range(bits.bit_length()) if bits >> start & 1}
    assert cards == expected


def test_find_planted_entities_among_look_alikes():
    """Planted entities are found among look-alikes."""
    everything, missed = bench.score(bench.planted(1900, 11))
    assert everything.f2 >= 0.95, missed
    assert everything.leaked <= 0.02, missed
    assert everything.false_positives <= 10


def test_find_chinese_ids_and_mobiles():
    """Planted Chinese IDs and mobile numbers are found."""
    assert bench.score(bench.planted(300, 12, ["CN_RESIDENT_ID"]))[0].leaked <= 0.01
    assert bench.score(bench.planted(300, 13, ["PHONE"], make=bench.mobile))[0].leaked <= 0.02


@pytest.mark.parametrize("evasion", bench.EVASIONS)
def test_find_evasion_hides_no_entity(evasion):
    """No evasion hides an entity."""
    base = bench.planted(200, 14, bench.EVADING)
    evaded = bench.evaded(base, evasion)
    assert evaded != base
    assert bench.score(evaded)[0].covered >= 0.93


pieces = st.sampled_from([text for texts in EXAMPLES.values() for text in texts] + list(bench.NEGATIVES))
texts = st.lists(pieces | st.text(max_size=12), max_size=6).map(" ".join)


@given(texts)
@settings(deadline=None, max_examples=300)
def test_find_entities_are_ordered_and_disjoint(text):
    """Entities are in order, disjoint and within the text."""
    entities = find(text)
    assert all(entity.type in TYPES and 0 <= entity.begin < entity.end <= len(text) for entity in entities)
    assert all(left.end <= right.begin for left, right in pairwise(entities))


@given(texts, st.sampled_from(["replace", "mask", "hash"]))
@settings(deadline=None, max_examples=300)
def test_redact_keeps_the_rest_and_is_idempotent(text, mode):
    """Text outside entities stays, and redacting twice is redacting once."""
    once = redact(text, mode, key=b"key")
    begin, kept = 0, []
    for entity in once.entities:
        kept.append(text[begin : entity.begin])
        begin = entity.end
    kept.append(text[begin:])
    end = 0
    for part in kept:
        end = once.text.index(part, end) + len(part)
    if mode == "mask":
        assert len(once.text) == len(text)
    else:
        assert not {entity.type for entity in redact(once.text, mode, key=b"key").entities} & {
            "EMAIL",
            "CREDIT_DEBIT_NUMBER",
            "SSN",
        }


def test_redact_each_mode():
    """Each mode writes what it promises."""
    text = "write to jane@example.com"
    assert set(MODES) == {"replace", "mask", "hash", "off"}
    assert redact(text) == ("write to [EMAIL]", [Entity("EMAIL", 9, 25)], ["[EMAIL]"])
    assert redact(text, "mask").text == "write to " + "*" * 16
    assert redact(text, "mask", "█").text == "write to " + "█" * 16
    assert redact(text, "off") == (text, [], [])


def test_redact_hash_is_equal_for_equal_values():
    """Equal values have equal digests, which depend on the key."""
    spaced, dashed, other = (
        redact(text, "hash", key=b"k").text
        for text in ("4111 1111 1111 1111", "4111-1111-1111-1111", "5555555555554444")
    )
    assert spaced == dashed != other
    assert spaced != redact("4111 1111 1111 1111", "hash", key=b"another").text
    assert "4111" not in spaced


@pytest.mark.parametrize(
    "arguments", [{"mode": "shred"}, {"mode": "mask", "mask": "**"}, {"mode": "mask", "mask": "a"}, {"mode": "hash"}]
)
def test_redact_invalid_arguments_raise_value_error(arguments):
    """Unknown modes, bad masks and missing keys are refused."""
    assert redact("x", "mask")
    with pytest.raises(ValueError, match=r"mode|mask|key"):
        redact("jane@example.com", **arguments)


def calls(text):
    count = 0

    def counted(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        find(text)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", bench.ADVERSARIES)
def test_find_calls_grow_linearly(name):
    """A text twice as long takes at most twice the calls of functions, ours and built-in. Both contain an entity."""
    whole = bench.ADVERSARIES[name]
    find(whole)  # patterns are compiled when first needed
    judged = [calls(whole[: len(whole) // part] + ". jane@example.com") for part in (4, 2)]
    assert judged[0] > 0
    assert judged[1] <= 2 * judged[0] + 40


def test_find_offsets_are_of_the_original_text():
    """Offsets are those of the caller's own text, whatever normalisation does."""
    for mark, text in (
        ("🙂", "🙂 mail ｊａｎｅ@example.com"),
        ("\u200b", "a\u200bb 138\u200b0013\u200b8000 z"),
        ("%40", "jane%40example.com"),
    ):
        assert mark in text
        (entity,) = find(text)
        kept = text[: entity.begin] + text[entity.end :]
        assert not set(string.digits) & set(kept)
        assert "example" not in kept


@pytest.mark.parametrize(
    ("address", "valid"),
    [
        ("1:2:3:4:5:6:7:8", True), ("1::8", True), ("::1", True), ("1:2:3:4:5:6:7::", True),
        ("1:2:3:4:5:6:7", False), ("1::2::3", False), ("1:2:3:4:5:6:7:8:9", False), ("12345::1", False),
        ("1::2:3:4:5:6:7:8", False), (":1:2:3:4:5:6:7:8", False),
    ],
)  # fmt: skip
def test_find_ipv6_as_the_standard_library(address, valid):
    """An address is found whole where ipaddress takes it, and not where it does not."""
    found = [(begin, end) for kind, begin, end in find(f"at {address} now") if kind == "IP_ADDRESS"]
    assert ((3, 3 + len(address)) in found) == valid
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        assert not valid
    else:
        assert valid


def test_find_random_digits_are_no_cards():
    """Random digits are rarely taken for a card."""
    chance = random.Random(5)
    wrong = sum(bool(find(f"item {''.join(chance.choices(string.digits, k=12))}")) for _ in range(500))
    assert wrong <= 25
    assert find("card 4111111111111111")


odd = st.sampled_from(
    [
        "１",
        "٣",
        "\u200b",
        "\u00ad",
        "%41",
        "%E4%BD%A0",
        "%2541",
        "&amp;",
        "&#65;",
        "½",
        "é",
        "你",
        "a",
        " ",
        "\x07",
        "\x96",
        "[",
        "％",
    ]
)


@given(st.lists(odd, max_size=12).map(" ".join) | st.lists(odd, max_size=12).map(lambda each: " " + "".join(each)))
def test_normalized_text_to_original_maps_characters(text):
    """Each normalised character maps to the characters it replaces."""
    normalized = NormalizedText(text)
    end = 0
    for index, character in enumerate(normalized.text):
        begin, after = normalized.to_original(index, index + 1)
        assert character in NormalizedText(" " + text[begin:after]).text[1:], (text, index)
        assert begin >= end or normalized.to_original(index - 1, index) == (begin, after)
        end = after


def test_normalize_long_escapes_are_not_cached():
    """An escape is decoded however often it was escaped; only short ones are kept, so that the cache stays small."""
    kept = normalise._decode_short.cache_info
    before = kept().misses
    assert NormalizedText("%" + "25" * 7 + "5A").text == "Z"
    assert kept().misses == before + 1
    assert NormalizedText("%" + "25" * 5000 + "40").text == "@"
    assert kept().misses == before + 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12345 Elm Street, Boston, MA 0211512 Oak Street, Boston, MA 02115", [(0, 34), (34, 65)]),
        ("123456789 Elm Street, Boston, MA 02115", [(4, 38)]),
    ],
)
def test_find_house_numbers_may_touch_digits(text, expected):
    """The number of a house may stand right after other digits."""
    assert [each[1:] for each in find(text) if each.type == "ADDRESS"] == expected


def test_find_adjacent_entities_stay_separate():
    """Adjacent entities stay separate."""
    for joint in "/|&-":
        assert types(f"bob@example.com{joint}alice@example.com") == ["EMAIL", "EMAIL"]
    text = "driver's license number D1234567 write to john.o'neil+film@mail.example.co.uk"
    assert types(text) == ["DRIVER_ID", "EMAIL"]


def test_find_hundreds_of_near_numbers_hide_none():
    """Hundreds of near-numbers hide no number: all further ones are masked."""
    near, hidden = "666-45-6789, ", "call 555 1234"
    assert types(near * 3 + hidden) == ["PHONE"]
    text = near * 2000 + hidden
    entities = find(text)
    assert entities[-1].end == len(text)
    assert 1000 < len(entities) < 2000


def test_find_context_words_match_whole_words():
    """Context words count only as whole words."""
    assert types("Name: Bob Smith") == ["NAME"]
    assert types("my phone: 555 1234, or tel 5551235") == ["PHONE", "PHONE"]
    for text in (
        "surname: Bob Smith has a name.",
        "during 1939-1945",
        "Unfortunately (1938-1981) he died",
        "an excellent 1990-1995 run",
        "call of duty 2003-2019",
        "dead::beef and a::b",
        "chapter 1.2.3.4",
        "a taxi driver in 1976 New York",
    ):
        assert types(text) == [], text


def test_redact_masks_are_not_found_again():
    """Masks are not found again."""
    for mode in ("replace", "hash"):
        once = redact("password: abc12345! and passwd=139 54 6681", mode, key=b"k").text
        assert redact(once, mode, key=b"k").text == once
        assert "abc12345" not in once


def test_find_windows_1252_read_as_latin_1():
    """Quotes and dashes of Windows-1252 that were read as Latin-1 count as what they were."""
    assert find("4111\x9611111111\x971111") == [Entity("CREDIT_DEBIT_NUMBER", 0, 18)]
    assert find("Password: \x93hunter2\x94") == [Entity("PASSWORD", 11, 18)]
    assert find("My name\x92s Bob Doe") == [Entity("NAME", 10, 17)]
    assert find("4111x11111111x1111") == []
