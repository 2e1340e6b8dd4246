"""Logistic regression on two facts of a search: does what was found answer the question?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rag.relevance import Calibration
from rag.schema import Evidence

# What keeps the weights finite where the two kinds can be told apart without a mistake. In units of the log-likelihood.
RIDGE = 1e-2
STEPS = 50
TOLERANCE = 1e-8


def fit(answerable: Sequence[Evidence], unanswerable: Sequence[Evidence]) -> Calibration:
    """The weights under which the two kinds are likeliest, each kind counting as much as the other in all.

    Newton's method on the penalised log-likelihood (Hastie, Tibshirani and Friedman, The Elements of Statistical
    Learning, 2009, section 4.4.1). Raises ValueError where one of the kinds is empty.
    """
    if not answerable or not unanswerable:
        raise ValueError("both kinds of question are needed")
    facts = np.array([(1.0, each.cosine, each.coverage) for each in (*answerable, *unanswerable)])
    truth = np.array([1.0] * len(answerable) + [0.0] * len(unanswerable))
    share = np.where(truth == 1.0, 0.5 / len(answerable), 0.5 / len(unanswerable)) * len(truth)
    penalty = np.diag([0.0, RIDGE, RIDGE])
    weights = np.zeros(3)
    for _ in range(STEPS):
        likely = 1 / (1 + np.exp(-facts @ weights))
        gradient = facts.T @ (share * (truth - likely)) - penalty @ weights
        curvature = (facts * (share * likely * (1 - likely))[:, None]).T @ facts + penalty + 1e-9 * np.eye(3)
        step = np.linalg.solve(curvature, gradient)
        weights = weights + step
        if np.abs(step).max() < TOLERANCE:
            break
    bias, cosine, coverage = (round(float(each), 4) for each in weights)
    return Calibration(bias, cosine, coverage)


def threshold(relevances: Sequence[float], refused: float) -> float:
    """The highest relevance below which at most this share of the answerable questions lies, to two decimals down."""
    ordered = sorted(relevances)
    return int(ordered[min(int(refused * len(ordered)), len(ordered) - 1)] * 100) / 100
