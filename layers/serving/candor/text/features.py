"""Turn text into numbers: hashes of words and of the n-grams that they make, each looked up in the model's table.

A token's hash comes from its first 16 bytes and its length, mixed by multiply and xorshift as in multiply-shift hashing
(Dietzfelbinger et al. 1997), and cut to 32 bits. An n-gram's hash comes from those of its tokens. What the table does
not hold is dropped, so that no unseen word passes for a known one. Every step is a NumPy pass over a whole block of
texts, so that a text costs a few microseconds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import EllipsisType
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from candor.text.tokens import PADDING, PUNCTUATION, Tokens, encode, tokenize

VERSION = 3
"""Version of the hashes. Change it whenever any text gets other hashes: bundles of other versions are refused."""
KINDS = ("word", "pair", "negated", "char")
"""Kinds of features. word: one token, a punctuation mark too. pair: neighbours. negated: a word shortly after a
negator. char: 2 to 5 characters of a word, with the space on either side of it."""
NEGATED_WORDS = 4
"""Words after a negator that count as negated, up to a punctuation mark or another negator."""
MIN_CHARS, MAX_CHARS = 2, 5
_MORE = np.arange(MIN_CHARS - 1, MAX_CHARS)  # characters after the first

Hashes = NDArray[np.uint32]
Ints = NDArray[np.int64]

_EIGHT_BYTES, _HALVES = np.dtype("<u8"), np.dtype("<u4")
# The left shifts that keep, of the first and of the second 8 bytes from a token's start, those of a token of n bytes.
_SHIFT = np.array([64 - 8 * n for n in range(9)], dtype=np.uint64)
_SHIFT_REST = np.array([64] * 8 + [64 - 8 * n for n in range(9)], dtype=np.uint64)
# Constants are arrays without a dimension: beside a short array, NumPy takes twice the time for a scalar.
_M1, _M2, _M3 = (np.array(m, np.uint64) for m in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_HALF = np.array(32, np.uint64)
_FEW = 2000  # tokens
_MAX_HASHED = 128  # bytes of a token; what is longer differs by its length only
_HALF32 = np.array(16, np.uint32)
# Odd multipliers, one for each kind. They keep equal tokens of different kinds apart.
_PAIR, _NEGATED, _CHAR = (np.array(m, np.uint32) for m in (0x9E3779B1, 0x27D4EB2F, 0x165667B1))
_FINAL = np.array(0x7FEB352D, np.uint32)
_SPANS = {"word": 0, "pair": 1}  # tokens from the first to the last of a gram

_NEGATORS = """
    no not n't never none nobody nothing nowhere neither nor without hardly scarcely barely rarely seldom cannot
    aint arent cant couldnt didnt doesnt dont hadnt hasnt havent isnt mustnt neednt shouldnt wasnt werent wont
    wouldnt ain't aren't can't couldn't daren't didn't doesn't don't hadn't hasn't haven't isn't mightn't mustn't
    needn't oughtn't shan't shouldn't wasn't weren't won't wouldn't
""".split()  # noqa: SIM905 - a list of quoted words is harder to read
_FEW_NEGATORS = 16
_SCOPE = np.arange(1, NEGATED_WORDS + 1)


class Merging(Protocol):
    """Anything that makes some tokens equal before features are made of them, as candor.text.identity.Identity does."""

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """The tokens of each group, as written."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the groups that these tokens are in."""

    def merge(self, hashes: Hashes) -> tuple[Ints, Ints]:
        """Replace the hashes of these tokens in place, and return their indices, ascending, and their groups."""


class Lookup(Protocol):
    """Anything that finds the rows of hashes, as candor.text.table.Table does."""

    def match(self, hashes: Hashes) -> tuple[Hashes, NDArray[np.bool_]]:
        """Return the slot of each hash, for `rows`, and whether the table holds it."""

    def rows(self, slots: Hashes) -> NDArray[np.int32]:
        """Return the rows of slots that `match` returned."""


class Features(NamedTuple):
    """The g features of a block of n texts that the table holds."""

    ids: NDArray[np.int32]
    """[g] row of the table"""
    rows: NDArray[np.int32]
    """[g] text, in [0, n), that the feature is in; ascending within a kind"""
    tokens: NDArray[np.int32]
    """[n] tokens of each text, punctuation marks too"""
    known: NDArray[np.int32]
    """[n] words of each text that the table holds, punctuation marks not counted"""
    words: NDArray[np.int32]
    """[n] words of each text, punctuation marks not counted"""
    mentions: NDArray[np.bool_]
    """[n, G] whether each text has a token of each group that the featuriser's `identity` names"""


class Grams(NamedTuple):
    """The g features of one text that the table holds, with what makes them."""

    ids: NDArray[np.int32]
    """[g] row of the table"""
    first: Ints
    """[g] index of the first token of each; of a negated word, its negator"""
    last: Ints
    """[g] index of the last token of each"""
    kinds: NDArray[np.str_]
    """[g] one of KINDS each"""
    tokens: int
    """Number of tokens of the text"""


@dataclass(frozen=True)
class Featuriser:
    """Look up the features of texts. A bundle stores these settings, so that serving cannot differ from training.

    Args:
        kinds: Some of KINDS, "word" among them.
        version: Version of the hashes with which the model was trained.
        identity: Tokens that are made equal, or None. A bundle stores it in a file of its own.
    """

    kinds: tuple[str, ...] = ("word", "pair")
    version: int = VERSION
    identity: Merging | None = None
    _dense: tuple[str, ...] = field(init=False, repr=False, compare=False)  # kinds with a gram at nearly every token

    def __post_init__(self) -> None:
        if unknown := sorted({*self.kinds} - {*KINDS}):
            raise ValueError(f"unknown kinds of features: {', '.join(unknown)}")
        object.__setattr__(self, "kinds", tuple(kind for kind in KINDS if kind in self.kinds))
        object.__setattr__(self, "_dense", tuple(kind for kind in self.kinds if kind in _SPANS))
        if "word" not in self.kinds:
            raise ValueError('"word" is missing among the kinds of features')

    def to_dict(self) -> dict[str, Any]:
        """Return the settings but `identity` as JSON-ready keyword arguments."""
        return {"kinds": [*self.kinds], "version": self.version}

    def __call__(self, texts: Sequence[str], table: Lookup) -> Features:
        """Return the features of a block of texts.

        A text has the same features alone and at any position of any block.

        Args:
            texts: The n texts of the block, as callers wrote them.
            table: The model's table.

        Returns:
            Features of all n texts. What the table does not hold is dropped.
        """
        tokens, count = tokenize(texts), len(texts)
        bounds, word = tokens.bounds, tokens.is_word
        ids, found, negated, known, merged, groups = self._match(tokens, table)
        unknown = word > known
        if count == 1:
            rows = np.zeros(len(ids), dtype=np.int32)
            n_words = np.count_nonzero(word)
            counts = np.array((len(word), n_words, n_words - np.count_nonzero(unknown)), dtype=np.int32)
            sizes, words, known_words = counts[:1], counts[1:2], counts[2:]
        else:
            stretches = [bounds[:-1] + start for start in self._starts(len(word)).values()]
            stretches.append(negated.searchsorted(bounds) + len(word) * len(self._dense))
            grams = np.diff(found.searchsorted(np.concatenate(stretches)))
            rows = np.tile(np.arange(count, dtype=np.int32), len(stretches)).repeat(grams)
            sizes = np.diff(bounds).astype(np.int32)
            words = sizes - _count(~word, bounds)
            known_words = words - _count(unknown, bounds)  # few are unknown: cheaper to count than the known ones
        if "char" in self.kinds:
            unknown[merged] = False  # their characters would tell them apart
            more, first = _match_chars(tokens, unknown, table)
            ids = np.concatenate([ids, more])
            rows = np.concatenate([rows, (bounds.searchsorted(first, side="right") - 1).astype(np.int32)])
        mentioned = mentions(merged, groups, bounds, 0 if self.identity is None else len(self.identity.names))
        return Features(ids, rows, sizes, known_words, words, mentioned)

    def grams(self, text: str, table: Lookup) -> Grams:
        """Return the features of one text with the tokens that make each.

        Args:
            text: The text as the caller wrote it.
            table: The model's table.

        Returns:
            The features that `__call__` finds, in the same order.
        """
        tokens = tokenize([text])
        ids, found, negated, known, merged, _ = self._match(tokens, table)
        every, negators = np.arange(len(known)), negated[:0]
        if len(negated):
            negators = negators_of(hash_tokens(tokens), tokens.bounds)
        first = np.concatenate([every] * len(self._dense) + [negators])[found]
        last = np.concatenate([*(every + _SPANS[kind] for kind in self._dense), negated])[found]
        bounds = found.searchsorted(np.arange(len(self._dense) + 1) * len(known))
        sizes = np.diff(np.append(bounds, len(found)))
        kinds = np.array([*self._dense, "negated"]).repeat(sizes)
        if "char" in self.kinds:
            unspelled = tokens.is_word & ~known
            unspelled[merged] = False
            more, unknown = _match_chars(tokens, unspelled, table)
            ids = np.concatenate([ids, more])
            first, last = np.concatenate([first, unknown]), np.concatenate([last, unknown])
            kinds = np.concatenate([kinds, np.full(len(more), "char")])
        return Grams(ids, first, last, kinds, len(known))

    def _starts(self, tokens: int) -> dict[str, int]:
        """Return where the grams of each dense kind begin among the grams looked up."""
        return {kind: tokens * number for number, kind in enumerate(self._dense)}

    def _match(
        self, tokens: Tokens, table: Lookup
    ) -> tuple[NDArray[np.int32], Ints, Ints, NDArray[np.bool_], Ints, Ints]:
        """Look up all grams but characters: a stretch of t for each dense kind, then those of negated words.

        Returns:
            [g] rows of those that the table holds, [g] their places among the grams looked up, the index of each
            negated word, [t] whether the table holds each token, and the index and group of each token that was made
            equal.
        """
        bounds, count = tokens.bounds, len(tokens.starts)
        hashes = hash_tokens(tokens)
        merged, groups = (bounds[:0], bounds[:0]) if self.identity is None else self.identity.merge(hashes)
        negated = negated_tokens(hashes, bounds) if "negated" in self.kinds else bounds[:0]
        grams = np.empty(count * len(self._dense) + len(negated), dtype=np.uint32)
        grams[:count] = hashes
        starts = self._starts(count)
        if "pair" in starts:
            _join(hashes, grams[starts["pair"] :])
        if len(negated):
            np.multiply(hashes.take(negated), _NEGATED, out=grams[-len(negated) :])
        _mix(grams[count:])
        slots, held = table.match(grams)
        if "pair" in starts:
            _leave_out_crossings(held[starts["pair"] :][:count], bounds)
        found = held.nonzero()[0]
        return table.rows(slots.take(found, mode="clip")), found, negated, held[:count], merged, groups


def _match_chars(tokens: Tokens, unknown: NDArray[np.bool_], table: Lookup) -> tuple[NDArray[np.int32], Ints]:
    """Return the rows of unknown words' character n-grams that the table holds, and the index of each one's token."""
    index = unknown.nonzero()[0]
    if not len(index):
        return np.empty(0, dtype=np.int32), index
    begins = tokens.starts[index]
    ends = begins + tokens.lengths[index]
    data = tokens.data
    grams, word = char_grams([data[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)])
    slots, held = table.match(grams)
    found = held.nonzero()[0]
    return table.rows(slots[found]), index[word[found]]


def _count(flags: NDArray[np.bool_], bounds: Ints) -> NDArray[np.int32]:
    """Return how many of each text's tokens have the flag, int32 [n]."""
    return np.diff(flags.nonzero()[0].searchsorted(bounds)).astype(np.int32)


def mentions(terms: Ints, groups: Ints, bounds: Ints, count: int) -> NDArray[np.bool_]:
    """Return which of `count` groups each of n texts mentions, [n, count].

    Args:
        terms: [m] index of each token that is a term of a group, ascending.
        groups: [m] group of each.
        bounds: [n + 1] index of each text's first token, then t.
        count: Number of groups.
    """
    found = np.zeros((len(bounds) - 1, count), dtype=bool)
    if len(found) == 1:
        found[0, groups] = True
    elif len(terms):
        found[np.arange(len(found)).repeat(np.diff(terms.searchsorted(bounds))), groups] = True
    return found


def hash_tokens(tokens: Tokens) -> Hashes:
    """Return the hash of each token, uint32 [t]."""
    return _hash(tokens.data, tokens.starts, tokens.lengths)


def hash_words(words: Iterable[bytes | str]) -> Hashes:
    """Return the hash of each word as it is, uint32 [w]: the hash of the token that it is, if it is one.

    Example:
        >>> bool(hash_words(["good"])[0] == hash_tokens(tokenize(["A GOOD film"]))[1])
        True
    """
    data = [encode(word.decode("utf-8", "replace") if isinstance(word, bytes) else word) for word in words]
    lengths = np.array([len(word) for word in data], dtype=np.int64)
    return _hash(b"".join(data) + PADDING, np.cumsum(lengths) - lengths, lengths)


def combine(kind: str, hashes: Hashes, bounds: Ints) -> tuple[Hashes, Ints]:
    """Make the grams of one kind from token hashes alone. No gram reaches from one text into the next.

    Args:
        kind: One of KINDS, except "char".
        hashes: uint32 [t] hash of each token of n texts.
        bounds: [n + 1] index of each text's first token, then t.

    Returns:
        uint32 [g] hash of each gram, and int64 [g] index of its first token, ascending.
    """
    if kind == "negated":
        index = negated_tokens(hashes, bounds)
        return _mix(hashes[index] * _NEGATED), index
    if kind == "word":
        return hashes, np.arange(len(hashes))
    inside = np.ones(len(hashes), dtype=bool)
    _leave_out_crossings(inside, bounds)
    index = inside.nonzero()[0]
    grams = hashes.copy()
    _join(hashes, grams)
    return _mix(grams[index]), index


def _leave_out_crossings(held: NDArray[np.bool_], bounds: Ints) -> None:
    """Set the flags [t] of pairs to False that would reach beyond the end of a text."""
    if len(bounds) == 2:
        held[-1:] = False
        return
    lasts = bounds[1:] - 1
    held[lasts[lasts >= 0]] = False


def negated_tokens(hashes: Hashes, bounds: Ints) -> Ints:
    """Return the indices of the words under negation, ascending: within NEGATED_WORDS after a negator.

    A punctuation mark, another negator and the end of the text end the scope.

    Args:
        hashes: uint32 [t] hash of each token of n texts.
        bounds: [n + 1] index of each text's first token, then t.
    """
    negators = _negators(hashes)
    if len(bounds) == 2 and len(negators) <= _FEW_NEGATORS:
        return np.array(_negated_by_each(hashes, negators), dtype=np.int64)
    index, free = _scopes(hashes, bounds, negators)
    negated: Ints = index[free]
    return negated


def negators_of(hashes: Hashes, bounds: Ints) -> Ints:
    """Return the index of the negator of each word that `negated_tokens` returns."""
    negators = _negators(hashes)
    return negators.repeat(np.count_nonzero(_scopes(hashes, bounds, negators)[1], axis=1))


def _negators(hashes: Hashes) -> Ints:
    """Return the indices of the negators among tokens, ascending."""
    negators: Ints = (_NEGATOR_TABLE.take(hashes & _NEGATOR_MASK, mode="clip") == hashes).nonzero()[0]
    return negators


def _negated_by_each(hashes: Hashes, negators: Ints) -> list[int]:
    """Return the words of one text under negation, one negator after the other: the fastest way for a few."""
    negated = []
    for negator in negators.tolist():
        following = hashes[negator + 1 : negator + 1 + NEGATED_WORDS].tolist()
        for index, token in enumerate(following, negator + 1):
            if token in _STOPS:
                break
            negated.append(index)
    return negated


def _scopes(hashes: Hashes, bounds: Ints, negators: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Return [m, NEGATED_WORDS] the tokens after each of m negators, and which of these are negated."""
    index = negators[:, None] + _SCOPE
    if not len(negators):
        return index, index < 0
    following = hashes.take(index, mode="clip")
    free = _STOP_TABLE.take(following & _STOP_MASK, mode="clip") != following
    free &= index < bounds[bounds.searchsorted(negators, side="right")][:, None]
    np.logical_and.accumulate(free, axis=1, out=free)
    return index, free


def char_grams(words: Sequence[bytes]) -> tuple[Hashes, Ints]:
    """Make the character n-grams of words: 2 to 5 characters, with the space on either side of the word.

    Args:
        words: Tokens as `words_of` returns them, in UTF-8.

    Returns:
        uint32 [g] hash of each n-gram, and int64 [g] index of its word.
    """
    data = b" %b " % b"  ".join(words) if words else b""
    codes = np.frombuffer(data, dtype=np.uint8)
    begins = ((codes & 0xC0) != 0x80).nonzero()[0]  # of characters
    spaces = (codes[begins] == 0x20).nonzero()[0]
    lasts = spaces[1::2]
    word_of = np.arange(len(words)).repeat(lasts - spaces[0::2] + 1)
    room = lasts[word_of] - np.arange(len(begins))  # characters of the same word after each
    inside = (room >= _MORE[:, None]).ravel().nonzero()[0]
    count, first = np.divmod(inside, max(len(begins), 1))
    starts = begins[first]
    ends = np.append(begins, len(data))[first + count + MIN_CHARS]
    hashes = _hash(data + PADDING, starts, ends - starts)
    hashes *= _CHAR
    return _mix(hashes), word_of[first]


def _hash(data: bytes, starts: Ints, lengths: Ints) -> Hashes:
    """Hash the stretches of `data`, which ends with PADDING."""
    # The 8 bytes from each byte on. A copy takes as long as a third of the unaligned reads that it saves.
    words = np.ndarray(shape=(len(data) - 7,), dtype=_EIGHT_BYTES, buffer=data, strides=(1,)).copy()
    hashes = words.take(starts)
    hashes <<= _SHIFT.take(lengths, mode="clip")
    hashes *= _M1
    hashes += lengths.view(np.uint64)
    # One token in eight has more than 8 bytes. Of few tokens it is faster to read all again; the others' rest is 0.
    long: Ints | EllipsisType = (lengths > 8).nonzero()[0] if len(lengths) > _FEW else ...
    rest = words[8:].take(starts[long])
    rest <<= _SHIFT_REST.take(lengths[long], mode="clip")
    rest ^= rest >> _HALF
    rest *= _M3
    hashes[long] += rest
    if len(lengths) and np.maximum.reduce(lengths) > 16:
        _mix_rest(hashes, words, starts, lengths)
    hashes ^= hashes >> _HALF
    hashes *= _M2
    return np.ascontiguousarray(hashes.view(_HALVES)[1::2])


def _mix_rest(hashes: NDArray[np.uint64], words: NDArray[np.uint64], starts: Ints, lengths: Ints) -> None:
    """Mix what follows the first 16 bytes into hashes: rare in English, but eight letters of Cyrillic are 16 bytes."""
    far, offset = (lengths > 16).nonzero()[0], 16
    while len(far) and offset < _MAX_HASHED:
        chunk = words[offset:][starts[far]]
        chunk <<= _SHIFT.take(lengths[far] - offset, mode="clip")
        hashes[far] = (hashes[far] ^ (hashes[far] >> _HALF)) * _M3 + chunk
        offset += 8
        far = far[lengths[far] > offset]


def _mix(values: Hashes) -> Hashes:
    """Spread every bit over the 32, in place."""
    values ^= values >> _HALF32
    values *= _FINAL
    return values


def _join(hashes: Hashes, out: Hashes) -> None:
    """Write the pairs [t] of tokens with the next, not mixed yet; at the last token is none."""
    if len(hashes) > 1:
        pairs = out[: len(hashes) - 1]
        np.multiply(hashes[:-1], _PAIR, out=pairs)
        pairs += hashes[1:]


def _table_of(words: Iterable[str]) -> tuple[Hashes, Hashes]:
    """Return the smallest table with the hashes of words, each at the place that its low bits give, and their mask."""
    hashes = hash_words(words)
    size = next(1 << bits for bits in range(32) if len({*(hashes & ((1 << bits) - 1)).tolist()}) == len(hashes))
    table, mask = np.zeros(size, np.uint32), np.array(size - 1, np.uint32)
    table[hashes & mask] = hashes
    return table, mask


_STOP_WORDS = [*_NEGATORS, *(chr(mark) for mark in PUNCTUATION)]
_NEGATOR_TABLE, _NEGATOR_MASK = _table_of(_NEGATORS)
_STOP_TABLE, _STOP_MASK = _table_of(_STOP_WORDS)
_STOPS = frozenset(hash_words(_STOP_WORDS).tolist())
