"""One job of explanations: which test sequences, by which methods, and how well motifs are found in them.

Every method's value of a letter is taken by its magnitude, and letters within motifs are ranked against all others of
their sequence: the AUROC is 1 where every motif letter stands above every other one, and 0.5 for values that know
nothing of motifs. Sequences without a motif, or of nothing else, have none; of the others at most so many are
explained, evenly spaced over the test rows, so that all arms and seeds have the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from foundationless.errors import UserError
from foundationless.evaluation.metrics import evaluate_ranking
from foundationless.evaluation.records import Result, finite
from foundationless.models.tokenizers import Tokenizer
from foundationless.runtime.log import tell
from foundationless.scoring.explanations.attributions import (
    Attributions,
    Explained,
    gradients,
    mutagenesis,
    shuffled_references,
    to_letters,
)
from foundationless.scoring.explanations.motifs import Motifs, Site
from foundationless.scoring.explanations.rollout import rollout
from foundationless.study.vocabulary import CLASSES
from foundationless.training.compute import Compute
from foundationless.training.finetuning import Trained


@dataclass(frozen=True)
class How:
    """Which methods, of how many sequences at most, with how many steps and which baseline of gradients.

    Of the baseline `shuffled` so many `references` a sequence, drawn by `seed`.
    """

    methods: Sequence[str]
    sequences: int
    steps: int
    baseline: str
    references: int = 1
    seed: int = 1


def explain(
    trained: Trained, tokenizer: Tokenizer, motifs: Motifs, how: How, compute: Compute
) -> tuple[list[Result], pd.DataFrame]:
    """Attributions of a trained classifier on its test rows.

    Returns:
        Results (`auroc` of each method, `extra.measure`, the mean over sequences; null with `extra.reason` where a
        network has no such method; and the classifier's own scores, `extra.measure` classifier), and a row per sequence
        and method: id, group, label, method, auroc, contrast (F), baseline (F of the baseline, NaN without one), miss
        (|sum of attributions - (F - F of the baseline)|), sites (START-END:STRAND:MOTIF, by spaces), sequence, and
        attributions, a number a letter.
    """
    if trained.examples.learned.kind != CLASSES:
        raise UserError("explanations are of classes, and the labels of this set are none; take another task.")
    places, sites = choose_sequences(trained.frame, trained.test, motifs, how.sequences)
    frame = trained.frame.iloc[places]
    given = Explained(
        trained.classifier, tokenizer, compute, frame["sequence"].tolist(),
        [trained.examples.tokens[place] for place in places], trained.examples.targets[places],
    )  # fmt: skip
    whole = given.contrasts()
    results = [
        Result(name, value, len(trained.test), extra={"measure": "classifier"})
        for name, value in trained.scores.items()
    ]
    tables = []
    for method in how.methods:
        letters, lowest, misses = _attribute(given, method, how, whole, int(trained.settings["max_tokens"]))
        if letters is None:
            reason = f"family '{trained.classifier.backbone.family}' computes no attention weights"
            tell(f"{method}: not available, {reason}")
            results.append(Result("auroc", None, 0, extra={"measure": method, "reason": reason}))
            continue
        found = np.array([rank_letters(values, each) for values, each in zip(letters, sites, strict=True)])
        known = found[np.isfinite(found)]
        value = finite(known.mean()) if len(known) else None
        results.append(Result("auroc", value, len(known), extra={"measure": method}))
        tables.append(
            frame[["id", "group", "label"]].assign(
                method=method, auroc=found, contrast=whole, baseline=lowest, miss=misses,
                sites=[" ".join(f"{s.start}-{s.end}:{s.strand}:{s.motif}" for s in each) for each in sites],
                sequence=frame["sequence"],
                attributions=pd.Series([values.astype(np.float32) for values in letters], frame.index),
            )
        )  # fmt: skip
    if not tables:
        raise UserError(f"--methods {' '.join(how.methods)}: this network has none of them; add another.")
    rows = pd.concat(tables, ignore_index=True)
    rows.attrs = {}
    return results, rows


def choose_sequences(
    frame: pd.DataFrame, test: np.ndarray, motifs: Motifs, most: int
) -> tuple[np.ndarray, list[list[Site]]]:
    """Places of at most `most` test rows that hold motif letters and others, evenly spaced, and the sites of each."""
    asked = test
    if motifs.classes:
        asked = test[frame["label"].iloc[test].astype(str).isin([*motifs.classes]).to_numpy()]
        if not len(asked):
            raise UserError(f"--classes {' '.join(motifs.classes)}: no test row has such a label; correct them.")
    chosen, sites = [], []
    for place, name, sequence in zip(asked, frame["id"].iloc[asked], frame["sequence"].iloc[asked], strict=True):
        mine = motifs.sites(str(name), str(sequence))
        if 0 < inside(mine, len(sequence)).sum() < len(sequence):
            chosen.append(int(place))
            sites.append(mine)
    if not chosen:
        raise UserError("no test sequence holds a motif; correct --patterns, --matrices, --words or --between.")
    spaced = np.unique(np.linspace(0, len(chosen) - 1, min(most, len(chosen))).round().astype(int))
    tell(f"{len(spaced)} of {len(chosen)} test sequences with a motif are explained, of {len(asked)}")
    return np.array(chosen)[spaced], [sites[place] for place in spaced]


def inside(sites: Sequence[Site], length: int) -> np.ndarray:
    """Which letters of a sequence stand in a motif, bool [length]."""
    found = np.zeros(length, dtype=bool)
    for site in sites:
        found[site.start : site.end] = True
    return found


def rank_letters(values: np.ndarray, sites: Sequence[Site]) -> float:
    """AUROC of motif letters by the magnitude of their values; NaN where all that were read are of one kind."""
    known = np.isfinite(values)
    motif = inside(sites, len(values))[known]
    if motif.all() or not motif.any():
        return float("nan")
    return evaluate_ranking(motif, np.abs(values[known]))["auroc"]


def _attribute(
    given: Explained, method: str, how: How, whole: np.ndarray, limit: int
) -> tuple[Attributions | None, np.ndarray, np.ndarray]:
    """Values of letters by a method, F of the baselines, and by how much sums miss their difference."""
    nothing = np.full(len(whole), np.nan)
    if method == "mutagenesis":
        return mutagenesis(given, limit), nothing, nothing
    if method == "rollout":
        shares = rollout(given)
        return None if shares is None else to_letters(given, shares), nothing, nothing
    shuffled = shuffled_references(given, how.references, how.seed) if how.baseline == "shuffled" else []
    steps = how.steps if method == "integrated_gradients" else 0
    found = gradients(given, how.baseline, steps, shuffled)
    misses = np.abs(found.sums - (whole - found.lowest)).max(0)
    return to_letters(given, found.tokens), found.lowest.mean(0), misses
