"""What a study may name: rules, analyses, arms, readers, features, metrics, figures."""

from dataclasses import dataclass

# Rules of the workflow, each of which calls the command of its name.
RULES = (
    "fetch", "fetch_region", "prepare_genome", "simulate_genome", "simulate_population", "simulate_variants",
    "build_sequences", "derive_sequences", "audit_task", "audit_overlap", "audit_corpus", "initialise",
    "download_weights", "import_weights", "make_control_arm", "download_tokenizer", "train_tokenizer", "pretrain",
    "finetune_model", "fit_baseline", "embed", "probe", "cluster_embeddings", "score_sensitivity",
    "score_similarity", "score_likelihood", "score_mutagenesis", "summarise_analysis", "collect_tables",
    "draw_figures", "bind_figures", "write_verdict", "write_report",
)  # fmt: skip

# Families of baselines whose features are drawn anew with each seed, as a random network's are.
DRAWN = ("random_conv",)

# Controls between random and pretrained: the pretrained embedding table alone; pretrained values, permuted; and a copy
# of the pretrained weights, which must make no difference.
CONTROL_ARMS = ("embedding", "permuted", "copy")

# Readers of variants and of windows; every other reader makes sets of classes.
_VARIANTS = ("clinical", "sge", "tp53_missense")


@dataclass(frozen=True)
class Analysis:
    """An experiment: an analysis on an existing rule is one entry of `ANALYSES`.

    `rule`: what computes a network's cell. `target`: the named target of the workflow that it belongs to. `question`:
    what it asks, in a line. `paper`: where the paper asks it. `figure`: the figure that shows it. `readers`: whose
    sets it reads; none named: sets of classes. `paired`: whether arms are compared sample by sample.
    `confusion`: whether its confusion matrices are summarised.
    """

    rule: str
    target: str
    question: str
    paper: str = ""
    figure: str = ""
    readers: tuple[str, ...] = ()
    paired: bool = True
    confusion: bool = False

    @property
    def classifies(self) -> bool:
        """A classification: baselines join it, its sets may be derived ones, every arm has every seed."""
        return self.rule in ("finetune_model", "probe")

    @property
    def budgeted(self) -> bool:
        """Whether a task may say for how many epochs it is learned."""
        return self.rule == "finetune_model"

    @property
    def embeds(self) -> bool:
        """Whether it reads embeddings."""
        return self.rule in ("probe", "cluster_embeddings")

    @property
    def arms(self) -> tuple[str, ...]:
        """Arms that it may have."""
        return ("pretrained", "random", *CONTROL_ARMS, *(("baseline",) if self.classifies else ()))


ANALYSES = {
    "finetune": Analysis(
        "finetune_model", "finetune", "is the model better than its random self after fine-tuning?",
        "Fig 1, 7–10, Table 18", "figure_01_benchmarks", confusion=True,
    ),
    "lowdata": Analysis(
        "finetune_model", "finetune", "… with 1 to 50 % of the training data, drawn several times?",
        "Fig 3", "figure_03_low_data",
    ),
    "epochs": Analysis(
        "finetune_model", "finetune", "… with another budget of epochs, or stopped early?",
        figure="epochs",
    ),
    "lora": Analysis("finetune_model", "finetune", "… with low-rank adapters?", "Table 8", "lora"),
    "biotype": Analysis(
        "probe", "biotype", "do its frozen features tell gene biotypes apart, also where lengths are matched?",
        "Table 2", "biotype", confusion=True,
    ),
    "width": Analysis(
        "probe", "biotype", "… as a function of width and tokenizer, random and pretrained?",
        "Fig 4, 5, Table 11", "figure_04_width_random",
    ),
    "frozen": Analysis("probe", "biotype", "do they tell histone marks apart?", "Table 13", "probing"),
    "transfer": Analysis(
        "probe", "biotype", "… learned on one species or mark, asked about another?",
        figure="probing",
    ),
    "fewshot": Analysis("probe", "biotype", "… with 1, 5 or 10 examples a class?", figure="fewshot"),
    "clustering": Analysis(
        "cluster_embeddings", "biotype", "… with no labels at all (and maps of the embeddings)?",
        figure="clustering", paired=False,
    ),
    "ancestry": Analysis(
        "probe", "ancestry", "do they tell superpopulations apart, with relatives kept together or left out?",
        "Fig 6b, Table 14", "figure_06_sensitivity_ancestry", confusion=True,
    ),
    "sensitivity": Analysis(
        "score_sensitivity", "variants", "how far does a mutation move an embedding?",
        "Fig 6a", "figure_06_sensitivity_ancestry", ("mutants",), paired=False,
    ),
    "similarity": Analysis(
        "score_similarity", "variants", "do pathogenic variants move it further than benign ones?",
        "Table 5", "variants", _VARIANTS, paired=False,
    ),
    "likelihood": Analysis(
        "score_likelihood", "variants", "does the likelihood ratio rank pathogenic variants?",
        "Table 4", "variants", _VARIANTS,
    ),
    "mutagenesis": Analysis(
        "score_mutagenesis", "variants", "which of all substitutions of a window does the model notice?",
        figure="mutagenesis", readers=("mutants", *_VARIANTS), paired=False,
    ),
    "tokenizer": Analysis(
        "finetune_model", "ablations", "what is the tokenizer worth, the architecture being the same?",
        "Table 3", "factorial",
    ),
    "controls": Analysis(
        "finetune_model", "ablations",
        "are permuted labels at chance, and is a copy of the weights no different? what were duplicates across splits "
        "worth? and weights that are pretrained in their values but not in their order, or in their embedding table "
        "alone?",
        figure="controls",
    ),
}  # fmt: skip

CLASSIFICATIONS = tuple(name for name, analysis in ANALYSES.items() if analysis.classifies)

# Analyses whose records are the result: nothing is predicted, or what is predicted has no label; and pretraining.
UNPAIRED = (*(name for name, analysis in ANALYSES.items() if not analysis.paired), "pretrain")

CONFUSED = tuple(name for name, analysis in ANALYSES.items() if analysis.confusion)

# Readers whose sets have no classes to learn.
SPECIAL = tuple(dict.fromkeys(reader for analysis in ANALYSES.values() for reader in analysis.readers))

# Named targets of the workflow and the analyses that they compute.
TARGETS = {
    target: tuple(name for name, analysis in ANALYSES.items() if analysis.target == target)
    for target in dict.fromkeys(analysis.target for analysis in ANALYSES.values())
}

# Poolings of embeddings in the order in which they are stored, and the one that is clustered.
POOLINGS = ("max", "mean", "cls")

CLUSTERED = "max"

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

# Families of baselines, which `fit_baseline` knows; those of genotypes read sets of people alone.
GENOTYPES = ("genotype", "genotype_pca")

FEATURES = ("majority", "length", "gc", "length_gc", "kmer", "gapped_kmer", "random_conv", *GENOTYPES)

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
