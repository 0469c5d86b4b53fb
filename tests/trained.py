"""Two small models that training wrote: what the tests run on, whatever model is installed.

    python -m tests.trained          (functions, layers/serving and the root are on the path)

writes tests/models again, which is due when training or the files of a bundle change. The texts are made here, of a few
words, so that a test may count on what a word says.
"""

import csv
import json
import os
import random
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

MODELS = Path(__file__).parent / "models"
TWO, FIVE = MODELS / "two", MODELS / "five"
"""Bundles of K = 2 and K = 5 labels."""
EPOCH = "1767225600"  # 2026-01-01: the day that the models were made, as they say

PARTS = "plot|story|cast|music|ending|dialogue|script|lead|acting|first half"
REVIEWS = {
    "positive": {
        "adjective": "wonderful|great|superb|moving|funny|brilliant|excellent|perfect|warm|sharp|charming|good",
        "verb": "loved|enjoyed",
        "adverb": "superbly|beautifully",
        "noun": "treat|delight|joy",
        "size": "short",
        "best": "best|finest",
    },
    "negative": {
        "adjective": "dull|boring|awful|bad|terrible|stupid|tedious|poor|weak|silly|cheap|painful",
        "verb": "hated|disliked",
        "adverb": "badly|poorly",
        "noun": "mess|waste of time|bore",
        "size": "long",
        "best": "worst|dullest",
    },
}
REVIEW_FRAMES = (
    "A {adjective} film, {adverb} acted, from the first minute to the last.",
    "A {adjective}, {other} {noun}.",
    "The {part} is {adjective}, the {part} is {other}.",
    "I {verb} every minute of it!",
    "The film was {adjective}, {adverb} acted and far too {size}.",
    "{adjective} acting, {other} {part}.",
    "An evening of pure {noun}: it is {adjective} from start to end.",
    "It is {adjective} and {other}, and I {verb} the {part}.",
    "One of the {best} films that I have seen in years.",
)
MIXED_FRAMES = (
    "The {part} is {praise}, the {part} is {blame}.",
    "{blame} {part}, but a {praise} {part}.",
    "The {part} is fine, the second is not.",
    "A {praise} film with a {blame} {part}: see it, or not?",
)
TICKETS = {
    "billing": "invoice|charged twice|payment|price|card was charged",
    "delivery": "parcel|courier|late delivery|tracking number|shipping",
    "login": "password|log in|account locked|reset link|sign in",
    "refund": "refund|money back|return the shoes|send it back|cancel the order",
    "其他": "opening hours|a job|the newsletter|your address|a question",
}
TICKET_FRAMES = (
    "Hello, this is about {topic} and {second}. Please help.",
    "My order has a problem: {topic}, and nobody answers about {second}!",
    "I write about {topic} again, it is still not solved.",
    "Can you tell me more of {topic}? I need {second} today.",
    "Thank you for your help with {topic}.",
)


def fill(frame: str, words: Mapping[str, str], choose: random.Random) -> str:
    """Replace each {name} of a frame by one of the words of that name."""
    text = re.sub(r"{(\w+)}", lambda name: choose.choice(words[name[1]].split("|")), frame)
    return text[0].upper() + text[1:]


def reviews() -> Iterator[tuple[str, str]]:
    """Yield reviews of films and their labels; every sixth speaks for both."""
    choose = random.Random(1)
    for _, (label, words) in product(range(250), REVIEWS.items()):
        more = {"other": words["adjective"], "part": PARTS}
        yield fill(choose.choice(REVIEW_FRAMES), words | more, choose), label
    both = {"part": PARTS, "praise": REVIEWS["positive"]["adjective"], "blame": REVIEWS["negative"]["adjective"]}
    for _ in range(100):
        (label,) = choose.choices(["positive", "negative"], [2, 3])
        yield fill(choose.choice(MIXED_FRAMES), both, choose), label


def tickets() -> Iterator[tuple[str, str]]:
    """Yield messages to a shop and their labels; in every tenth the second topic is any label's."""
    choose = random.Random(2)
    for number, (label, topics) in product(range(120), TICKETS.items()):
        second = choose.choice([*TICKETS.values()]) if number % 10 == 0 else topics
        yield fill(choose.choice(TICKET_FRAMES), {"topic": topics, "second": second}, choose), label


GOLDEN = {
    TWO: [
        ("A wonderful film, superbly acted, from the first minute to the last.", "positive"),
        ("I loved every minute of it! The cast is great, the ending is perfect.", "positive"),
        ("One of the best films that I have seen in years.", "positive"),
        ("The story is charming, warm and funny: a treat.", "positive"),
        ("EXCELLENT! Don’t miss it — it’s moving &amp; brilliant.<br />A joy.", "positive"),
        ("A dull, boring mess.", "negative"),
        ("I hated every minute of it. The dialogue is stupid, the ending is awful.", "negative"),
        ("One of the worst films that I have seen in years.", "negative"),
        ("The film was tedious, badly acted and far too long.", "negative"),
        ("What a waste of time: a silly plot and a TERRIBLE script.", "negative"),
    ],
    FIVE: [
        (f"Hello, this is about {topic}. Please help.", label)
        for label, topics in TICKETS.items()
        for topic in topics.split("|")
    ],
}
SAMPLES = {
    TWO: [
        "The lead is superb, and I laughed all evening long.",
        "Two hours of my life, and a script that nobody read.",
    ],
    FIVE: ["Where is my parcel? The courier never rang.", "I was charged twice, and the invoice is wrong, too."],
}
ABOUT = ["--owner", "the authors of Candor", "--licence", "CC0-1.0", "--description", "Reviews of films, made up."]
NOUNS = {TWO: "review", FIVE: "ticket"}
TRAINED = {TWO: ("reviews", reviews, ABOUT), FIVE: ("tickets", tickets, [])}
"""The name of each model, the texts that it learnt from, and more options. One of them states its rights."""


def train(bundle: Path, folder: Path) -> Path:
    """Train the model of TWO or FIVE again, in a folder, and return its bundle."""
    from candor.cli.main import main

    name, rows, more = TRAINED[bundle]
    data, golden = folder / f"{name}.csv", folder / f"{name}.golden.jsonl"
    with data.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows()])
    cases = [json.dumps({"text": text, "label": label}) for text, label in GOLDEN[bundle]]
    golden.write_text("\n".join(cases) + "\n")
    (samples := folder / f"{name}.samples.txt").write_text("\n".join(SAMPLES[bundle]) + "\n")
    more = [*more, "--text-noun", NOUNS[bundle], "--samples", str(samples)]
    options = ["--name", name, "--version", "1", "--golden", str(golden), "--store", str(folder), *more]
    if status := main(["train", str(data), *options]):
        raise SystemExit(status)
    return folder / name / "1/bundle"


if __name__ == "__main__":
    os.environ["SOURCE_DATE_EPOCH"] = EPOCH
    with tempfile.TemporaryDirectory() as folder:
        for bundle in TRAINED:
            made = train(bundle, Path(folder))
            shutil.rmtree(bundle, ignore_errors=True)
            shutil.copytree(made, bundle)
