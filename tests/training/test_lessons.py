"""Sentences with a negation: those to train on, and those to validate on."""

import json
from pathlib import Path

from candor.text.tokens import tokenize, words_of
from training.lessons import negations

VALIDATION = Path(__file__).with_name("negations.jsonl")


def test_no_lesson_is_a_validation_sentence() -> None:
    rows = [json.loads(line) for line in VALIDATION.read_text().splitlines()]
    assert len(rows) == 60
    assert sum(row["label"] == "positive" for row in rows) == 30
    lessons = {tuple(words_of(tokenize([text]))) for text, _ in negations()}
    assert not [row["text"] for row in rows if tuple(words_of(tokenize([row["text"]]))) in lessons]


def test_lessons_of_both_labels_are_about_as_many() -> None:
    lessons = negations()
    assert len({text for text, _ in lessons}) == len(lessons)
    assert 0.45 < sum(praise for _, praise in lessons) / len(lessons) < 0.55
