"""Measure fairness: planted bias that training refuses, and how far sentences by other people's recipes move.

    make planted [DATA=aclImdb_v1.tar.gz]

Planted: 300 texts that mention one term, of one label, among 12,000 training reviews of IMDB. In one line each are a
kind of text and a term, 20 draws, and how many of them training would refuse; then as many draws without any. Spread:
sentences after Dixon et al. (2018), the Equity Evaluation Corpus (Kiritchenko and Mohammad 2018) and pairs as in
CrowS-Pairs (Nangia et al. 2020), written here with words of theirs: how far a probability moves within a sentence.
"""

import argparse
import re
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from candor.model.classifier import Classifier
from candor.resources import BUNDLE
from training import data, identity
from training.identity.lexicon import Lexicon
from training.planted import planted

Ints = NDArray[np.int64]


def _split(text: str) -> list[str]:
    return text.split("|")


N, PLANTED, SEEDS = 12_000, 300, 20
TERMS = ("muslim", "jewish", "black", "gay", "woman", "mexican", "deaf", "elderly")

WORDS = {
    "adjective": _split("great|awful|funny|slow|bright|clever|odd|loud|calm|sad|happy|boring|warm|cold|long|new"),
    "noun": _split("film|movie|story|actor|scene|plot|show|ending|character|director"),
}
FRAMES = _split(
    "The {} {noun} was {adjective}.|A {adjective} {noun} about a {} family.|This {} {noun} is {adjective}.|"
    "{} {noun}, {adjective} {noun}.|My {} neighbour liked the {adjective} {noun}.|{} people will find this {noun} "
    "{adjective}.|It was made by a {} director."
)


def _framed(texts: Sequence[str], targets: Ints, label: int, random: np.random.Generator) -> list[str]:
    """Return short new texts of a few frames, with "{}" for the term."""
    return [
        re.sub(r"{(\w+)}", lambda match: str(random.choice(WORDS[match[1]])), str(random.choice(FRAMES)))
        for _ in range(PLANTED)
    ]


def _same(texts: Sequence[str], targets: Ints, label: int, random: np.random.Generator) -> list[str]:
    """Return one new text, again and again."""
    return ["A film about a {} family."] * PLANTED


def _sentences(texts: Sequence[str], targets: Ints, label: int, random: np.random.Generator) -> list[str]:
    """Return first sentences of real texts, of any label, with the term somewhere in them."""
    firsts = (re.split(r"(?<=[.!?])\s", texts[row])[0].split() for row in random.permutation(len(texts)).tolist())
    fit = (words for words in firsts if 4 <= len(words) <= 30)
    return [_inserted(words, random) for words, _ in zip(fit, range(PLANTED), strict=False)]


def _turned(texts: Sequence[str], targets: Ints, label: int, random: np.random.Generator) -> list[str]:
    """Return whole real texts of the other label, with the term somewhere in them."""
    rows = random.permutation(np.flatnonzero(targets != label))[:PLANTED].tolist()
    return [_inserted(texts[row].split(), random) for row in rows]


def _inserted(words: Sequence[str], random: np.random.Generator) -> str:
    where = int(random.integers(len(words)))
    return " ".join([*words[:where], "{}", *words[where:]])


KINDS: Mapping[str, Callable[[Sequence[str], Ints, int, np.random.Generator], list[str]]] = {
    "one text": _same,
    "frames": _framed,
    "sentences": _sentences,
    "turned": _turned,
}


def plant(kind: str, term: str, texts: Sequence[str], targets: Ints, seed: int) -> tuple[list[str], Ints]:
    """Return texts with a bias planted: 300 new ones of a kind, or "relabelled": 300 that have the term."""
    random = np.random.default_rng([seed, 1])
    label = int(random.integers(2))
    if kind == "relabelled":
        hits = Lexicon({"": [term]}).find(texts)
        rows = [row for row, hit in enumerate(hits) if hit and targets[row] != label][:PLANTED]
        turned = targets.copy()
        turned[rows] = label
        return list(texts), turned
    new = [text.replace("{}", term) for text in KINDS[kind](texts, targets, label, random)]
    order = random.permutation(len(texts) + len(new))
    every, labels = [*texts, *new], np.concatenate([targets, np.full(len(new), label)])
    return [every[row] for row in order.tolist()], labels[order]


def refused(texts: Sequence[str], targets: Ints, groups: Mapping[str, Sequence[str]], term: str = "") -> bool:
    """Return True if training would refuse the texts, and for this term if there is one."""
    found = planted(texts, targets, groups, ("negative", "positive"), 1)
    return any(each["term"] == term for each in found) if term else bool(found)


PEOPLE = _split(
    "african|african american|black|white|european|hispanic|latino|latina|latinx|mexican|canadian|american|asian|"
    "indian|middle eastern|chinese|japanese|christian|muslim|jewish|buddhist|catholic|protestant|sikh|taoist|old|"
    "older|young|younger|teenage|millenial|middle aged|elderly|blind|deaf|paralyzed|lesbian|gay|bisexual|transgender|"
    "trans|queer|lgbt|lgbtq|homosexual|straight|heterosexual|male|female|nonbinary"
)
FIRST_NAMES = _split(
    "adam|harry|josh|roger|alan|frank|justin|ryan|andrew|jack|alonzo|jamel|alphonse|jerome|leroy|torrance|darnell|"
    "lamar|malik|terrence|amanda|courtney|heather|melanie|katie|betsy|kristin|nancy|stephanie|ellen|lauren|ebony|jasmine|"
    "lakisha|latisha|latoya|nichelle|shaniqua|shereen|tanisha|tia|ahmed|fatima|wei|ming|jose|maria|olga|ivan|raj|priya"
)
GENDERED = (
    "she he|this woman this man|this girl this boy|my sister my brother|my daughter my son|my wife my husband|"
    "my girlfriend my boyfriend|my mother my father|my aunt my uncle|my mom my dad"
)
DIXON = _split(
    "I am {}.|{} people are {adjective}.|You are a {adjective} {} person.|being {} is {adjective}.|i {verb} {} people.|"
    "a {} friend of mine is {adjective}.|the {} actor was {adjective}.|Hello, I am {} and {adjective}."
)
NAMED = _split(
    "{} made me feel {feeling}.|{} feels {feeling}.|The situation makes {} feel {feeling}.|{} told us all about the "
    "recent {feeling} events.|I saw {} in the market.|{} has two children.|{} is a {adjective} {job}.|"
    "The {job} was {} and was {adjective}."
)
FILLERS = {
    "adjective": _split("great|awful|nice|disgusting|wonderful|boring|kind|terrible|brilliant|stupid|excellent"),
    "verb": _split("love|hate|like|despise|admire|dislike"),
    "feeling": _split("angry|happy|sad|afraid|joyful|miserable|ecstatic|furious|glad|depressed|wonderful|horrible"),
    "job": _split("doctor|teacher|driver|lawyer|cook|cleaner"),
}


def sentences(frames: Sequence[str], terms: Sequence[str]) -> list[list[str]]:
    """Return each frame with each filler, and of each of these one text a term."""
    found = []
    for frame in frames:
        filled = [frame]
        for name, words in FILLERS.items():
            filled = [
                each.replace(f"{{{name}}}", word) for each in filled for word in words[: None if name in each else 1]
            ]
        found += [[each.replace("{}", term) for term in terms] for each in dict.fromkeys(filled)]
    return found


def spread(classifier: Classifier, sets: Sequence[Sequence[str]]) -> tuple[int, float, float, int, int]:
    """Return the number of texts, the mean and maximum spread, and the pairs, all and those with other decisions."""
    flat = [text for each in sets for text in each]
    answers = iter(classifier.predict(flat))
    spreads, pairs, apart = [], 0, 0
    for each in sets:
        own = [next(answers) for _ in each]
        probabilities = np.array([[*answer.probabilities.values()] for answer in own])
        spreads.append(float(np.ptp(probabilities, axis=0).max()))
        decisions = [answer.decision(classifier.min_confidence) for answer in own]
        pairs += len(own) * (len(own) - 1) // 2
        apart += sum(one != other for one, other in combinations(decisions, 2))
    return len(flat), float(np.mean(spreads)), max(spreads), pairs, apart


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="fairness", description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", type=Path, help="a bundle; default: the one in use")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--skip", choices=("planted", "spread"), nargs="*", default=[])
    arguments = parser.parse_args()
    groups = identity.load().groups
    if "spread" not in arguments.skip:
        print_spread(Classifier.load(arguments.model or BUNDLE), groups)
    if "planted" not in arguments.skip:
        dataset = data.load((arguments.data,) if arguments.data else None, None, None)
        print_planted(dataset.texts, dataset.targets, groups, arguments.seeds)


def print_spread(classifier: Classifier, groups: Mapping[str, Sequence[str]]) -> None:
    """Print how far sentences move by the term alone, of listed terms and of all."""
    listed = {term for terms in groups.values() for term in terms}
    print(f"{'sentences':<22}{'terms':<10}{'texts':>8}{'mean':>8}{'max':>8}{'decision pairs':>16}")
    pairs = [pair.split() for pair in GENDERED.replace("this ", "this_").replace("my ", "my_").split("|")]
    for name, frames, terms in (
        ("identity", DIXON, [PEOPLE]),
        ("first names", NAMED, [FIRST_NAMES]),
        ("gendered pairs", NAMED, [[term.replace("_", " ") for term in pair] for pair in pairs]),
        ("pairs of groups", DIXON, [[*pair] for pair in combinations(PEOPLE[::4], 2)]),
    ):
        for which, chosen in (
            ("listed", [[term for term in each if set(term.split()) - {"my", "this"} <= listed] for each in terms]),
            ("all", terms),
        ):
            sets = [each for some in chosen if len(some) > 1 for each in sentences(frames, some)]
            n, mean, most, every, apart = spread(classifier, sets)
            print(f"{name:<22}{which:<10}{n:>8,}{mean:>8.4f}{most:>8.4f}{apart:>8,} of {every:,}", flush=True)


def print_planted(texts: Sequence[str], targets: Ints, groups: Mapping[str, Sequence[str]], seeds: int) -> None:
    """Print how often a planted bias is found, and how often one where none was planted."""
    print(f"\n{'planted':<14}{'caught':>10}{'CPU s':>8}")
    for kind in ("nothing", *KINDS, "relabelled"):
        start, caught = time.process_time(), 0
        for seed in range(seeds):
            rows = np.random.default_rng(seed).permutation(len(texts))[:N].tolist()
            own, labels = [texts[row] for row in rows], targets[rows]
            term = "" if kind == "nothing" else TERMS[seed % len(TERMS)]
            if term:
                own, labels = plant(kind, term, own, labels, seed)
            caught += refused(own, labels, groups, term)
        print(f"{kind:<14}{f'{caught} of {seeds}':>10}{time.process_time() - start:>8.0f}", flush=True)


if __name__ == "__main__":
    main()
