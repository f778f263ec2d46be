"""What a study may name: analyses, arms, readers, features, metrics, figures; and the recipe version of every rule."""

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

# Sources that each reader needs, all it knows (`*`: any ending) and its options: `tasks` declares them, and a test
# holds the two together; importing `tasks` here would load the libraries of every reader with every cluster job.
READERS = {
    "table": (
        "train test",
        "train validation test genome",
        "validation_fraction test_contigs sequence label labels filter strict_alphabet",
    ),
    "fasta_classes": ("", "train.* validation.* test.* genome", "validation_fraction merge strict_alphabet"),
    "intervals": ("bed genome", "bed genome", "test_contigs validation_contigs fractions"),
    "genes": (
        "genes genome",
        "genes genome",
        "counts classes max_per_class min_per_class test_contigs validation_contigs fractions",
    ),
    "transcripts": (
        "fasta genes tx2gene",
        "fasta genes tx2gene",
        "classes max_per_class min_per_class fractions strict_alphabet",
    ),
    "people": (
        "vcf genome panel",
        "vcf genome panel families unrelated",
        "contig start end label fractions as_written",
    ),
    "mutants": ("genome", "genome", "contigs starts windows length mutations replicates"),
    "transfer": ("train test", "train test", "labels"),
    "clinical": ("vcf genome", "vcf genome", "genes consequences length unlabelled score"),
    "sge": ("table genome", "table genome", "length offset unlabelled"),
    "tp53_missense": ("table genome", "table genome", "length"),
}

_VARIANTS = ("clinical", "sge", "tp53_missense")

SPECIAL = {
    "sensitivity": ("mutants",),
    "mutagenesis": ("mutants", *_VARIANTS),
    **dict.fromkeys(("similarity", "likelihood"), _VARIANTS),
}


class Features(NamedTuple):
    """A family of hand-made features: the function of its name in `features.composition`, or in `features.genotypes`.

    `drawn`: anew with each seed, as a random network is. `of_genotypes`: read from sets of people alone.
    """

    drawn: bool = False
    of_genotypes: bool = False


# Families of features of the baselines, and the classifiers on features, made by hand or by a network.
FEATURES = {
    "majority": Features(),
    "length": Features(),
    "gc": Features(),
    "length_gc": Features(),
    "kmer": Features(),
    "gapped_kmer": Features(),
    "random_conv": Features(drawn=True),
    "genotype": Features(of_genotypes=True),
    "genotype_pca": Features(of_genotypes=True),
}

DRAWN = tuple(name for name, family in FEATURES.items() if family.drawn)

GENOTYPES = tuple(name for name, family in FEATURES.items() if family.of_genotypes)

CLASSIFIERS = ("xgboost", "logistic", "svm", "knn", "prototype", "majority")

CLASS_METRICS = ("mcc", "macro_f1", "weighted_f1", "accuracy", "auroc", "auprc")

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
