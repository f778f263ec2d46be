"""Retrieval: candidates ranked by how near they lie to a few known sites, without any training.

The test rows are candidates. Their score is the cosine with the nearest of the known sites (`max`), or with the mean of
them (`centroid`). Features are centred by the mean of all training rows, whose labels are not read (embeddings lie in a
narrow cone, in which all cosines are alike), and brought to unit length, as the heads `knn` and `prototype` read them.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from foundationless.errors import UserError
from foundationless.evaluation.metrics import evaluate_ranking
from foundationless.evaluation.records import Result, finite
from foundationless.evaluation.shots.draws import MARKS
from foundationless.features.classifiers import ProbeSettings, Samples, directions
from foundationless.features.probes import Outcome
from foundationless.study.vocabulary import FIXED, RANK_METRICS
from foundationless.tasks.draws import Drawn

OTHER, SITE = "other", "site"  # labels of the candidates; the second of two classes is the positive one


def run_retrieval(
    samples: Samples,
    kinds: Sequence[str],
    settings: ProbeSettings,
    layers: Mapping[str, int] | None = None,
    *,
    drawn: Drawn,
    by: str,
    site: str,
) -> Outcome:
    """A ranking of the test rows for every draw of known sites, training rows of the class `site` (empty: the second of
    two classes); `kinds` and `layers` are not read, but for the features named first."""
    if settings.metric not in RANK_METRICS:
        raise UserError(f"--metric {settings.metric}: a ranking is judged by {' or '.join(RANK_METRICS)}.")
    name, matrix = next(iter(samples.features.items()))
    if not isinstance(matrix, np.ndarray):
        raise UserError("retrieval compares features in columns, not sequences; use k-mers or an embedding.")
    site = _site_of(samples, site)
    unit = directions(matrix, samples.rows("train"))
    test, labels = samples.rows("test"), samples.frame["label"].astype(str).to_numpy()
    kinds_of = np.where(labels == site, SITE, OTHER)
    rows = samples.frame.iloc[test][["id", "group"]].assign(label=kinds_of[test])
    rows.attrs = {}
    frames: list[pd.DataFrame] = []
    results: list[Result] = []
    for fold, taken, draw, places, _ in drawn.each(samples.frame, site):
        scores = nearness(unit[test], unit[places[labels[places] == site]], by)
        run = f"{taken} sites, draw {draw}"
        frames.append(rows.assign(score=scores, run=run, fold=fold, **MARKS, split="test"))
        value = evaluate_ranking(rows["label"].to_numpy() == SITE, scores)[settings.metric]
        extra = {"run": run, "epoch": None, "rows": taken, "drawn": draw, "selected": True}
        results.append(Result(settings.metric, finite(value), len(test), "test", "run", fold, extra=extra))
    said = drawn.settings() | {"by": by, "site": site, "classes": [OTHER, SITE], "features": name}
    return Outcome(results, pd.concat(frames, ignore_index=True), FIXED, [], {}, said)


def nearness(candidates: np.ndarray, known: np.ndarray, by: str) -> np.ndarray:
    """Cosine [n] of rows of unit length [n, d] with the nearest of the known ones [m, d], or with their mean."""
    if by == "max":
        return np.asarray((candidates @ known.T).max(axis=1))
    centre = known.mean(axis=0)
    return np.asarray(candidates @ (centre / max(float(np.linalg.norm(centre)), np.finfo(float).tiny)))


def _site_of(samples: Samples, site: str) -> str:
    if site and site not in samples.classes:
        raise UserError(f"the set has no class '{site}' to retrieve; it has {', '.join(samples.classes)}.")
    if not site and len(samples.classes) != 2:
        raise UserError(f"say which of {', '.join(samples.classes)} is the site to retrieve (`site`).")
    return site or samples.classes[1]
