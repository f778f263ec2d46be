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
    as far as a study has them. `printed` are the columns that a page of LaTeX has room for (empty: all; None: not
    printed). `shown`: Snakemake's report shows it too. `parts`: the parts of its names of tasks and models follow as
    columns. `csv`: it is written as CSV beside Parquet.
    """

    group: str
    caption: str
    columns: tuple[str, ...] | str
    keys: tuple[str, ...] = ()
    printed: tuple[str, ...] | None = None
    shown: bool = False
    parts: bool = False
    csv: bool = True


VERDICT, RESULTS, PAPER, SECOND = "Verdict", "Results", "Tables of the paper", "Tables of the second paper"
CONTROLS, STUDY = "Controls and costs", "Study"


def _table(group: str, caption: str, columns: str, keys: str = "", printed: str | None = None, **more: bool) -> Table:
    """A table whose names of columns stand in one text each; `:` makes `columns` a reference."""
    declared = columns if ":" in columns else tuple(columns.split())
    shown = None if printed is None else tuple(printed.split())
    return Table(group, caption, declared, tuple(keys.split()), shown, **more)


ALL = ""  # of the columns are printed
_ARM = "analysis task model init"
_EVIDENCE = "scope metrics margin delta low high n distinct units wins"
_CLAIMS = "claim source selection model contrast metric difference low high n margin verdict holds"
_PRICES = "gpu_hours cpu_hours next_decimal next_decimal_seeds next_decimal_times next_decimal_hours"
_DEFECTS = "item what analysis task model init metric with_defect without difference low high n method"
_RANKS = "analysis model init label rank n p_friedman"
_COSTS = "gpu_hours cpu_hours peak_memory_mb peak_device_memory_mb energy_kwh attempts"
_BY_ARM = " ".join(
    f"{arm}{part}" for arm in ("pretrained", "random", "baseline") for part in ("", "_low", "_high", "_sd")
)
_ARMS = (
    f"suite task model model_label metric n_test seeds folds parameters {_BY_ARM} delta delta_low delta_high p verdict "
    "reported_pretrained reported_source reported_random"
)
_FACTORIAL = f"{_ARMS} base tokenizer width layers widest"
_SETTINGS = "analysis model setting value tasks"
_BESIDE = "setting reported model ours reported_source"
_DIFFERENCE = "difference difference_low difference_high margin verdict same_model"
_OUTPUTS = " ".join(
    f"{metric} {metric}_low {metric}_high"
    for metric in ("pearson", "spearman", "r2", "rmse", "macro_auroc", "macro_auprc")
)
_VERSUS = " ".join(f"versus_{arm} versus_{arm}_low versus_{arm}_high verdict_{arm}" for arm in ("random", "baseline"))
_SUMMARY, _ACROSS, _NOTES = "evaluation.task_summary", "evaluation.across_tasks", "evaluation.task_results:NOTES"
_DIAGNOSTICS = "evaluation.diagnostics:COLUMNS"

TABLES: dict[str, Table] = {
    "across_tasks": _table(
        VERDICT, "What the paired differences of each model add up to, per analysis, variant of the tasks, set of "
        "tasks (all, a suite, a family), reference and scope (these tasks; tasks like these, of which families are the "
        "units): mean, 95 % interval, tests of difference and of equivalence, probabilities below, within and above "
        "the margin, detectable difference, seeds, tasks on which something was learned, and verdict; what it cost "
        "(GPU-hours, and core-hours of jobs without a GPU), and what an interval ten times as narrow would: seeds an "
        "arm, times as many test items (these) or families (like these), further hours",
        "reporting.tables.prices:ACROSS", "analysis variant suite family model versus scope",
        f"analysis suite family model versus {_EVIDENCE} seeds learned p_holm p_tost_holm mde verdict", shown=True,
        parts=True,
    ),
    "last_layer": _table(
        VERDICT, "Of frozen features of which inner layers were kept: the same evidence where both arms read their "
        "last layer, not the one that validation chose for each (which across_tasks has)",
        f"{_ACROSS}:ACROSS", "analysis variant suite family model versus scope",
        f"analysis suite family model versus {_EVIDENCE} seeds learned p_holm p_tost_holm mde verdict", parts=True,
    ),
    "looks": _table(
        VERDICT, "What each look said, of a study whose seeds are {from, to}: every model's word at that look with its "
        "adjusted p values, the hours spent, the decision and why",
        "reporting.tables.looks:COLUMNS", "seeds model", "seeds model word delta p_holm p_tost_holm hours unit why",
    ),
    "ranks": _table(
        VERDICT, "Mean rank of every arm and baseline over tasks, with Friedman's p",
        f"{_ACROSS}:RANKS", "analysis model init", _RANKS, parts=True,
    ),
    "rank_pairs": _table(
        VERDICT, "Nemenyi's test of every pair of arms",
        f"{_ACROSS}:RANK_PAIRS", "analysis first_model first_init second_model second_init",
    ),
    "claims": _table(
        VERDICT, "Claims of the paper, judged under both selections; what each cost, and what an interval ten times as "
        "narrow would: times as many units (tasks, or families), further hours",
        f"{_CLAIMS} {_PRICES}", "claim selection model", _CLAIMS, shown=True, parts=True,
    ),
    "tokenizer_gate": _table(
        VERDICT, "Whether what pretraining gains depends on the class of tokens: per analysis, variant of its tasks "
        "and scope the mean gain (pretrained minus random) of each class and the differences of classes, over the "
        "models of each class as published (basis models), and within architectures that were pretrained with several "
        "tokenizers (architecture); 95 % interval, tests of difference and of equivalence, adjusted over the classes "
        "or over their differences, word, and the p value with models as the units (p_models). `note` says what is "
        "missing",
        "evaluation.trends.tokenizer_gate:TOKENIZER_GATE", "analysis variant basis first second scope",
        "analysis variant basis first second scope metrics margin delta low high n units models seeds p_holm "
        "p_tost_holm p_models verdict note",
    ),
    "reported_comparison": _table(
        VERDICT, "The paper's own numbers beside ours: difference, interval and verdict, how many of the paper's tasks "
        "stand behind ours (no verdict where fewer), and whether the model is the paper's or a smaller one",
        "experiment source task paper_task tasks model model_label arm metric reported reported_sd ours low high "
        f"{_DIFFERENCE}", "experiment task model arm metric",
        f"experiment source task tasks model_label arm metric reported reported_sd ours low high {_DIFFERENCE}",
        shown=True,
    ),
    "reported_across": _table(
        VERDICT, "The paper's own numbers through the same statistics; it tells no seeds, so its words are those of "
        "the tests alone, and of these tasks its only error is the sd of its runs (Wilcoxon's p is there over tasks, "
        "as the paper counts them, and over families on tasks like these)",
        "reporting.paper.published:REPORTED_ACROSS", "suite family model versus scope",
        f"suite family model_label versus {_EVIDENCE} p p_holm p_tost_holm wilcoxon_p verdict",
    ),
    "comparisons": _table(
        RESULTS, "Every paired difference, with interval, standard error, detectable difference and tests",
        f"{_SUMMARY}:COMPARISONS", f"{_ARM} versus metric selection", parts=True,
    ),
    "scores": _table(
        RESULTS, "Every arm with its interval", f"{_SUMMARY}:SCORES",
        f"{_ARM} metric selection pooling condition component fact mutations gene matched label chunk measure",
        parts=True,
    ),
    "output_scores": _table(
        RESULTS, "Tasks whose labels are numbers (regression) or tracks (multi-label), where a study has any: every "
        "arm with all metrics of the kind, each a mean over the outputs, and the paired differences of the task's "
        "metric with the model's random self and with the best baseline. The metric of the task has an interval, the "
        "others where outputs.csv has one, which says the same output by output",
        f"{_ARM} model_label metric outputs n_test seeds folds {_OUTPUTS} {_VERSUS}", _ARM,
        f"analysis task model_label init metric outputs n_test {_OUTPUTS} {_VERSUS}", parts=True,
    ),
    "ingredients": _table(
        RESULTS, "What of pretraining helps, where analysis ingredients has the arms: paired differences that stand "
        "for all of it, the embedding table (embedding − random), the statistics of the weights (permuted − random), "
        "those of the genome (dinucleotide − random) and its order (pretrained − dinucleotide), the task's own "
        "training sequences (self − random) and what the genome adds (pretrained − self), each with its "
        "interval; `p_holm` is adjusted over the ingredients of a model on a task",
        "analysis task model ingredient init versus metric delta se low high p p_holm margin n_test groups seeds folds",
        "analysis task model ingredient", "task model ingredient metric delta low high p_holm seeds n_test", parts=True,
    ),
    "pretraining_curve": _table(
        RESULTS, "Score of the checkpoints of a pretraining (arms stepN, random: step 0, pretrained: the last) and "
        "held-out bits per base there; Spearman's correlation of the two over the points of a task and model, with its "
        "interval (95 %, bootstrap over points and seeds)",
        "analysis task model init step bits_per_base metric value low high n_test groups seeds folds points rho "
        "rho_low rho_high", "analysis task model init",
        "task model step bits_per_base metric value low high rho rho_low rho_high", parts=True,
    ),
    "bits_per_base": _table(
        RESULTS, "Bits per base on the test sequences of analysis bases, by label (all: every one), mean over seeds, "
        "with 95 % bootstrap intervals over groups (rows, of few groups): of the model (causal: true bits, of all "
        "bases but those of the first token; masked: a pseudo-likelihood, a seventh of the tokens hidden at a time, "
        "which no causal model's bits compare with), and beside the pretrained arm of Markov models of order 1 to 11, "
        "fitted to its corpus (where the model is not pretrained here, to that which the analysis names, or to train "
        "rows of the task)",
        "analysis task model init label condition metric value low high n seeds", "analysis task model init label "
        "condition", "task model init label condition value low high n", parts=True,
    ),
    "layers": _table(
        RESULTS, "Score and depth of every layer that was kept (0: the embedding; `depth`: its share of the network), "
        "mean over seeds with its 95 % interval over items and seeds: of probes the best one of the layer on the "
        "validation split, which chose (`chosen`: for how many seeds; selections.csv has each); of distances of "
        "variants each layer's own, and the AUROC on the half of the variants that chose and, of the layer chosen "
        "(`chosen`), on the other",
        _DIAGNOSTICS, f"{_ARM} metric split pooling condition mutations null gene label unit matched layer", parts=True,
    ),
    "variant_scores": _table(
        RESULTS,
        "Every score of variants of every arm: the supervised probe (of the pooling that its training variants "
        "chose, and of each), distances of REF and ALT (1 − cosine, L2), negative log-likelihood ratios (both "
        "strands and each), the likelihood of the REF window, and features that cost nothing. AUROC and AUPRC "
        "over all pairs, mean over seeds with 95 % intervals over variants and seeds; the same of the opposite "
        "sign (`opposite`); share of pathogenic variants, which is the AUPRC of chance; AUROC of pairs that were "
        "held out together (`within`: chromosomes, or blocks of neighbours), which is the one to compare probes "
        "by, and its paired difference with the random arm (`p` for each score alone, `p_holm` over all scores of the "
        "model on the set); mean over the same folds, weighted by variants, with its standard error (`folds`); rank "
        "correlation with the likelihood of the REF "
        "window, and AUROC among variants where that is alike (fifths; `adjusted`)",
        _DIAGNOSTICS, f"{_ARM} scored_by",
        "analysis task model init scored_by auroc auprc auroc_within auroc_within_low auroc_within_high "
        "auroc_folds auroc_folds_se delta "
        "delta_low delta_high p_holm spearman_background auroc_adjusted", parts=True,
    ),
    "runs": _table(
        RESULTS, "Test score of each selected run", _DIAGNOSTICS, f"{_ARM} selection metric seed fold", parts=True
    ),
    "rows_worth": _table(
        RESULTS, "How many training rows pretraining is worth: for each number of rows that an arm was trained on, the "
        "rows at which its random arm reaches the same score (`worth`, isotonic and straight over the logarithm "
        "between sizes), and their ratio, with 95 % intervals over items and seeds; inf and -inf where the random "
        "arm's curve does not get there (`censored`), and in words (`said`)",
        _DIAGNOSTICS, f"{_ARM} metric selection rows",
        "analysis task model metric selection rows value value_random points seeds said ratio ratio_low ratio_high",
        parts=True,
    ),
    "scaling_fits": _table(
        RESULTS, "Power laws with an offset, error = a + b · n^-c, over training rows, widths, layers and pretraining "
        "steps, with 95 % percentile intervals over items and seeds (the error is 1 - score where higher is better); "
        "`flag` says where there are fewer than four sizes and so no fit, what lies at a bound, and where c is not "
        "identified",
        _DIAGNOSTICS, f"{_ARM} metric selection axis",
        "analysis task model init metric selection axis points smallest largest seeds a a_low a_high b c c_low c_high "
        "rmse flag", parts=True,
    ),
    "gains": _table(
        RESULTS, "Gain of every model (pretrained minus random), and its covariance with that of every other model "
        "under resampled test items",
        _DIAGNOSTICS, f"{_ARM} selection metric other", parts=True,
    ),
    "components": _table(
        RESULTS, "Variance of a single run by test items, seed, fold and the rest",
        _DIAGNOSTICS, f"{_ARM} metric selection component", parts=True,
    ),
    "optimism": _table(
        RESULTS, "Chosen by validation and by test score: the optimism of the latter (of probes by_test is the paper's "
        "one classifier, by_validation the one that validation chose)",
        _DIAGNOSTICS, f"{_ARM} versus metric", parts=True,
    ),
    "oracle": _table(
        RESULTS, "Pretrained against the best random arm of any model, chosen by test score, and against their own",
        _DIAGNOSTICS, f"{_ARM} metric selection", parts=True,
    ),
    "leakage": _table(
        RESULTS, "Scores with and without test rows that are near training rows or overlap them",
        _DIAGNOSTICS, f"{_ARM} metric selection", parts=True,
    ),
    "crossvalidation": _table(
        RESULTS, "Probes scored by cross-validation over the whole set",
        f"{_ARM} metric run value sd low high folds seeds", f"{_ARM} metric run", parts=True,
    ),
    "calibration": _table(
        RESULTS, "Reliability curves, of probabilities as they are (method none) and after temperature scaling",
        _DIAGNOSTICS, f"{_ARM} selection method bin", parts=True,
    ),
    "recalibration": _table(
        RESULTS, "Calibration before (none) and after temperature scaling on validation rows, and of the ensemble of "
        "the seeds: expected calibration error in fifteen equal bins, negative log likelihood and Brier score, each "
        "with its 95 % interval and its paired change; coverage and mean size of split-conformal least ambiguous sets "
        "at 90 %, and between which shares coverage lies where test rows are exchangeable with validation rows "
        "(expected). Where validation predictions were not kept, a note says so",
        _DIAGNOSTICS, f"{_ARM} selection method",
        "analysis task model init method temperature ece nll brier coverage expected_low expected_high set_size",
        parts=True,
    ),
    "transfer_gaps": _table(
        RESULTS, "What is lost by transfer: score on the test rows of the set that was learned, score far, and their "
        "difference (gap) with its interval; and the gap of the model's random arm, or of the best baseline, less that "
        "of the arm (delta: above 0 the arm loses less), with its word. Seeds are paired, items drawn separately",
        _DIAGNOSTICS, f"{_ARM} metric selection versus",
        "analysis task model init metric in_domain far gap gap_low gap_high versus delta low high verdict", parts=True,
    ),
    "confusion": _table(
        RESULTS, "Confusion matrices: who is taken for whom",
        _DIAGNOSTICS, f"{_ARM} selection actual predicted", parts=True,
    ),
    "fewshot": _table(
        RESULTS, "A few training rows, drawn many times: score of every arm by training rows a class (`rows`), and the "
        "area under it, as its mean height over their logarithm (`measure`); with `versus` the paired difference: the "
        "pretrained arm less the model's random self, a network less a baseline (`reference`). 95 % intervals are over "
        "draws, which all arms share, test items and seeds; `sd` is over draws. `how`: frozen features, or fine-tuned "
        "as a whole. Words follow p values that are adjusted by Holm over the numbers of rows of a pair (`p_holm`); an "
        "area is one number a pair. Of "
        "retrieval `rows` are known sites, and recall_fpr05 is the recall at 5 % false positives",
        _DIAGNOSTICS, f"{_ARM} metric measure rows versus reference",
        f"{_ARM} metric measure rows versus reference value low high draws seeds n_test verdict", parts=True,
    ),
    "roc": _table(RESULTS, "ROC curves of the likelihood ratio", _DIAGNOSTICS, f"{_ARM} selection fpr", parts=True),
    "selections": _table(
        RESULTS, "What was tried and what was chosen, by which split",
        _DIAGNOSTICS, f"{_ARM} seed what within split candidate", parts=True,
    ),
    "structure": _table(
        RESULTS, "What frozen models know of the sequences themselves, where a study asks (analysis structure): facts "
        "that a linear probe reads on test rows, with 95 % intervals over items and seeds, of every arm and of counts "
        "of 1- to 3-mers with the length (model kmers); with `versus` the paired difference with the random arm of the "
        "model, or with those counts, whose words are of p values that Holm adjusted over the facts. A fact of several "
        "words is the mean over them. With a `layer` it is the score of that layer on the validation rows, which chose "
        "the layer of each fact (`chosen`: by how many seeds)",
        "evaluation.outputs.facts:STRUCTURE", f"{_ARM} fact metric versus layer",
        "task model init fact metric versus value delta low high p_holm n verdict", parts=True,
    ),
    "maps": _table(
        RESULTS, "Two coordinates of every test sequence on every map of embeddings: of its first two principal "
        "components, and of t-SNE where a row was drawn for it (results of before have none)",
        "task model init seed id label x y tsne_x tsne_y", "task model init seed id", csv=False,
    ),
    "mutagenesis": _table(
        RESULTS, "Every substitution of in-silico mutagenesis in the window that the figure shows",
        "task model init seed window id position ref alt label", "task model init seed position alt", csv=False,
    ),
    "explanations": _table(
        RESULTS, "Whether attributions of a fine-tuned classifier point at known motifs, where a study has such an "
        "analysis: AUROC of motif letters by the magnitude of their attributions, mean over sequences and seeds, of "
        "every arm and method; against chance (0.5), and pretrained against random, paired by sequence, with the word. "
        "`miss`: by how much a sum of attributions misses the difference of logits, at most",
        "evaluation.explanations.tables:SCORES", "task model init method versus",
        "task model init method versus value delta low high p_holm verdict n seeds", parts=True,
    ),
    "logos": _table(
        RESULTS, "Mean attributions around the commonest motif of a task, by position (0: its first) and letter, and "
        "the share of its sites that have the letter there, of the first seed",
        "evaluation.explanations.tables:LOGOS", "task model init method position letter", parts=True,
    ),
    "table_01_models": _table(
        PAPER, "Models and their sizes; `ratio` of a matched baseline is to the parameters of its model",
        "model parameters match ratio", "model",
        "label family tokenizer objective max_tokens parameters match ratio pretrained",
    ),
    "table_02_biotype": _table(PAPER, "Biotypes from frozen features", _FACTORIAL, "task model", ALL),
    "table_03_tokenizer": _table(PAPER, "Tokenizers, the architecture being the same", _ARMS, "task model", ALL),
    "table_04_likelihood": _table(
        PAPER, "AUROC of the likelihood ratio; the paper ranked by +LLR, ours by -LLR",
        f"{_ARMS} pretrained_plus_llr random_plus_llr", "task model", ALL,
    ),
    "table_05_similarity": _table(
        PAPER, "Similarity of variants with their reference",
        "task model model_label", "task model gene label pooling unit matched", ALL,
    ),
    "table_06_mistral": _table(PAPER, "Architecture of Mistral, ours and the paper's", _BESIDE, "setting model", ALL),
    "table_07_mistral_pretraining": _table(
        PAPER, "Pretraining of Mistral, ours and the paper's", _BESIDE, "setting model", ALL
    ),
    "table_08_lora": _table(PAPER, "LoRA against full fine-tuning", _ARMS, "task model", ALL),
    "table_09_finetuning": _table(
        PAPER, "Settings of fine-tuning, and how many tasks share each", _SETTINGS, "analysis model setting value", ALL
    ),
    "figure_09_categories": _table(
        PAPER, "Means of GUE categories (Figure 9)",
        "category model model_label init metric tasks mean low high reported reported_source reported_tasks group",
        "category model init",
    ),
    "table_10_biotype_counts": _table(
        PAPER, "Sequences per biotype", "task label train validation test total", "task label", ALL
    ),
    "table_11_widths": _table(PAPER, "Biotypes by width", _FACTORIAL, "task model", ALL),
    "table_12_xgboost_biotype": _table(
        PAPER, "Settings of XGBoost for biotypes", _SETTINGS, "analysis model setting value", ALL
    ),
    "table_13_frozen": _table(PAPER, "Histone marks from frozen features", _ARMS, "task model", ALL),
    "table_14_ancestry": _table(PAPER, "Ancestry per window", _ARMS, "task model", ALL),
    "table_14_windows": _table(
        PAPER, "Ancestry: mean and variance over windows",
        "variant model model_label init metric windows mean low high sd variance accuracy auroc reported "
        "reported_source reported_windows", "variant model init", ALL,
    ),
    "table_15_xgboost_ancestry": _table(
        PAPER, "Settings of XGBoost for ancestry", _SETTINGS, "analysis model setting value", ALL
    ),
    "table_16_mutations": _table(
        PAPER, "Variants per chunk and class",
        "task gene chunk gene_start label mutations", "task gene chunk label", ALL,
    ),
    "table_17_checkpoints": _table(
        PAPER, "Every weight set: source, revision, checksum",
        "model init seed family tokenizer source repository revision path reading parameters sha256",
        "model init seed", "model init seed tokenizer repository revision parameters",
    ),
    "table_18_finetune": _table(PAPER, "Fine-tuning, all tasks", _ARMS, "task model", ALL),
    "effects": _table(
        SECOND, "Every held-out perturbation of every split and arm, mean over seeds: skill (1 - L2 / L2 of the mean "
        "of the training perturbations), L2 of all genes, of the most expressed and without the targets, correlations "
        "of the change, rank, and L2 of the first n genes by control expression (n) and by observed change (de); of "
        "the most expressed genes alone (top), as in the second paper, the mean's L2 and the correlation too",
        _DIAGNOSTICS, f"{_ARM} selection fold perturbation", parts=True,
    ),
    "interactions": _table(
        SECOND, "Interactions of combinations: how many genes are of each class, observed and predicted (class), what "
        "the predictions farthest from the sum are called and are (called), true positive rate against false discovery "
        "proportion (tpr_fdp), ROC and precision-recall curves (roc, pr) and their areas (auc), one combination gene "
        "by gene (example), and the limits of the empirical null",
        _DIAGNOSTICS, f"{_ARM} selection what name x n", parts=True,
    ),
    "outputs": _table(
        RESULTS, "Every output of labels that are several numbers, or zeros and ones, by every metric (without output: "
        "the mean over them), and its paired differences, whose words are of p values adjusted over outputs",
        _DIAGNOSTICS, f"{_ARM} metric selection output versus", parts=True,
    ),
    "scatter": _table(
        RESULTS, "Predicted against observed numbers of a regression (of its first output): test items in each cell of "
        "a grid, and residuals",
        _DIAGNOSTICS, f"{_ARM} selection output what x y", parts=True,
    ),
    "p_reported": _table(
        SECOND, "The second paper's numbers beside ours: both intervals are over held-out perturbations",
        "experiment source task model model_label init reported_model arm metric reported reported_low reported_high "
        "reported_n ours low high n difference difference_low difference_high reading",
        "experiment task model init metric", "experiment source task model_label init metric reported reported_low "
        "reported_high ours low high difference difference_low difference_high",
    ),
    "p_reported_across": _table(
        SECOND, "Our question on the second paper's rows: every arm against the random embedding of its side, the "
        "mean, and of combinations the additive model and no change; paired, positive where the arm is better, "
        "intervals by a bootstrap of perturbations (n) with their rows in all splits; words: of skill, at its margin",
        "experiment task model arm side versus metric delta low high n rows share margin verdict note source",
        "experiment task model arm versus metric",
        "experiment task model versus metric delta low high n rows share verdict source",
    ),
    "p_defects": _table(
        SECOND, "What each error of the second paper is worth (P1 to P13): with it, without it, difference; those that "
        "nothing here has stand in words alone",
        f"{_DEFECTS} source", "item what analysis task model init metric", f"{_DEFECTS} source", parts=True,
    ),
    "p_claims": _table(
        SECOND, "Claims of the second paper (S1 to S7), judged with our arms: where borrowed vectors of genes come "
        "from, contrast of skills, whether it holds",
        "item claim source analysis task model vectors reading contrast metric difference low high n margin verdict "
        "holds",
        "item analysis task model", "item claim source task model contrast difference low high n verdict holds",
    ),
    "defects": _table(
        CONTROLS, "What each error of the paper is worth: with it, without it, difference",
        _DEFECTS, "item what analysis task model init metric", _DEFECTS, shown=True, parts=True,
    ),
    "audits": _table(
        CONTROLS, "Test rows that other splits hold",
        "task split against rows exact reverse_complement near collinear conflict duplicate duplicate_share near_share "
        "collinear_share collinear_same_label collinear_by_coordinates known known_share",
        "task split against",
    ),
    "shortcuts": _table(
        CONTROLS, "What rules without a model reach on each task's test split, and test rows that tell how negatives "
        "were made: value, 95 % interval, threshold and word",
        "task check against metric value low high threshold word note", "task check against",
    ),
    "importances": _table(
        CONTROLS, "What the best baseline of each task went by, chosen by validation: its largest weights per class. "
        "`kind` says what a weight is, `validation` is the baseline's score there, `features` how many have a weight",
        "analysis task model init seed run metric validation kind class rank feature importance features",
        "analysis task model init class rank", parts=True,
    ),
    "corpora": _table(
        CONTROLS, "Test rows that pretraining corpora hold",
        "task corpus rows whole half part whole_share half_share part_share mean_share", "task corpus",
    ),
    "missing": _table(
        CONTROLS, "Cells of the design without a record or predictions", _NOTES, f"{_ARM} seed what", shown=True,
        parts=True,
    ),
    "notes": _table(
        CONTROLS, "What could not be computed from what is there, and why", _NOTES, f"{_ARM} seed what note", parts=True
    ),
    "settings": _table(CONTROLS, "Settings of every arm", _DIAGNOSTICS, f"{_ARM} setting", parts=True),
    "verification": _table(
        CONTROLS, "What was checked before it was summed up: hashes, values and selections computed again, pairs of "
        "arms with the same settings; and how much could not be checked",
        _DIAGNOSTICS, "analysis task model", parts=True,
    ),
    "cost": _table(
        CONTROLS, "Every job that ran, once: device, seconds, GPU-hours (seconds × GPUs), CPU-hours (seconds × "
        "threads), peak memory (MiB), energy (kWh, where every GPU tells), tries; embeddings and pretraining have rows "
        "of their own; what another program computed (rule `outside`) has one without numbers, for they are not known",
        f"rule {_ARM} seed device gpus threads seconds {_COSTS}", f"rule {_ARM} seed", parts=True,
    ),
    "cost_by_model": _table(
        CONTROLS, "Costs by model, task and arm (peaks: the highest)",
        f"model task init jobs {_COSTS}", "model task init", parts=True,
    ),
    "tasks": _table(STUDY, "What tables and figures call tasks", "task suite suite_label group label", "task"),
    "models": _table(STUDY, "What tables and figures call models and baselines", "model", "model"),
    "records": _table(
        STUDY, "Every recorded number",
        f"{_ARM} metric value", f"{_ARM} seed metric split selection fold run", parts=True,
    ),
}  # fmt: skip


def columns_of(name: str) -> list[str]:
    """Columns that a table always has; those that another room declares are imported."""
    declared = TABLES[name].columns
    if isinstance(declared, str):
        module, _, constant = declared.partition(":")
        declared = getattr(import_module(f"foundationless.{module}"), constant)
        declared = declared[name] if isinstance(declared, dict) else declared
    return list(declared)


def captions_by_group() -> dict[str, dict[str, str]]:
    """Group -> name -> caption of the tables that are written as CSV, as the report lists them."""
    groups: dict[str, dict[str, str]] = {}
    for name, table in TABLES.items():
        if table.csv:
            groups.setdefault(table.group, {})[name] = table.caption
    return groups


SHOWN = tuple(name for name, table in TABLES.items() if table.shown)
