#!/usr/bin/env bash
# fairlearn 0.15.0: a faultless classifier can have the worst possible equalized odds. Seen 2026-11-27.
#
# One would expect a group in which nobody is truly positive to have no true positive rate: NaN, or a warning as from
# scikit-learn's recall_score, and to be left out of the comparison of that rate.
# What happens: fairlearn.metrics gives it the rate 0.0 and says nothing (the rates come from scikit-learn's
# normalised confusion matrix, which turns 0/0 into 0). So with every prediction right, the difference between the
# groups is 1.0 and their ratio 0.0, the values of a model that is right for one group and wrong for another.
# Seen: rates 1.0, 1.0 and 0.0 for a group without a positive; difference 1.0 with that group, 0.0 without it.
# What it means: in a slice of a test set, a small group with one class only looks like the most unfair one. Count
# each group's positives and negatives first, and leave out the groups that lack either.
set -euo pipefail
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
    { echo "needs Python 3.11 to 3.13: set PYTHON to one" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fairlearn==0.15.0 scikit-learn==1.9.1

"$folder/venv/bin/python" -W error - <<'PYTHON'
import sys

import fairlearn
import sklearn
from fairlearn.metrics import MetricFrame, equalized_odds_difference, equalized_odds_ratio, true_positive_rate

groups = ["a"] * 4 + ["b"] * 4 + ["c"] * 3
truth = [1, 0, 1, 0] + [1, 0, 1, 0] + [0, 0, 0]
predicted = truth
rates = MetricFrame(metrics=true_positive_rate, y_true=truth, y_pred=predicted, sensitive_features=groups).by_group
difference = equalized_odds_difference(truth, predicted, sensitive_features=groups)
both = [row for row in range(len(truth)) if groups[row] != "c"]
without = equalized_odds_difference(
    [truth[row] for row in both], [predicted[row] for row in both], sensitive_features=[groups[row] for row in both]
)
ratio = equalized_odds_ratio(truth, predicted, sensitive_features=groups)

print("fairlearn", fairlearn.__version__, "scikit-learn", sklearn.__version__)
print("every prediction is right; group c has no positive")
print("true positive rates:", {group: float(rate) for group, rate in rates.items()})
print(f"equalized odds: difference {difference}, ratio {ratio}; difference without c {without}")
sys.exit((list(rates), difference, ratio, without) != ([1.0, 1.0, 0.0], 1.0, 0.0, 0.0))
PYTHON
