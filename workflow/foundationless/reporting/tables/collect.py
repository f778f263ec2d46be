"""From the tables of every analysis to those that figures and readers use.

`collect` joins what `summarise_analysis` wrote, and writes it with what only all tasks together tell: the evidence of
every model over tasks, the ranks of arms, means over folds, and the cost ledger. What sets ours beside the paper comes
from `paper.compare` and `second_paper.compare`. Which tables there are, and with which columns, stands in `catalogue`.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from foundationless.evaluation.across_tasks import rank_tasks, summarise_tasks
from foundationless.evaluation.explanations.tables import logo_table, score_table
from foundationless.evaluation.outputs import facts
from foundationless.evaluation.table_files import add_name_parts, join_tables, write_csv, write_parquet
from foundationless.evaluation.task_results import KEYS, MISSING, NOTES
from foundationless.reporting.paper.compare import paper_outputs
from foundationless.reporting.second_paper.compare import second_outputs
from foundationless.reporting.tables import cost_ledger, latex, looks, prices
from foundationless.reporting.tables.catalogue import TABLES, columns_of
from foundationless.reporting.tables.importances import best_importances
from foundationless.reporting.tables.inputs import Inputs, with_columns
from foundationless.reporting.tables.output_scores import output_scores
from foundationless.reporting.tables.pretraining.gains import curve, split_gain
from foundationless.runtime.files import atomic_directory
from foundationless.study.vocabulary import LAST_LAYER, OF_OUTPUTS, OF_PROBED, UNPAIRED

Tables = dict[str, pd.DataFrame]


def collect(output: Path, inputs: Inputs) -> None:
    """Write the directory of tables: those of `catalogue`; those of the paper if its numbers are given."""
    inputs = inputs.arranged()
    controls = _controls(inputs)
    tables = _results(inputs, prices.Prices(controls["cost"])) | controls
    tables |= paper_outputs(inputs, tables) | second_outputs(inputs, tables)
    with atomic_directory(output, ("*.csv", "*.parquet", "*.tex")) as part:
        write_tables(part, tables)


def _results(inputs: Inputs, hours: prices.Prices) -> Tables:
    """What was measured, under the study's selection, and what only all tasks tell."""
    scores = _selected_by(inputs.scores, inputs.selection)
    comparisons = _selected_by(inputs.comparisons, inputs.selection)
    paired = scores[~scores["analysis"].isin(UNPAIRED)]
    ranked, rank_pairs, unranked = rank_tasks(paired, inputs.tasks, inputs.labels)
    notes = inputs.sort(with_columns(pd.concat([inputs.notes, unranked]), NOTES)).astype({"seed": "Int64"})
    missing = notes["what"].isin(MISSING)
    runs = _selected_by(inputs.diagnostics["runs"], inputs.selection)
    designs = looks.designs(inputs.looks)
    across = summarise_tasks(comparisons, runs, inputs.tasks, inputs.ranks, inputs.clusters, designs)
    last_pairs, last_runs = (
        frame[frame["selection"] == LAST_LAYER].reset_index(drop=True)
        for frame in (inputs.comparisons, inputs.diagnostics["runs"])
    )
    gains = {
        "ingredients": split_gain(comparisons),
        "pretraining_curve": curve(scores, runs, inputs.records, inputs.resamples, inputs.seed),
    }
    bits = scores[scores["analysis"] == "bases"]
    gains |= {"bits_per_base": bits.reindex(columns=columns_of("bits_per_base"))}
    of_outputs = output_scores(scores, comparisons, inputs.diagnostics["outputs"], inputs.labels)
    # What is of numbers and tracks alone, or of probes of variants, is no table of a study that has none.
    some = (*OF_OUTPUTS, *OF_PROBED)
    diagnostics = {name: one for name, one in inputs.diagnostics.items() if len(one) or name not in some}
    return {
        "scores": scores,
        "comparisons": comparisons,
        "across_tasks": prices.price_evidence(across, comparisons, inputs.tasks, hours),
        "last_layer": summarise_tasks(last_pairs, last_runs, inputs.tasks, inputs.ranks, inputs.clusters, designs),
        "tokenizer_gate": inputs.gate(inputs.selection),
        "looks": looks.tabulate(inputs.looks),
        "ranks": ranked,
        "rank_pairs": rank_pairs,
        "crossvalidation": crossvalidate(inputs.records),
        "missing": notes[missing],
        "notes": notes[~missing],
        **{name: with_columns(pd.DataFrame(), columns_of(name)) for name in ("effects", "interactions")},
        **diagnostics,
        **({"output_scores": of_outputs} if len(of_outputs) else {}),
        **{name: inputs.sort(rows) for name, rows in gains.items() if len(rows)},
        **_facts(inputs),
    }


def _controls(inputs: Inputs) -> Tables:
    """Audits and costs, what is looked at point by point, and what the study is of."""
    jobs = cost_ledger.ledger(inputs.records, inputs.benchmarks)
    pairs = [{"task": audit["task"], **pair} for audit in inputs.audits for pair in audit["pairs"]]
    checks = [{"task": audit["task"], **check} for audit in inputs.audits for check in audit.get("shortcuts", ())]
    return {
        "records": inputs.records,
        "tasks": inputs.tasks,
        "models": inputs.model_table.drop(columns="config", errors="ignore"),
        "audits": pd.DataFrame(pairs, columns=columns_of("audits")),
        "shortcuts": pd.DataFrame(checks, columns=columns_of("shortcuts")),
        "importances": inputs.sort(best_importances(inputs.records, inputs.importances)),
        "corpora": pd.DataFrame([dict(audit) for audit in inputs.corpora]).reindex(columns=columns_of("corpora")),
        "cost": jobs,
        "cost_by_model": inputs.sort(cost_ledger.by_model(jobs)),
        "maps": inputs.sort(with_columns(join_tables(inputs.maps, ()), columns_of("maps"))),
        "mutagenesis": inputs.sort(with_columns(join_tables(inputs.substitutions, ()), columns_of("mutagenesis"))),
        **_explanations(inputs),
    }


def _explanations(inputs: Inputs) -> Tables:
    """No table of a study that explains nothing."""
    if not inputs.explanations:
        return {}
    scores = score_table(inputs.explanations, inputs.margins, inputs.resamples, inputs.seed)
    return {"explanations": inputs.sort(scores), "logos": inputs.sort(logo_table(inputs.explanations))}


def _facts(inputs: Inputs) -> Tables:
    """No table of a study that asks for no facts of sequences."""
    if not inputs.facts:
        return {}
    return {"structure": inputs.sort(facts.tabulate(inputs.facts, inputs.margins, inputs.resamples, inputs.seed))}


def write_tables(directory: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write every table in its formats, in the order of `catalogue`, and `all.tex`, which prints those in LaTeX."""
    printed = []
    for name, spec in TABLES.items():
        if name not in tables:
            continue
        frame = add_name_parts(tables[name]) if spec.parts else tables[name]
        write_parquet(directory / f"{name}.parquet", frame)
        if spec.csv:
            write_csv(directory / f"{name}.csv", frame)
        if spec.printed is not None:
            printed.append(name)
            latex.write_latex(directory / f"{name}.tex", _printed(name, frame))
    latex.write_document(directory / "all.tex", {name: name.replace("_", " ") for name in printed})


def _printed(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """What a page shows of a table: of the evidence whole tasks and the verdict's references only."""
    if name in ("across_tasks", "reported_across"):
        plain = (table["variant"].fillna("") == "") & table["versus"].isin(["random", "baseline", "best_random"])
        whole = (table["suite"] == "all") & (table["family"] == "")
        table = table[plain & (whole | (table["analysis"] == "finetune"))]
    columns = TABLES[name].printed
    return table.reindex(columns=list(columns)) if columns else table


def _selected_by(frame: pd.DataFrame, selection: str) -> pd.DataFrame:
    """Rows of one selection; analyses without a choice of runs have all theirs."""
    return frame[(frame["selection"] == selection) | frame["analysis"].isin(UNPAIRED)].reset_index(drop=True)


def crossvalidate(records: pd.DataFrame) -> pd.DataFrame:
    """Mean over the folds of a cross-validation, with the sd between folds and a 95 % t interval, per run of an arm.

    Folds share training rows, so the variance of their mean is that of Nadeau and Bengio (2003): 1/k + 1/(k - 2) times
    the variance between k folds, of which one tests, another chooses and k - 2 train. Every seed cuts folds of its own:
    the variance is the mean of theirs, and further seeds do not narrow the interval.
    """
    from scipy import stats

    columns = columns_of("crossvalidation")
    if "selection" not in records or "fold" not in records:
        return pd.DataFrame(columns=columns)
    tested = records[(records["selection"] == "crossvalidation") & (records["split"] == "test")]
    rows = []
    keys = [*KEYS, "metric", "run"]
    for names, part in tested.assign(run=tested.get("run", "")).groupby(keys, sort=False, dropna=False):
        k, mean = part["fold"].nunique(), part["value"].mean()
        sd = float(np.sqrt(part.groupby("seed")["value"].var(ddof=1).mean()))
        half = stats.t.ppf(0.975, k - 1) * sd * np.sqrt(1 / k + 1 / (k - 2)) if k > 2 else np.nan
        rows.append(
            dict(zip(keys, names, strict=True))
            | {"value": mean, "sd": sd, "low": mean - half, "high": mean + half}
            | {"folds": k, "seeds": part["seed"].nunique()}
        )
    return pd.DataFrame(rows, columns=columns)
