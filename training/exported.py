"""The exported model, as it is served, and beside the trained one."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from candor.model.classifier import BLOCK, model_inputs, softmax
from candor.model.interpreter import Signature
from candor.text.evidence import Evidence, warnings
from candor.text.features import Featuriser
from candor.text.identity import Identity
from candor.text.table import Table

from .fairness import Answers
from .learn import Learnt

Floats = NDArray[np.float64]


class Exported:
    """The exported model, run by the interpreter that serves it.

    Args:
        files: The content of features.bin and model.tflite.
        kinds: Kinds of its features.
        identity: Terms that it does not tell apart.
    """

    def __init__(self, files: Mapping[str, bytes], kinds: tuple[str, ...], identity: Identity | None = None) -> None:
        self.files, self.featuriser = files, Featuriser(kinds, identity=identity)
        self.table = Table.from_bytes(files["features.bin"])
        self._run = Signature(files["model.tflite"])

    @classmethod
    def of(cls, learnt: Learnt, identity: Identity | None) -> "Exported":
        """Export a model."""
        return cls(learnt.additive.to_files(learnt.bits), learnt.kinds, identity)

    def answers(
        self, texts: Sequence[str], min_confidence: float, scripts: Sequence[str], evidence: Evidence
    ) -> Answers:
        """Return what a bundle of this model would answer to n redacted texts."""
        probabilities, doubtful = [np.empty((0, 0))], []
        for start in range(0, len(texts), BLOCK):
            block = texts[start : start + BLOCK]
            features = self.featuriser(block, self.table)
            probabilities.append(softmax(self._run(model_inputs(features))["logits"][: len(block)]))
            counts = zip(block, features.words.tolist(), features.known.tolist(), strict=True)
            doubtful += [bool(warnings(text, words, known, scripts, evidence)) for text, words, known in counts]
        every = np.concatenate(probabilities[1:])
        sure = (every.max(axis=1) >= min_confidence) & ~np.array(doubtful, bool)
        return Answers(every, np.where(sure, every.argmax(axis=1), -1))

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Return probabilities [n, K] of n redacted texts."""
        blocks = [texts[start : start + BLOCK] for start in range(0, len(texts), BLOCK)]
        return np.concatenate([softmax(self._logits(block)) for block in blocks])

    def _logits(self, block: Sequence[str]) -> NDArray[np.float32]:
        return self._run(model_inputs(self.featuriser(block, self.table)))["logits"][: len(block)]


def compare(learnt: Learnt, exported: Exported, texts: Sequence[str]) -> tuple[Floats, Floats]:
    """Return probabilities [n, K] of n texts by the trained and by the exported model."""
    trained = learnt.additive.in_table_order()
    blocks = [
        exported.featuriser(texts[start : start + BLOCK], exported.table) for start in range(0, len(texts), BLOCK)
    ]
    logits = [trained.logits(each.ids, each.rows, len(each.tokens)) for each in blocks]
    return softmax(np.concatenate(logits)), exported(texts)
