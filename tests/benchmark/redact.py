"""Redaction of planted entities among hard negatives, under evasions, and of IMDB's reviews; and its cost.

    python -m tests.benchmark.redact [--data aclImdb_v1.tar.gz]

The entities are synthetic (seeded), and valid by the specifications that candor.redact.checks cites.
"""

import argparse
import random
import statistics
import string
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from candor.redact import checks, find

KINDS = (
    "EMAIL", "PHONE", "CREDIT_DEBIT_NUMBER", "INTERNATIONAL_BANK_ACCOUNT_NUMBER", "SSN",
    "US_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER", "CN_RESIDENT_ID", "PASSPORT_NUMBER", "LICENSE_PLATE", "IP_ADDRESS", "MAC_ADDRESS",
    "URL", "API_KEY", "AWS_ACCESS_KEY", "BANK_ACCOUNT_NUMBER", "DATE_TIME", "ADDRESS", "USERNAME", "PASSWORD",
)  # fmt: skip
# Context words of the types that need one: English, Chinese.
CONTEXT = {
    "PASSPORT_NUMBER": ("passport number ", "护照号码"), "LICENSE_PLATE": ("licence plate ", "车牌号"),
    "BANK_ACCOUNT_NUMBER": ("account number ", "银行账号"), "DATE_TIME": ("born on ", "出生日期"),
    "ADDRESS": ("I live at ", "住址："), "PASSWORD": ("password: ", "密码："),
    "US_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER": ("ITIN ", "ITIN "),
}  # fmt: skip
CARRIERS = (
    ("I loved this film, write to me: ", " if you disagree."),
    ("The plot is a mess. ", ", that is where you find me, said the star of 1994."),
    ("After 90 minutes I left. Mine is ", ". Do not lose it."),
    ("这部电影很好看，", "，谢谢大家。"),
    ("演员很棒。", "。我给8分。"),
)
NEGATIVES = (
    "9/10", "10 out of 10", "1994", "1999-2004", "version 2.10.4.1", "v1.2.3.4", "ISBN 978-3-16-148410-0", "order 4155551234",
    "$1,234,567.89", "£12 000", "12:30", "12:30:45", "3.14159265358979", "2001: A Space Odyssey", "8 1/2", "7 500 000", "1080p",
    "4111 1111 1111 1112", "GB82 WEST 1234 5698 7654 33", "110105194912310021", "000-12-3456", "300.300.300.300", "1234567",
    "21 Jump Street", "10 Things I Hate About You", "chapter 11, page 345", "1,000,000", "90 min", "25.12.2003", "2003-12-25",
    "Mr. Smith", "Catch-22", "Apollo 13", "THX 1138", "第3集", "2008年", "票房1234567890元", "rated 4.5 (12345 votes)", "E = mc2",
    "item 12345678901", "S01E05", "1/2/3", "50 000 000", "what @ wedding", "C:\\films\\1", "AK-47", "tt0111161", "0-60 in 4.5",
)  # fmt: skip


class Text(NamedTuple):
    """A text and the span of its planted entity."""

    text: str
    kind: str
    begin: int
    end: int


def digits(rng: random.Random, count: int) -> str:
    """Return random digits."""
    return "".join(rng.choices(string.digits, k=count))


def luhn(start: str, length: int, rng: random.Random) -> str:
    """Return a number with a valid Luhn digit."""
    body = start + digits(rng, length - len(start) - 1)
    return next(body + last for last in string.digits if checks.luhn(body + last))


def grouped(value: str, sizes: Sequence[int], gap: str) -> str:
    """Return a value with a gap after each group of characters."""
    parts, start = [], 0
    for size in sizes:
        parts.append(value[start : start + size])
        start += size
    return gap.join(part for part in [*parts, value[start:]] if part)


def card(rng: random.Random) -> str:
    """Return a payment card number (ISO 7812)."""
    start, length = rng.choice(
        (
            ("4", 16),
            ("51", 16),
            ("55", 16),
            ("2221", 16),
            ("34", 15),
            ("37", 15),
            ("6011", 16),
            ("62", 16),
            ("3530", 16),
            ("36", 14),
        )
    )
    value = luhn(start, length, rng)
    return grouped(value, (4, 6, 5) if length == 15 else (4, 4, 4, 4), rng.choice(("", " ", "-")))


def iban(rng: random.Random) -> str:
    """Return an IBAN (ISO 13616)."""
    country, bank = rng.choice((("DE", 0), ("GB", 4), ("FR", 0), ("NL", 4), ("ES", 0), ("CH", 0), ("PL", 0), ("AT", 0)))
    body = "".join(rng.choices(string.ascii_uppercase, k=bank)) + digits(rng, checks.IBAN_LENGTHS[country] - 4 - bank)
    value = next(number for check in range(2, 99) if checks.iban(number := f"{country}{check:02}{body}"))
    return grouped(value, (4,) * 8, rng.choice(("", " ")))


def resident(rng: random.Random) -> str:
    """Return a Chinese resident ID (GB 11643), one in ten of the old form with 15 digits."""
    day = f"{rng.randint(1940, 2015)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
    body = rng.choice(("110105", "310104", "440305", "510107", "320583")) + day + digits(rng, 3)
    if rng.random() < 0.1:
        return body[:6] + body[8:]
    return next(body + last for last in "0123456789X" if checks.resident_id(body + last))


PHONES = (
    "+1 (2dd) 555-dddd", "(2dd) 555-dddd", "2dd-555-dddd", "2dd.555.dddd", "1-800-555-dddd", "+44 20 7946 dddd", "020 7946 dddd",
    "07700 900ddd", "+44 (0)20 7946 dddd", "+33 6 dd dd dd dd", "06 dd dd dd dd", "+49 30 dddddddd", "030 dddddddd", "0171-ddddddd",
    "+91 98ddd ddddd", "98ddd ddddd", "+81 90-dddd-dddd", "090-dddd-dddd", "+61 4dd ddd ddd", "04dd ddd ddd", "+86 138 dddd dddd",
    "138dddddddd", "139 dddd dddd", "0086-150-dddd-dddd", "010-6ddddddd", "(021) 5ddddddd", "0755-8ddddddd", "400-8dd-dddd", "+55 (11) 9dddd-dddd",
    "(11) 9dddd-dddd", "+39 06 dddd dddd", "+34 6dd ddd ddd", "+82 10-dddd-dddd", "010-dddd-dddd", "+7 495 ddd-dd-dd", "+65 8ddd dddd",
)  # fmt: skip


def filled(pattern: str, rng: random.Random) -> str:
    """Replace each d of a pattern by a digit from 1 to 9."""
    return "".join(rng.choice("123456789") if letter == "d" else letter for letter in pattern)


def mobile(rng: random.Random) -> str:
    """Return a Chinese mobile number."""
    return filled(
        rng.choice(
            (
                "138dddddddd",
                "159 dddd dddd",
                "186-dddd-dddd",
                "+86 177dddddddd",
                "+86 138 dddd dddd",
                "86-139-dddd-dddd",
            )
        ),
        rng,
    )


def word(rng: random.Random, letters: str, shortest: int, longest: int) -> str:
    """Return a random word of the given letters."""
    return "".join(rng.choices(letters, k=rng.randint(shortest, longest)))


LOW, MIXED = string.ascii_lowercase, string.ascii_letters + string.digits
MAKERS: dict[str, Callable[[random.Random], str]] = {
    "EMAIL": lambda c: f"{word(c, LOW, 3, 8)}{c.choice(('', '.', '_', '+'))}{word(c, LOW + '12', 2, 6)}@{word(c, LOW, 3, 9)}.{c.choice(('com', 'org', 'co.uk', 'de', 'com.cn', 'io'))}",
    "PHONE": lambda c: filled(c.choice(PHONES), c),
    "CREDIT_DEBIT_NUMBER": card,
    "INTERNATIONAL_BANK_ACCOUNT_NUMBER": iban,
    "SSN": lambda c: f"{c.randint(100, 665)}-{c.randint(10, 99)}-{c.randint(1000, 9999)}",
    "US_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER": lambda c: f"9{digits(c, 2)}-{c.choice(('70', '78', '81', '90', '94'))}-{c.randint(1000, 9999)}",
    "CN_RESIDENT_ID": resident,
    "PASSPORT_NUMBER": lambda c: c.choice(("X", "E", "C", "G", "")) + filled("dddddddd", c),
    "LICENSE_PLATE": lambda c: c.choice((filled("京A", c) + word(c, "BCDEF12345", 5, 5), "AB" + filled("dd ", c) + "XYZ", filled("7ABCddd", c))),
    "IP_ADDRESS": lambda c: c.choice((".".join(str(c.randint(1, 255)) for _ in range(4)), f"2001:db8:{word(c, '123456789abcdef', 1, 4)}::{word(c, '123456789abcdef', 1, 4)}")),
    "MAC_ADDRESS": lambda c: c.choice((":", "-")).join(word(c, "0123456789ABCDEF", 2, 2) for _ in range(6)),
    "URL": lambda c: f"https://{c.choice(('', word(c, LOW, 3, 6) + ':' + word(c, MIXED, 6, 9) + '@'))}{word(c, LOW, 3, 9)}.com/{word(c, LOW, 2, 8)}?token={word(c, MIXED, 8, 20)}",
    "API_KEY": lambda c: c.choice(("sk_live_", "ghp_", "xoxb-", "AIza")) + word(c, MIXED, 30, 36),
    "AWS_ACCESS_KEY": lambda c: "AKIA" + word(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16, 16),
    "BANK_ACCOUNT_NUMBER": lambda c: filled(c.choice(("dddddddd", "dddddddddd", "dddd dddd dddd", "6222dddddddddddd")), c),
    "DATE_TIME": lambda c: c.choice((f"{c.randint(1940, 2010)}-{c.randint(1, 12):02}-{c.randint(1, 28):02}", f"{c.randint(1, 28)} March {c.randint(1940, 2010)}", f"{c.randint(1940, 2010)}年{c.randint(1, 12)}月{c.randint(1, 28)}日")),
    "ADDRESS": lambda c: c.choice((f"{c.randint(1, 999)} Maple Street, Springfield, IL 6{filled('dddd', c)}", f"{c.randint(1, 99)} Baker Street", f"海淀区中关村大街{c.randint(1, 99)}号")),
    "USERNAME": lambda c: "@" + word(c, LOW, 3, 6) + "_" + word(c, LOW + "123", 2, 6),
    "PASSWORD": lambda c: word(c, MIXED, 5, 10) + c.choice("!#$1"),
}  # fmt: skip


def planted(
    count: int,
    seed: int,
    kinds: Sequence[str] = KINDS,
    context: bool = True,
    make: Callable[[random.Random], str] | None = None,
) -> list[Text]:
    """Return texts with one entity and two hard negatives each, which only look like entities."""
    rng = random.Random(seed)
    texts = []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        before, after = rng.choice(CARRIERS)
        chinese = before[0] > "\u3000"
        before = f"{rng.choice(NEGATIVES)}{'，' if chinese else '. '}{before}" + (
            CONTEXT.get(kind, ("", ""))[chinese] if context else ""
        )
        value = (make or MAKERS[kind])(rng)
        texts.append(
            Text(f"{before}{value}{after} {rng.choice(NEGATIVES)}.", kind, len(before), len(before) + len(value))
        )
    return texts


DIGITS = str.maketrans(string.digits, "０１２３４５６７８９")
ARABIC = str.maketrans(string.digits, "٠١٢٣٤٥٦٧٨٩")


EVASIONS: dict[str, Callable[[str], str]] = {
    "full-width digits": lambda value: value.translate(DIGITS),
    "Arabic-Indic digits": lambda value: value.translate(ARABIC),
    "zero-width": lambda value: "\u200b".join(value),
    "soft hyphen": lambda value: "\u00ad".join(value),
    "no-break spaces": lambda value: value.replace(" ", "\u00a0").replace("-", "\u2011"),
    "underscores": lambda value: f"_{value.replace(' ', '_')}_",
    "URL-encoded": lambda value: quote(value, safe=""),
    "glued letters": lambda value: f"x{value}y",
    "dots between groups": lambda value: value.replace(" ", ".").replace("-", "."),
}
EVADING = ("PHONE", "CREDIT_DEBIT_NUMBER", "INTERNATIONAL_BANK_ACCOUNT_NUMBER", "CN_RESIDENT_ID", "SSN")


def evaded(texts: Sequence[Text], evasion: str) -> list[Text]:
    """Return the texts with their entities changed by an evasion."""
    change, changed = EVASIONS[evasion], []
    for text, kind, begin, end in texts:
        value = change(text[begin:end])
        around = value.startswith(("x", "_"))  # a character added before and after is not part of the entity
        changed.append(Text(text[:begin] + value + text[end:], kind, begin + around, begin + len(value) - around))
    return changed


class Score(NamedTuple):
    """Result of redaction on planted entities."""

    true_positives: int
    planted: int
    false_positives: int
    covered: float
    """Mean share of an entity's letters and digits that are masked."""

    @property
    def f2(self) -> float:
        """F-measure in which recall counts twice as much as precision (van Rijsbergen 1979)."""
        hits, misses = self.true_positives, self.planted - self.true_positives
        return 5 * hits / (5 * hits + 4 * misses + self.false_positives)

    @property
    def leaked(self) -> float:
        """Share of entities that were not found."""
        return 1 - self.true_positives / self.planted


def score(texts: Sequence[Text]) -> tuple[Score, Counter[str]]:
    """Score redaction on texts with planted entities.

    An entity counts as found if nine tenths of it are masked, as whatever type. A match outside of it is a false positive.
    """
    true_positives = false_positives = 0
    shares, missed = [], Counter[str]()
    for text, kind, begin, end in texts:
        masked = set()
        for each in find(text):
            if each.begin < end and each.end > begin:
                masked |= set(range(each.begin, each.end))
            else:
                false_positives += 1
        letters = [index for index in range(begin, end) if text[index].isalnum()]
        share = sum(index in masked for index in letters) / len(letters)
        shares.append(share)
        true_positives += share >= 0.9
        missed[kind] += share < 0.9
    return Score(true_positives, len(texts), false_positives, statistics.mean(shares)), missed


def filled_with(piece: str) -> str:
    """Return 20,000 bytes of a repeated piece."""
    return (piece * (20_000 // len(piece.encode()) + 1)).encode()[:20_000].decode("utf-8", "ignore")


# The worst inputs known for each rule, pattern and pass: near matches again and again, and nothing but matches.
ADVERSARIES = {
    piece: filled_with(piece)
    for piece in (
        # digits
        "1", "1 ", "1.", "1-", "12-34-", "(1)", "+1", "00 ", "12 34 ", "123 456 ", "4111 ", "4 2 5 6 9 3 ", "1234567, ", "11010519491231002", "010-1234, ",
        "+123456789012, ", "800(", "004 ", "9.1 ", "1.1.1.999 ", "666-45-6789-", "1111 1111 1111, ", "0011.2233.4455 ", "1:", "1.1.1.1.", "１", "１２ ", "٣", "1\u200b", "GB82", "½",
        # signs
        "@", "a@", "a.", "a@b.", "://", "a://", ".com/a ", "ab:", "[", "%31", "%2531", "%E4%BD%A0", "&amp;", "\0", "\x96", "\u200b", " ", "aé", "ＡＢ",
        # context words, and near matches after them
        "key ", "secret ", "token ", "born on ", "born on 1 January ", "1 A A A A ", "1 A Street ", "St 1 ", "password:", "Dear Mr ", "account number is 12345 ",
        "passport no ", "driver 1a ", "plate A1 ", "tel 123 ", "order 555 1234, ", "ssn ", "name: ", "user name ", "路1", "生日1", "我叫", "京A",
        "-----BEGIN ", "eyJ", "sk-", "sk_live_", "AKIA", "SG.", "secret " + "a1" * 19 + " ",
        # matches
        "路1号", "a@b.co ", "@abc ", "1.2.3.4 ", "::1 ", "00:1B:44:11:3A:B7 ", "ab://abc ", "a.com/a ", "www.a.b ", "call 5551234 ", "13800138000,",
        "+44 20 7946 0018, ", "4111 1111 1111 1111, ", "GB82WEST12345698765432 ", "11010519491231002X ", "ssn 123-45-6789 ", "京A12345", "my name is Bob ",
    )
} | {"local part": "a" * 19_990 + "@b", "domain": "a@" + "b." * 9999, "key of 19,000": "secret " + "a1" * 9990}  # fmt: skip
FULL = 1 / 100  # matches per byte from which a text counts as nothing but matches


def joined(reviews: Sequence[str], count: int = 100) -> list[str]:
    """Return texts of 20,000 bytes, made of reviews one after the other."""
    blob = "\n".join(reviews).encode()
    return [blob[20_000 * number : 20_000 * (number + 1)].decode("utf-8", "ignore") for number in range(count)]


def seconds(text: str, runs: int = 5) -> float:
    """Return the median seconds of find()."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        find(text)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Print the figures, one per line."""
    parser = argparse.ArgumentParser(prog="redact", description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    from training.data import load

    for line in planted_lines() + review_lines(load(options.data).test_texts, options.show):
        print(line)


def planted_lines() -> list[str]:
    """Return the figures of planted entities."""
    everything, missed = score(planted(3800, 1))
    ids, _ = score(planted(1000, 2, ["CN_RESIDENT_ID"]))
    mobiles, _ = score(planted(1000, 3, ["PHONE"], make=mobile))
    base = planted(1000, 4, EVADING)
    lines = [
        f"planted entities: F2 {everything.f2:.3f} (bar 0.95), leaked {everything.leaked:.1%} (bar 2 %), "
        f"{everything.false_positives} false positives in {everything.planted} texts with look-alikes; missed: {dict(+missed)}",
        f"Chinese resident IDs found: {1 - ids.leaked:.3f} (bar 0.99), mobiles {1 - mobiles.leaked:.3f} (bar 0.98)",
    ]
    for name in EVASIONS:
        lines.append(f"coverage, {name}: {score(evaded(base, name))[0].covered:.3f} (bar 0.93)")
    return lines


def review_lines(reviews: Sequence[str], show: bool = False) -> list[str]:
    """Return the figures of reviews: matches by type, which a reader has to judge, and the cost."""
    from candor.cli.gateway import LOCAL
    from candor.model.classifier import Classifier

    types = Counter[str]()
    for review in reviews:
        for each in find(review):
            types[each.type] += 1
            if show:
                around = review[max(0, each.begin - 40) : each.end + 20].replace("\n", " ")
                print(f"{each.type}\t{review[each.begin : each.end]!r}\t{around!r}")
    plain = min(
        (review for review in reviews if not find(review) and not any(c.isdigit() for c in review)),
        key=lambda review: abs(len(review.split()) - 230),
    )
    classifier = Classifier.load(Path(LOCAL["BUNDLE_PATH"]))
    predict = []
    for _ in range(200):
        start = time.perf_counter()
        classifier.predict([plain])
        predict.append(time.perf_counter() - start)
    cost, whole = seconds(plain, 201), statistics.median(predict)
    sample = reviews[::25]
    start = time.perf_counter()
    for review in sample:
        find(review)
    elapsed = time.perf_counter() - start
    labels = [[each.label for each in classifier.predict(reviews, redact=redact)] for redact in (True, False)]
    flipped = sum(one != other for one, other in zip(*labels, strict=True))
    pairs = []
    for _ in range(9):
        moments = [time.perf_counter()]
        for redact in (True, False):
            classifier.predict(sample, redact=redact)
            moments.append(time.perf_counter())
        pairs.append((moments[1] - moments[0], moments[2] - moments[1]))
    redacted, scored = (statistics.median(times) for times in zip(*pairs, strict=True))
    single = statistics.median(seconds(review) / len(review.encode()) for review in sample)
    long = statistics.median(seconds(text, 3) / len(text.encode()) for text in joined(reviews))
    costs = {name: (seconds(text, 3), len(text.encode()), len(find(text))) for name, text in ADVERSARIES.items()}
    worst, name = max((cost / size, name) for name, (cost, size, matches) in costs.items() if matches < FULL * size)
    full = sorted((cost / matches, name) for name, (cost, size, matches) in costs.items() if matches >= FULL * size)
    return [
        f"matches in {len(reviews):,} reviews: {dict(types)}; labels that redaction changes: {flipped} (bar 0.1 %)",
        f"redaction of a review of 230 words without a match: {cost * 1e6:.0f} µs (bar 80), {cost / whole:.0%} of predict",
        f"redaction of a review: {elapsed / len(sample) * 1e6:.0f} µs alone, {(redacted - scored) / len(sample) * 1e6:.0f} µs in blocks; "
        f"predictions per second with redaction vs without: {scored / redacted:.0%}",
        f"cost per byte of the worst of {len(costs) - len(full)} texts of 20,000 bytes with few matches ({name!r}): {worst / long:.1f} times "
        f"the median of reviews joined to that length (bar 3), {worst / single:.1f} times that of single reviews",
        f"{len(full)} texts of nothing but matches: {full[0][0] * 1e6:.1f} ({full[0][1]!r}) to {full[-1][0] * 1e6:.1f} µs "
        f"({full[-1][1]!r}) per match",
    ]


if __name__ == "__main__":
    main()
