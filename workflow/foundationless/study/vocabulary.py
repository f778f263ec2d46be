"""What a study may name: analyses, arms, features, metrics, figures; and the recipe version of every rule."""

from typing import NamedTuple

# Snakemake does not see edits behind `python -m foundationless`: raise a number here when a rule's result would change.
RECIPES = {
    "fetch_region": 1,
    "prepare_genome": 1,
    "simulate_genome": 1,
    "simulate_population": 2,
    "simulate_variants": 1,
    "build_sequences": 2,
    "derive_sequences": 1,
    "audit_task": 1,
    "audit_overlap": 1,
    "audit_corpus": 1,
    "initialise": 3,
    "download_weights": 1,
    "import_weights": 1,
    "derive_weights": 1,
    "download_tokenizer": 1,
    "train_tokenizer": 1,
    "pretrain": 3,
    "finetune_model": 2,
    "fit_baseline": 3,
    "embed": 2,
    "probe": 3,
    "cluster_embeddings": 1,
    "score_sensitivity": 2,
    "score_similarity": 2,
    "score_likelihood": 2,
    "score_mutagenesis": 1,
    "summarise_analysis": 5,
    "collect_tables": 5,
    "draw_figures": 3,
    "bind_figures": 2,
    "write_verdict": 1,
    "write_report": 1,
}

# Families of baselines whose features are drawn anew with each seed, as a random network's are.
DRAWN = ("random_conv",)

# Which rule computes a network's cell of each analysis, and which of them are classifications that baselines join.
ANALYSES = {
    "finetune": "finetune_model",
    "lowdata": "finetune_model",
    "epochs": "finetune_model",
    "tokenizer": "finetune_model",
    "controls": "finetune_model",
    "lora": "finetune_model",
    "biotype": "probe",
    "width": "probe",
    "frozen": "probe",
    "ancestry": "probe",
    "transfer": "probe",
    "fewshot": "probe",
    "clustering": "cluster_embeddings",
    "sensitivity": "score_sensitivity",
    "similarity": "score_similarity",
    "likelihood": "score_likelihood",
    "mutagenesis": "score_mutagenesis",
}

CLASSIFICATIONS = tuple(name for name, rule in ANALYSES.items() if rule in ("finetune_model", "probe"))

# Analyses whose records are the result: nothing is predicted, or what is predicted has no label.
UNPAIRED = ("sensitivity", "similarity", "mutagenesis", "clustering", "pretrain")

# Analyses with confusion matrices.
CONFUSED = ("biotype", "ancestry", "finetune")

# Poolings of embeddings in the order in which they are stored, and the one that is clustered.
POOLINGS = ("max", "mean", "cls")

CLUSTERED = "max"

# Named targets of the workflow and the analyses that they compute.
TARGETS = {
    "finetune": ("finetune", "lowdata", "epochs", "lora"),
    "biotype": ("biotype", "width", "frozen", "transfer", "fewshot", "clustering"),
    "ancestry": ("ancestry",),
    "variants": ("sensitivity", "similarity", "likelihood", "mutagenesis"),
    "ablations": ("tokenizer", "controls"),
}

# Width of a family's states and what follows it (paper Table 11: intermediate = 4 x width).
WIDTHS = {
    "hyenadna": {"d_model": 1, "d_inner": 4},
    "caduceus": {"d_model": 1},
    "mistral": {"hidden_size": 1, "intermediate_size": 4},
    "nt_v1": {"hidden_size": 1, "intermediate_size": 4},
    "nt_v2": {"hidden_size": 1, "intermediate_size": 4},
    "dnabert2": {"hidden_size": 1, "intermediate_size": 4},
    "gena_lm": {"hidden_size": 1, "intermediate_size": 4},
    "bert": {"hidden_size": 1, "intermediate_size": 4},
}

# Number of layers of a family.
LAYERS = dict.fromkeys(("hyenadna", "caduceus"), "n_layer") | dict.fromkeys(
    ("mistral", "nt_v1", "nt_v2", "dnabert2", "gena_lm", "bert"), "num_hidden_layers"
)

# Tokenizers that need a file of pieces, which the model table says where to get.
PIECES = ("dnabert2", "gena_lm")

# Controls between random and pretrained: the pretrained embedding table alone; pretrained values, permuted; and a copy
# of the pretrained weights, which must make no difference.
CONTROL_ARMS = ("embedding", "permuted", "copy")

# Kinds of sequence sets (`readers.Reader.makes`) that an analysis reads, where it is not a classification.
SPECIAL = {
    "sensitivity": ("mutants",),
    "mutagenesis": ("mutants", "variants"),
    **dict.fromkeys(("similarity", "likelihood"), ("variants",)),
}

# Families of baselines, which `fit_baseline` knows; those of genotypes read sets of people alone.
GENOTYPES = ("genotype", "genotype_pca")

FEATURES = ("majority", "length", "gc", "length_gc", "kmer", "gapped_kmer", "random_conv", *GENOTYPES)


class Metric(NamedTuple):
    """How a metric is read; `evaluation.metrics` has the function of its name.

    `kind`: `count` (of a confusion matrix) and `rank` (of scores) score classes, others do not.
    """

    label: str
    kind: str
    higher_is_better: bool = True
    lowest: float = 0.0  # value, where intervals end


METRICS = {
    "mcc": Metric("MCC", "count", lowest=-1.0),
    "macro_f1": Metric("macro F1", "count"),
    "weighted_f1": Metric("weighted F1", "count"),
    "accuracy": Metric("accuracy", "count"),
    "auroc": Metric("AUROC", "rank"),
    "auprc": Metric("AUPRC", "rank"),
    "spearman": Metric("Spearman's ρ", "correlation", lowest=-1.0),
    "ece": Metric("expected calibration error", "calibration", higher_is_better=False),
    "brier": Metric("Brier score", "calibration", higher_is_better=False),
    "loss": Metric("loss", "loss", higher_is_better=False),
    "bits_per_base": Metric("bits per base", "loss", higher_is_better=False),
}

COUNT_METRICS = tuple(name for name, metric in METRICS.items() if metric.kind == "count")

RANK_METRICS = tuple(name for name, metric in METRICS.items() if metric.kind == "rank")

CLASS_METRICS = (*COUNT_METRICS, *RANK_METRICS)

HIGHER_IS_BETTER = {name: metric.higher_is_better for name, metric in METRICS.items()}

# Tables of numbers about the evaluation itself, which summarise_analysis and collect_tables write beside scores and
# comparisons; `evaluation.diagnostics` declares their columns.
DIAGNOSTICS = (
    "optimism",
    "oracle",
    "leakage",
    "calibration",
    "components",
    "runs",
    "roc",
    "confusion",
    "selections",
    "settings",
)

# Files that the rules simulate_genome, simulate_population and simulate_variants write.
SIMULATED = (
    "genome.fa",
    "genes.gtf",
    "mark.bed",
    "promoter.bed",
    "enhancer.bed",
    "population.vcf.gz",
    "panel.tsv",
    "pedigree.tsv",
    "variants.vcf.gz",
)

# What an interval at the margin, and so a model's verdict, may say.
VERDICTS = ("better", "equivalent", "worse", "undecided")

# Every figure in the order of all.pdf, and what it belongs to.
VERDICT, STUDY, FURTHER, CONTROLS = "Verdict", "Figures of the study", "More analyses", "Controls and costs"

FIGURES = {
    "verdict_forest": VERDICT,
    "critical_difference": VERDICT,
    "claims": VERDICT,
    "reported": VERDICT,
    "figure_01_benchmarks": STUDY,
    "figure_03_low_data": STUDY,
    "figure_04_width_random": STUDY,
    "figure_05_width_pretrained": STUDY,
    "figure_06_sensitivity_ancestry": STUDY,
    "figure_07_best_random": STUDY,
    "figure_08_nt": STUDY,
    "figure_09_gue": STUDY,
    "figure_10_gb": STUDY,
    "factorial": FURTHER,
    "learning_curves": FURTHER,
    "biotype": FURTHER,
    "confusion": FURTHER,
    "fewshot": FURTHER,
    "probing": FURTHER,
    "clustering": FURTHER,
    "variants": FURTHER,
    "roc": FURTHER,
    "mutations": FURTHER,
    "mutagenesis": FURTHER,
    "lora": FURTHER,
    "epochs": FURTHER,
    "controls": CONTROLS,
    "seed_variance": CONTROLS,
    "optimism": CONTROLS,
    "leakage": CONTROLS,
    "calibration": CONTROLS,
    "defects": CONTROLS,
    "pretraining": CONTROLS,
    "cost": CONTROLS,
}
