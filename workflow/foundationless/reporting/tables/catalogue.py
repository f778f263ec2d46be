"""Every table of `collect_tables`, declared once: its group, caption, columns and keys, and who else shows it.

Standard library only, so that the workflow, the report and the README read it. A new table is the function that makes
it and its entry here.
"""

from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Table:
    """A table of a study.

    `columns` are those that it always has, first and in this order, or where the room that fills them declares them
    (`module:NAME`, of this table where several are declared by name); rows may bring more. `keys` say what a row is of,
    as far as a study has them.
    `printed` are the columns that a page of LaTeX has room for (empty: all; None: not printed). `shown`: Snakemake's
    report shows it too. `parts`: the parts of its names of tasks and models follow as columns. `csv`: it is written as
    CSV beside Parquet.
    """

    group: str
    caption: str
    columns: tuple[str, ...] | str
    keys: tuple[str, ...] = ()
    printed: tuple[str, ...] | None = None
    shown: bool = False
    parts: bool = False
    csv: bool = True


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ALL: tuple[str, ...] = ()
VERDICT, RESULTS, PAPER = "Verdict", "Results", "Tables of the paper"
CONTROLS, STUDY = "Controls and costs", "Study"

_ARM = _words("analysis task model init")
_EVIDENCE = _words("metrics delta low high unit n distinct families wins")
_CLAIMS = _words("claim source selection model contrast metric difference low high n verdict holds")
_DEFECTS = _words("item what analysis task model init metric with_defect without difference low high n method")
_RANKS = _words("analysis model init label rank n p_friedman")
_JOB = _words("rule analysis task model init seed")
_COSTS = _words("gpu_hours cpu_hours peak_memory_mb peak_device_memory_mb energy_kwh attempts")
_ARMS = (
    *_words("suite task model model_label metric n_test seeds folds parameters"),
    *(f"{arm}{part}" for arm in ("pretrained", "random", "baseline") for part in ("", "_low", "_high", "_sd")),
    *_words("delta delta_low delta_high p verdict reported_pretrained reported_source reported_random"),
)
_FACTORIAL = (*_ARMS, *_words("base tokenizer width layers widest"))
_SETTINGS = _words("analysis model setting value tasks")
_BESIDE = _words("setting reported model ours reported_source")
_MEAN = _words("metric windows mean low high sd variance accuracy auroc reported reported_source reported_windows")
_CARD = _words("model init seed family tokenizer source repository revision path reading parameters sha256")
_SUMMARY, _ACROSS = "evaluation.task_summary", "evaluation.across_tasks"
_DIAGNOSTICS = "evaluation.diagnostics:COLUMNS"

TABLES: dict[str, Table] = {
    "across_tasks": Table(
        VERDICT,
        "What the paired differences of each model add up to, per analysis, variant of the tasks, scope (all tasks, a "
        "suite, a family) and reference: mean, 95 % interval and the unit that it generalises to, tests of difference "
        "and of equivalence, probabilities below, within and above the margin, detectable difference, verdict",
        f"{_ACROSS}:ACROSS",
        _words("analysis variant suite family model versus"),
        (*_words("analysis suite family model versus"), *_EVIDENCE, *_words("p_holm p_tost_holm mde verdict")),
        shown=True,
        parts=True,
    ),
    "ranks": Table(
        VERDICT,
        "Mean rank of every arm and baseline over tasks, with Friedman's p",
        f"{_ACROSS}:RANKS",
        _words("analysis model init"),
        _RANKS,
        parts=True,
    ),
    "rank_pairs": Table(
        VERDICT,
        "Nemenyi's test of every pair of arms",
        f"{_ACROSS}:RANK_PAIRS",
        _words("analysis first_model first_init second_model second_init"),
    ),
    "claims": Table(
        VERDICT,
        "Claims of the paper, judged under both selections",
        _CLAIMS,
        _words("claim selection model"),
        _CLAIMS,
        shown=True,
        parts=True,
    ),
    "reported_comparison": Table(
        VERDICT,
        "The paper's own numbers beside ours: difference, interval and verdict, how many of the paper's tasks stand "
        "behind ours (no verdict where fewer), and whether the model is the paper's or a smaller one",
        _words(
            "experiment source task paper_task tasks model model_label arm metric reported reported_sd ours low high "
            "difference difference_low difference_high verdict same_model"
        ),
        _words("experiment task model arm metric"),
        _words(
            "experiment source task tasks model_label arm metric reported reported_sd ours low high difference "
            "difference_low difference_high verdict same_model"
        ),
        shown=True,
    ),
    "reported_across": Table(
        VERDICT,
        "The paper's own numbers through the same statistics",
        "reporting.paper.published:REPORTED_ACROSS",
        _words("suite family model versus"),
        (*_words("suite family model_label versus"), *_EVIDENCE, *_words("wilcoxon_p verdict")),
    ),
    "comparisons": Table(
        RESULTS,
        "Every paired difference, with interval, standard error, detectable difference and tests",
        f"{_SUMMARY}:COMPARISONS",
        (*_ARM, "versus", "metric", "selection"),
        parts=True,
    ),
    "scores": Table(
        RESULTS,
        "Every arm with its interval",
        f"{_SUMMARY}:SCORES",
        (*_ARM, *_words("metric selection pooling condition component mutations gene matched label chunk measure")),
        parts=True,
    ),
    "runs": Table(
        RESULTS,
        "Test score of each selected run",
        _DIAGNOSTICS,
        (*_ARM, "selection", "metric", "seed", "fold"),
        parts=True,
    ),
    "components": Table(
        RESULTS,
        "Variance of a single run by test items, seed, fold and the rest",
        _DIAGNOSTICS,
        (*_ARM, "metric", "selection", "component"),
        parts=True,
    ),
    "optimism": Table(
        RESULTS,
        "Chosen by validation and by test score: the optimism of the latter (of probes by_test is the paper's one "
        "classifier, by_validation the one that validation chose)",
        _DIAGNOSTICS,
        (*_ARM, "versus", "metric"),
        parts=True,
    ),
    "oracle": Table(
        RESULTS,
        "Pretrained arms against the best random arm of any model, chosen by test score, and against their own",
        _DIAGNOSTICS,
        (*_ARM, "metric", "selection"),
        parts=True,
    ),
    "leakage": Table(
        RESULTS,
        "Scores with and without test rows that are near training rows",
        _DIAGNOSTICS,
        (*_ARM, "metric", "selection"),
        parts=True,
    ),
    "crossvalidation": Table(
        RESULTS,
        "Probes scored by cross-validation over the whole set",
        (*_ARM, *_words("metric run value sd low high folds seeds")),
        (*_ARM, "metric", "run"),
        parts=True,
    ),
    "calibration": Table(
        RESULTS, "Reliability curves", _DIAGNOSTICS, (*_ARM, "selection", "bin"), parts=True
    ),
    "confusion": Table(
        RESULTS,
        "Confusion matrices: who is taken for whom",
        _DIAGNOSTICS,
        (*_ARM, "selection", "actual", "predicted"),
        parts=True,
    ),
    "roc": Table(
        RESULTS,
        "ROC curves of the likelihood ratio",
        _DIAGNOSTICS,
        (*_ARM, "selection", "fpr"),
        parts=True,
    ),
    "selections": Table(
        RESULTS,
        "What was tried and what was chosen, by which split",
        _DIAGNOSTICS,
        (*_ARM, *_words("seed what within split candidate")),
        parts=True,
    ),
    "maps": Table(
        RESULTS,
        "Two coordinates of every sequence on every map of embeddings",
        _words("task model init seed id label x y"),
        _words("task model init seed id"),
        csv=False,
    ),
    "mutagenesis": Table(
        RESULTS,
        "Every substitution of in-silico mutagenesis in the window that the figure shows",
        _words("task model init seed window id position ref alt label"),
        _words("task model init seed position alt"),
        csv=False,
    ),
    "table_01_models": Table(PAPER, "Models and their sizes", ("model", "parameters"), ("model",), _words(
        "label family tokenizer objective max_tokens parameters pretrained"
    )),
    "table_02_biotype": Table(PAPER, "Biotypes from frozen features", _FACTORIAL, ("task", "model"), ALL),
    "table_03_tokenizer": Table(PAPER, "Tokenizers, the architecture being the same", _ARMS, ("task", "model"), ALL),
    "table_04_likelihood": Table(
        PAPER,
        "AUROC of the likelihood ratio; the paper ranked by +LLR, ours by -LLR",
        (*_ARMS, "pretrained_plus_llr", "random_plus_llr"),
        ("task", "model"),
        ALL,
    ),
    "table_05_similarity": Table(
        PAPER,
        "Similarity of variants with their reference",
        _words("task model model_label"),
        _words("task model gene label pooling unit matched"),
        ALL,
    ),
    "table_06_mistral": Table(
        PAPER, "Architecture of Mistral, ours and the paper's", _BESIDE, ("setting", "model"), ALL
    ),
    "table_07_mistral_pretraining": Table(
        PAPER, "Pretraining of Mistral, ours and the paper's", _BESIDE, ("setting", "model"), ALL
    ),
    "table_08_lora": Table(PAPER, "LoRA against full fine-tuning", _ARMS, ("task", "model"), ALL),
    "table_09_finetuning": Table(
        PAPER, "Settings of fine-tuning, and how many tasks share each", _SETTINGS, _SETTINGS[:-1], ALL
    ),
    "figure_09_categories": Table(
        PAPER,
        "Means of GUE categories (Figure 9)",
        _words(
            "category model model_label init metric tasks mean low high reported reported_source reported_tasks"
        ),
        _words("category model init"),
    ),
    "table_10_biotype_counts": Table(
        PAPER, "Sequences per biotype", _words("task label train validation test total"), ("task", "label"), ALL
    ),
    "table_11_widths": Table(PAPER, "Biotypes by width", _FACTORIAL, ("task", "model"), ALL),
    "table_12_xgboost_biotype": Table(PAPER, "Settings of XGBoost for biotypes", _SETTINGS, _SETTINGS[:-1], ALL),
    "table_13_frozen": Table(PAPER, "Histone marks from frozen features", _ARMS, ("task", "model"), ALL),
    "table_14_ancestry": Table(PAPER, "Ancestry per window", _ARMS, ("task", "model"), ALL),
    "table_14_windows": Table(
        PAPER,
        "Ancestry: mean and variance over windows",
        (*_words("variant model model_label init"), *_MEAN),
        _words("variant model init"),
        ALL,
    ),
    "table_15_xgboost_ancestry": Table(PAPER, "Settings of XGBoost for ancestry", _SETTINGS, _SETTINGS[:-1], ALL),
    "table_16_mutations": Table(
        PAPER,
        "Variants per chunk and class",
        _words("task gene chunk gene_start label mutations"),
        _words("task gene chunk label"),
        ALL,
    ),
    "table_17_checkpoints": Table(
        PAPER, "Every weight set: source, revision, checksum", _CARD, ("model", "init", "seed"),
        _words("model init seed tokenizer repository revision parameters"),
    ),
    "table_18_finetune": Table(PAPER, "Fine-tuning, all tasks", _ARMS, ("task", "model"), ALL),
    "defects": Table(
        CONTROLS,
        "What each error of the paper is worth: with it, without it, difference",
        _DEFECTS,
        _words("item what analysis task model init metric"),
        _DEFECTS,
        shown=True,
        parts=True,
    ),
    "audits": Table(
        CONTROLS,
        "Test rows that other splits hold",
        _words(
            "task split against rows exact reverse_complement near conflict duplicate duplicate_share near_share"
        ),
        _words("task split against"),
    ),
    "corpora": Table(
        CONTROLS,
        "Test rows that pretraining corpora hold",
        _words("task corpus rows whole half part whole_share half_share part_share mean_share"),
        ("task", "corpus"),
    ),
    "missing": Table(
        CONTROLS,
        "Cells of the design without a record or predictions",
        "evaluation.task_results:NOTES",
        (*_ARM, "seed", "what"),
        shown=True,
        parts=True,
    ),
    "notes": Table(
        CONTROLS,
        "What could not be computed from what is there, and why",
        "evaluation.task_results:NOTES",
        (*_ARM, "seed", "what", "note"),
        parts=True,
    ),
    "settings": Table(
        CONTROLS,
        "Settings of every arm",
        _DIAGNOSTICS,
        (*_ARM, "setting"),
        parts=True,
    ),
    "cost": Table(
        CONTROLS,
        "Every job that ran, once: device, seconds, GPU-hours (seconds × GPUs), CPU-hours (seconds × threads), peak "
        "memory (MiB), energy (kWh, where every GPU tells), tries; embeddings and pretraining have rows of their own",
        (*_JOB, *_words("device gpus threads seconds"), *_COSTS),
        _JOB,
        parts=True,
    ),
    "cost_by_model": Table(
        CONTROLS,
        "Costs by model, task and arm (peaks: the highest)",
        (*_words("model task init jobs"), *_COSTS),
        _words("model task init"),
        parts=True,
    ),
    "tasks": Table(
        STUDY,
        "What tables and figures call tasks",
        _words("task suite suite_label group label"),
        ("task",),
    ),
    "models": Table(STUDY, "What tables and figures call models and baselines", ("model",), ("model",)),
    "records": Table(STUDY, "One row per recorded number", (*_ARM, "metric", "value"), parts=True),
}  # fmt: skip


def columns_of(name: str) -> tuple[str, ...]:
    """Columns that a table always has; those that another room declares are imported."""
    declared = TABLES[name].columns
    if isinstance(declared, str):
        module, _, constant = declared.partition(":")
        declared = getattr(import_module(f"foundationless.{module}"), constant)
        declared = declared[name] if isinstance(declared, dict) else declared
    return tuple(declared)


def captions_by_group() -> dict[str, dict[str, str]]:
    """Group -> name -> caption of the tables that are written as CSV, as the report lists them."""
    groups: dict[str, dict[str, str]] = {}
    for name, table in TABLES.items():
        if table.csv:
            groups.setdefault(table.group, {})[name] = table.caption
    return groups


SHOWN = tuple(name for name, table in TABLES.items() if table.shown)
