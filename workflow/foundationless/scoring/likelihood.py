"""Log-likelihood ratio of ALT against REF, and how well it ranks variants (paper, "Variation", Table 4).

Sign: the ratio is log P(ALT) − log P(REF), and the score of pathogenicity is its negative, because a model that knows
the genome finds the damaging allele the less likely one. Several AUROCs of the paper lie significantly below 0.5: a
ratio ranked with the wrong sign has 1 − AUROC. Every record holds that number too (`extra.defect` is `sign`).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from foundationless.errors import UserError
from foundationless.evaluation.records import Result
from foundationless.models.weights import Weights
from foundationless.scoring.likelihood_ratios import flip, ratios, retokenised, variants_of
from foundationless.scoring.measures import check_variants, genes_of, judge_damage, rank_variants


def score_likelihood(
    weights: Weights, frame: pd.DataFrame, compute: Mapping[str, Any], both_strands: bool = False
) -> tuple[list[Result], pd.DataFrame]:
    """Log-likelihood ratio log P(ALT) − log P(REF) of every variant, in nats (Table 4), and how it ranks them.

    Scores (`run` in files), the reported one first. Causal models: `site`, the alleles' tokens given what stands left
    of them; `window`, all tokens of the window (the consequence of the allele for what follows counts too). Masked
    models with k-mer tokens (SNVs only): `marginal`, see `marginal_ratios`; then `site`. Other masked models: `site`,
    see `masked_ratios`. Of a set in which alleles differ in length `window` is the reported one, of masked models too
    (`masked_windows`), for `site` makes the longer allele the unlikelier. AUROC and AUPRC judge the score −LLR against
    `label`; `spearman` correlates the LLR with the set's function score `score` (both high for a working allele).
    Further results:

    - `auroc` with `extra.defect` = `sign`: that of +LLR, the wrong sign.
    - byte-pair tokens only: `retokenised`, the share of variants whose ALT changes tokens beside the site (on either
      strand, if both are read), and AUROC, AUPRC and Spearman with `extra.subset` = `same_tokens`, of the other
      variants alone, where the two windows differ in nothing but the tokens over the allele. The ratio itself is
      defined in the same way for all of them: the tokens that cover the allele in each window, however many they are.

    Args:
        frame: variant set; `score` where a function score is known; `gene` for AUROC per gene.

    Returns:
        Results, and rows id, group, label, score (−LLR), llr, function_score, retokenised, run, fold, selected,
        selected_paper, split.
    """
    frame = prepare(frame)
    variants = variants_of(frame)
    scores = ratios(weights, variants, compute, both_strands)
    first = next(iter(scores))
    if (blind := np.isnan(scores[first])).any():
        raise UserError(
            f"variant '{frame['id'][blind].iloc[0]}' lies in the first token of its window, which has no left context; "
            "widen it."
        )
    cut = weights.tokenizer.k is None
    changed = np.zeros(len(frame), dtype=bool)
    for strand in (variants, [flip(variant) for variant in variants]) if both_strands else (variants,):
        changed |= retokenised(weights, strand) if cut else False
    results, rows = judge_ratios(frame, scores, changed)
    if cut:
        results.append(Result("retokenised", float(changed.mean()), len(frame), selection="run", extra={"run": first}))
        if (same := ~changed).any():
            extra = {"run": first, "subset": "same_tokens"}
            results += judge_damage(frame[same], -scores[first][same], extra, "run")
    return results, rows


def prepare(frame: pd.DataFrame) -> pd.DataFrame:
    """A variant set, checked, with `function_score`; `UserError` where there is nothing to judge scores against."""
    frame = check_variants(frame, "likelihood")
    frame = frame.assign(function_score=function_scores(frame))
    if frame["label"].isna().all() and frame["function_score"].isna().all():
        raise UserError("likelihood: no variant has a label or a function score; there is nothing to judge against.")
    return frame


def judge_ratios(
    frame: pd.DataFrame, scores: Mapping[str, np.ndarray], changed: np.ndarray
) -> tuple[list[Result], pd.DataFrame]:
    """How ratios [n] by name rank the variants of a set that `prepare` gave, the first being the reported one.

    `changed`: bool [n], whose ALT changes tokens beside the site. Results and rows as of `score_likelihood`.
    """
    first = next(iter(scores))
    parts = _parts(frame)
    results = []
    rows = []
    for name, ratio in scores.items():
        for part, rows_of in parts:
            extra = {"run": name, "selected": name == first} | (part or {"epoch": None})
            results += judge_damage(frame[rows_of], -ratio[rows_of], extra, "run")
        rows.append(
            frame[["id", "group", "label"]].assign(
                score=-ratio,
                llr=ratio,
                function_score=frame["function_score"],
                retokenised=changed,
                run=name,
                fold=-1,
                selected=name == first,
                selected_paper=name == first,
                split="test",
            )
        )
    for selection in ("validation", "test"):
        results += judge_damage(frame, -scores[first], {"run": first}, selection)
    for part, rows_of in parts:
        extra = {"run": first, "defect": "sign", **part}
        if frame["label"].notna().any():
            results += rank_variants(frame["label"][rows_of], scores[first][rows_of], ["auroc"], extra, "run")
    return results, pd.concat(rows, ignore_index=True)


def _parts(frame: pd.DataFrame) -> list[tuple[dict[str, Any], np.ndarray]]:
    """All rows and, of several genes, those of each: (what `extra` says of them, bool [n])."""
    parts: list[tuple[dict[str, Any], np.ndarray]] = [({}, np.ones(len(frame), dtype=bool))]
    genes = genes_of(frame)
    if genes.nunique() > 1:
        for gene in sorted(genes.dropna().unique(), key=str):
            parts.append(({"gene": gene}, (genes == gene).to_numpy()))
    return parts


def function_scores(frame: pd.DataFrame) -> pd.Series:
    """The set's column `score` as float64, NaN where there is none; other words than numbers are a `UserError`."""
    if "score" not in frame.columns:
        return pd.Series(np.nan, frame.index)
    measured = pd.to_numeric(frame["score"], errors="coerce")
    if (odd := measured.isna() & frame["score"].notna()).any():
        raise UserError(f"variant '{frame.loc[odd, 'id'].iloc[0]}': its function score is no number; correct it.")
    return measured
