"""Sentences of ours that teach a student of reviews what negation does.

No count of n-grams learns it from labelled reviews: long texts say "not" in every mood. The sentences come from a few
frames and words, so that they are short, plain and about films and shows. Three quarters of them negate.
"""

from itertools import product


def _split(text: str) -> list[str]:
    return text.split("|")


PRAISE = _split(
    "fine|superb|fantastic|enjoyable|pleasant|memorable|touching|delightful|perfect|interesting|good|great|funny|"
    "original|impressive|convincing|nice|excellent|brilliant|wonderful"
)
BLAME = _split(
    "bad|awful|horrible|weak|silly|tedious|pathetic|lame|dreadful|pointless|boring|terrible|poor|stupid|dull|"
    "disappointing|annoying|predictable|ridiculous|worst"
)
PRAISING, BLAMING = _split("like|love|enjoy|recommend|appreciate"), _split("hate|dislike|regret|mind")
SUBJECTS = _split(
    "the movie|this picture|the dialogue|the direction|the whole thing|the show|that performance|the second half|it|he"
)
NEGATED = _split(
    "{subject} is not {word} .|{subject} was not very {word} .|{subject} wasn't all that {word} .|"
    "{subject} is never {word} .|i do not find {subject} {word} .|i didn't think {subject} was {word} .|"
    "{subject} is not exactly {word} .|nobody would say that {subject} is {word} .|you can't call {subject} {word} .|"
    "not {word} .|{subject} is n't {word} .|there is nothing {word} about {subject} .|far from {word} .|"
    "{subject} is anything but {word} .|hardly {word} , i thought ."
)
PLAIN = _split(
    "{subject} is {word} .|{subject} was really {word} .|i found {subject} {word} .|how {word} {subject} is !|{word} ."
)
PRAISING_NOUNS = _split("masterpiece|gem|classic|triumph|delight|joy|treat|pleasure|success|winner|must see")
BLAMING_NOUNS = _split("mess|disaster|waste|bore|failure|joke|disappointment|flop|letdown|mistake|waste of money")
NEGATED_NOUNS = _split(
    "{subject} is not a {word} .|{subject} was hardly a {word} .|hardly a {word} .|{subject} isn't a {word} .|"
    "not a {word} .|{subject} is no {word} .|{subject} is far from a {word} .|{subject} has never been a {word} ."
)
PLAIN_NOUNS = _split("{subject} is a {word} .|what a {word} !|{subject} was a real {word} .")
NEGATED_VERBS = _split(
    "i do not {word} it .|i didn't {word} this one .|i would never {word} it .|nobody will {word} it .|"
    "we don't {word} that film .|i could not {word} this movie ."
)


def negations() -> list[tuple[str, bool]]:
    """Return sentences and whether they praise, each once, sorted.

    Example:
        >>> lessons = negations()
        >>> ("far from boring .", True) in lessons, ("i do not like it .", False) in lessons
        (True, True)
    """
    sentences = set()
    for frames, praise, words in (
        (NEGATED, False, PRAISE),
        (NEGATED, True, BLAME),
        (PLAIN, True, PRAISE),
        (PLAIN, False, BLAME),
        (NEGATED_NOUNS, False, PRAISING_NOUNS),
        (NEGATED_NOUNS, True, BLAMING_NOUNS),
        (PLAIN_NOUNS, True, PRAISING_NOUNS),
        (PLAIN_NOUNS, False, BLAMING_NOUNS),
        (NEGATED_VERBS, False, PRAISING),
        (NEGATED_VERBS, True, BLAMING),
    ):
        for frame, subject, word in product(frames, SUBJECTS, words):
            sentences.add((frame.format(subject=subject, word=word), praise))
    return sorted(sentences)
