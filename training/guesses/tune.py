"""Tune an encoder on reviews and let it guess, on one GPU: `python tune.py WORK`.

It needs NumPy and PyTorch only, so that it runs on a machine without Candor. It reads pieces.npz and encoder.npz from
the folder WORK, which `python -m training.guesses.make pieces` writes, and writes a NAME.npz of logits for each model.

1. Masked words of all reviews adapt the encoder to reviews (Devlin et al. 2019; Gururangan et al. 2020, "Don't Stop
   Pretraining").
2. Two models learn from the labelled reviews, from windows of one to eight sentences that have the review's label, and
   from the lessons of training/lessons.py.
3. Others learn from the unlabelled reviews, too, by the guesses of those before (self-training). Two start from the
   adapted encoder, three from the encoder as it was, which knows more of the world beside films, and one halfway
   (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").
4. Each guesses about reviews, about their windows and about words.

Steps are limited by time, so another run gives nearly the same logits, not the same bytes.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

WIDTH, HEADS, INNER, LAYERS, VOCABULARY = 384, 12, 1536, 6, 30522
START, END, MASK = 101, 102, 103
LONGEST = 510
"""Pieces of a text that are read, beside the two around it: the first 160 and the last 350."""
HEAD = 160
BATCH_PIECES = 32_768
WINDOWS = (2, 4)
"""Sentences of the windows that are guessed."""
CROPS = (1, 1, 1, 2, 2, 3, 5, 8)
"""Sentences of those that are learnt from, equally likely."""
CROPS_A_TEXT = 3
DROPOUT = 0.1

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
Array = NDArray[Any]
Step = Callable[[], Any]


class Layer(nn.Module):  # type: ignore[misc]
    """One transformer layer of BERT."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.context = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.inner, self.outer = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.first_norm, self.second_norm = (nn.LayerNorm(WIDTH, 1e-12) for _ in range(2))

    def forward(self, states: Any, mask: Any, dropout: float) -> Any:
        """Return states [b, t, d]; `mask` [b, 1, 1, t] is true where there is a piece."""
        b, t, d = states.shape
        q, k, v = self.qkv(states).view(b, t, 3, HEADS, d // HEADS).permute(2, 0, 3, 1, 4)
        context = functional.scaled_dot_product_attention(q, k, v, mask, dropout_p=dropout)
        context = self.context(context.transpose(1, 2).reshape(b, t, d))
        states = self.first_norm(states + functional.dropout(context, dropout))
        outer = self.outer(functional.gelu(self.inner(states)))
        return self.second_norm(states + functional.dropout(outer, dropout))


class Model(nn.Module):  # type: ignore[misc]
    """The encoder, with a head for one logit and one for masked words.

    Args:
        weights: Tensors by their names in the encoder's file; positions include what the first segment adds.
    """

    def __init__(self, weights: dict[str, Array]) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(VOCABULARY, WIDTH), nn.Parameter(torch.empty(512, WIDTH))
        self.norm, self.layers = nn.LayerNorm(WIDTH, 1e-12), nn.ModuleList(Layer() for _ in range(LAYERS))
        for tensor, name in self._named():
            tensor.data = torch.tensor(np.concatenate([weights[each] for each in name.split("|")]))
        self.dense, self.head = nn.Linear(2 * WIDTH, WIDTH), nn.Linear(WIDTH, 1)
        nn.init.normal_(self.dense.weight, std=0.03)
        nn.init.zeros_(self.head.bias)
        self.masked, self.masked_norm = nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH)
        self.masked.weight.data, self.masked_bias = torch.eye(WIDTH), nn.Parameter(torch.zeros(VOCABULARY))

    def _named(self) -> list[tuple[Any, str]]:
        """Return the encoder's tensors, and the names of what each is put together from."""
        parts = [
            (self.words, "embeddings.word_embeddings", ["weight"]),
            (self.norm, "embeddings.LayerNorm", ["weight", "bias"]),
        ]
        named = [(self.positions, "embeddings.position_embeddings.weight")]
        for index, layer in enumerate(self.layers):
            prefix = f"encoder.layer.{index}."
            for module, name in (
                (layer.context, "attention.output.dense"),
                (layer.first_norm, "attention.output.LayerNorm"),
                (layer.inner, "intermediate.dense"),
                (layer.outer, "output.dense"),
                (layer.second_norm, "output.LayerNorm"),
            ):
                parts.append((module, prefix + name, ["weight", "bias"]))
            for kind in ("weight", "bias"):
                names = [f"{prefix}attention.self.{each}.{kind}" for each in ("query", "key", "value")]
                named.append((getattr(layer.qkv, kind), "|".join(names)))
        return named + [(getattr(module, kind), f"{name}.{kind}") for module, name, kinds in parts for kind in kinds]

    def weights(self) -> dict[str, Array]:
        """Return the encoder's tensors by name."""
        weights: dict[str, Array] = {}
        for tensor, name in self._named():
            names = name.split("|")
            weights.update(zip(names, np.split(tensor.detach().cpu().numpy(), len(names)), strict=True))
        return weights

    def states(self, ids: Any, mask: Any, dropout: float) -> Any:
        """Return what the encoder makes of word pieces [b, t], [b, t, d]."""
        states = functional.dropout(self.norm(self.words(ids) + self.positions[: ids.shape[1]]), dropout)
        for layer in self.layers:
            states = layer(states, mask[:, None, None, :], dropout)
        return states

    def forward(self, ids: Any, mask: Any, dropout: float = 0.0) -> Any:
        """Return logits [b] of praise."""
        states = self.states(ids, mask, dropout).float()
        mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        both = functional.dropout(torch.cat([mean, states[:, 0]], 1), dropout)
        return self.head(functional.dropout(torch.tanh(self.dense(both)), dropout)).squeeze(1)

    def masked_loss(self, ids: Any, mask: Any) -> Any:
        """Hide a fifth of the pieces, and return the mean loss of guessing them."""
        draw = torch.rand(ids.shape, device=ids.device)
        hidden = (draw < 0.2) & (ids != START) & (ids != END) & mask
        other = (draw * 1e7).long() % 29_000 + 1000
        shown = torch.where(draw < 0.16, MASK, torch.where(draw < 0.18, other, ids))
        states = self.states(torch.where(hidden, shown, ids), mask, DROPOUT)[hidden]
        states = self.masked_norm(functional.gelu(self.masked(states)))
        scores = states @ self.words.weight.to(states.dtype).T + self.masked_bias
        return functional.cross_entropy(scores.float(), ids[hidden])


@dataclass
class Spans:
    """Parts of one flat tensor of word pieces: [m] where each begins, and how long it is."""

    pieces: Any
    starts: Array
    lengths: Array

    def batch(self, rows: Array, random: np.random.Generator | None) -> tuple[Any, Any]:
        """Return word pieces [b, t] and their mask. Learning reads any place of half of the longer texts."""
        starts, lengths = self.starts[rows], self.lengths[rows]
        chosen = np.minimum(lengths, LONGEST)
        skip, offset = lengths - chosen, np.zeros_like(lengths)
        if random is not None:
            anywhere = random.random(len(rows)) < 0.5
            offset = np.where(anywhere, (random.random(len(rows)) * (skip + 1)).astype(np.int64), 0)
            skip = np.where(anywhere, 0, skip)
        begin, size, jump = (torch.from_numpy(each).to(DEVICE)[:, None] for each in (starts + offset, chosen, skip))
        at = torch.arange(min(-(-(int(chosen.max()) + 2) // 8) * 8, 512), device=DEVICE)[None] - 1
        index = (begin + at + (at >= HEAD) * jump).clamp(0, len(self.pieces) - 1)
        ids = torch.where(at < size, self.pieces[index].long(), torch.where(at == size, END, 0))
        return torch.where(at < 0, START, ids), at <= size

    def batches(self, random: np.random.Generator | None, pieces: int, most: int) -> list[Array]:
        """Return rows of texts of about one length, up to `pieces` word pieces and `most` texts at a time."""
        lengths = np.minimum(self.lengths, LONGEST) + 2
        order, pool = np.argsort(-lengths, kind="stable"), max(len(lengths), 1)
        if random is not None:
            order, pool = random.permutation(len(lengths)), max(1, int(pieces / max(lengths.mean(), 1)) * 40)
        found = []
        for first in range(0, len(order), pool):
            rows = order[first : first + pool]
            rows = rows[np.argsort(-lengths[rows], kind="stable")]
            while len(rows):
                size = min(most, max(1, pieces // (int(lengths[rows[0]]) + 8)))
                found.append(rows[:size])
                rows = rows[size:]
        return found if random is None else [found[index] for index in random.permutation(len(found))]


class Texts:
    """The texts of one group in pieces.npz."""

    def __init__(self, arrays: dict[str, Array], name: str) -> None:
        self.bounds, self.ends, self.sentences = (
            arrays[f"{name}.{part}"].astype(np.int64) for part in ("bounds", "ends", "sentences")
        )
        self.first = np.cumsum(self.sentences) - self.sentences
        self.pieces = torch.from_numpy(arrays[f"{name}.ids"].astype(np.int32)).to(DEVICE)
        self.whole = Spans(self.pieces, self.bounds[:-1], np.diff(self.bounds))
        self.targets = arrays.get(f"{name}.targets", np.empty(0))

    def windows(self, size: int) -> Spans:
        """Return the windows of candor_training.corpus.Corpus.slices."""
        counts = -(-self.sentences // size)
        index = np.repeat(np.arange(len(counts)), counts)
        offset = size * (np.arange(len(index)) - np.repeat(np.cumsum(counts) - counts, counts))
        return self._spans(index, offset, np.minimum(size, self.sentences[index] - offset))

    def crops(self, random: np.random.Generator) -> tuple[Array, Spans]:
        """Draw windows of the texts; return the text that each is from, [m], and the windows."""
        index = np.repeat(np.arange(len(self.sentences)), CROPS_A_TEXT)
        size = random.choice(CROPS, len(index))
        index, size = (each[size < self.sentences[index]] for each in (index, size))
        offset = (random.random(len(index)) * (self.sentences[index] - size + 1)).astype(np.int64)
        return index, self._spans(index, offset, size)

    def _spans(self, index: Array, offset: Array, size: Array) -> Spans:
        first = self.first[index] + offset
        starts = np.where(offset == 0, self.bounds[index], self.ends[np.maximum(first - 1, 0)])
        return Spans(self.pieces, starts, self.ends[first + size - 1] - starts)


@dataclass
class Lesson:
    """Texts to learn from, with [n] probabilities of praise."""

    texts: Texts
    targets: Array
    windows: bool


def half_precision() -> Any:
    """Return a context in which products are of bfloat16, on a GPU."""
    return torch.autocast(DEVICE, torch.bfloat16, enabled=DEVICE == "cuda")


def fit(model: Any, steps: Sequence[Step], rate: float, seconds: float) -> None:
    """Take steps by AdamW. The rate rises, then falls to 0 by steps or by time, whichever comes first."""
    adam = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01, betas=(0.9, 0.98))
    model.train()
    start = time.monotonic()
    for index, step in enumerate(steps):
        progress = max(index / len(steps), (time.monotonic() - start) / seconds)
        if progress >= 1:
            break
        for group in adam.param_groups:
            group["lr"] = rate * min(1, progress / 0.06 + 0.02) * (1 - progress)
        with half_precision():
            loss = step()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()


def adapt(
    weights: dict[str, Array], texts: Sequence[Texts], epochs: int, rate: float, seconds: float
) -> dict[str, Any]:
    """Return the encoder's weights after guessing masked words of texts."""
    random = np.random.default_rng(0)
    torch.manual_seed(0)
    model, steps = Model(weights), list[Step]()
    model.to(DEVICE)
    for _ in range(epochs):
        epoch = [
            (lambda spans=each.whole, rows=rows: model.masked_loss(*spans.batch(rows, random)))
            for each in texts
            for rows in each.whole.batches(random, BATCH_PIECES, 10_000)
        ]
        steps += [epoch[index] for index in random.permutation(len(epoch))]
    fit(model, steps, rate, seconds)
    return model.weights()


def learn(
    weights: dict[str, Array],
    lessons: Sequence[Lesson],
    seed: int,
    epochs: int,
    rate: float,
    seconds: float,
    batch: int = 128,
    frozen: bool = False,
) -> Model:
    """Return a model that has learnt from lessons; `frozen` keeps the embeddings of word pieces as they are."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    model, steps = Model(weights), list[Step]()
    model.to(DEVICE)
    for parameter in (model.words.weight, model.positions):
        parameter.requires_grad_(not frozen)
    for _ in range(epochs):
        epoch: list[Step] = []
        for lesson in lessons:
            targets = torch.from_numpy(lesson.targets.astype(np.float32)).to(DEVICE)
            index = np.arange(len(lesson.targets))
            parts = [(index, lesson.texts.whole, batch if lesson.windows else 256)]
            if lesson.windows:
                parts.append((*lesson.texts.crops(random), 4 * batch))
            for of, spans, most in parts:
                for rows in spans.batches(random, BATCH_PIECES, most):
                    truth = targets[torch.from_numpy(of[rows]).to(DEVICE)]

                    def step(spans: Spans = spans, rows: Array = rows, truth: Any = truth) -> Any:
                        logits = model(*spans.batch(rows, random), DROPOUT)
                        return functional.binary_cross_entropy_with_logits(logits, truth)

                    epoch.append(step)
        steps += [epoch[index] for index in random.permutation(len(epoch))]
    fit(model, steps, rate, seconds)
    return model


def guess(model: Any, spans: Spans) -> Array:
    """Return the logits of texts, [m] float16."""
    model.eval()
    logits = np.empty(len(spans.starts), np.float16)
    with torch.no_grad(), half_precision():
        for rows in spans.batches(None, 4 * BATCH_PIECES, 1 << 20):
            logits[rows] = model(*spans.batch(rows, None)).float().cpu().numpy()
    return logits


def guess_all(model: Any, groups: dict[str, Texts]) -> dict[str, Array]:
    """Return the logits of all groups but those that are learnt from, and of windows."""
    found = {name: guess(model, texts.whole) for name, texts in groups.items() if name not in ("labelled", "lessons")}
    for name in ("unlabelled", "held_out"):
        found.update({f"{name}.{size}": guess(model, groups[name].windows(size)) for size in WINDOWS})
    return found


def main(work: Path) -> None:
    """Adapt, learn and guess; 10 minutes on an H100."""
    arrays, weights = dict(np.load(work / "pieces.npz")), dict(np.load(work / "encoder.npz"))
    groups = {name[:-4]: Texts(arrays, name[:-4]) for name in arrays if name.endswith(".ids")}
    labelled, unlabelled, lessons = (groups[name] for name in ("labelled", "unlabelled", "lessons"))
    plain = [Lesson(labelled, labelled.targets, True), Lesson(lessons, lessons.targets, False)]
    adapted = adapt(weights, [labelled, unlabelled], 5, 4e-4, 95)
    halfway = {name: (weights[name] + adapted[name]) / 2 for name in adapted}
    models = [learn(adapted, plain, seed, 3, rate, 30, batch=64) for seed, rate in ((1, 1e-4), (2, 2e-4))]
    first = np.mean([guess(model, unlabelled.whole).astype(float) for model in models], axis=0)

    def taught(logits: Array, start: dict[str, Array], *how: Any) -> dict[str, Array]:
        soft = 1 / (1 + np.exp(-logits.clip(-8, 8)))
        return guess_all(learn(start, [*plain, Lesson(unlabelled, soft, True)], *how), groups)

    found = taught(first, adapted, 11, 2, 2e-4, 70)
    np.savez(work / "self1.npz", **found)  # type: ignore[arg-type]
    second = 0.165 * first + 0.58 * found["unlabelled"].astype(
        float
    )  # weights .25 and .75, tempered on held-out reviews
    for name, start, seed, epochs, rate, seconds, frozen in (
        ("wide1", weights, 21, 1, 1e-4, 36, True),
        ("halfway", halfway, 22, 2, 1.5e-4, 66, False),
        ("wide2", weights, 23, 1, 4e-5, 36, True),
        ("self2", adapted, 24, 2, 2e-4, 66, False),
        ("wide3", weights, 25, 2, 1e-4, 66, True),
    ):
        np.savez(work / f"{name}.npz", **taught(second, start, seed, epochs, rate, seconds, 128, frozen))  # type: ignore[arg-type]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
