"""What a study may name: rules, analyses, arms, features, metrics, tables of diagnostics, figures."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

# Rules of the workflow, each of which calls the command of its name.
RULES = (
    "fetch", "fetch_region", "prepare_genome", "simulate_genome", "simulate_words", "simulate_population",
    "simulate_variants", "shuffle_genome",
    "build_sequences", "derive_sequences", "audit_task", "audit_overlap", "audit_corpus", "initialise",
    "download_weights", "import_weights", "make_control_arm", "download_tokenizer", "download_own_tokenizer",
    "train_tokenizer",
    "pretrain_leg", "pretrain", "pretrain_control", "pretrain_self",
    "finetune_part", "finetune_model", "finetune_shots", "fit_baseline", "embed", "probe",
    "import_vectors", "import_scores",
    "simulate_effects", "build_effects", "import_genes", "build_vocabulary", "pretrain_cells", "embed_genes",
    "predict_effects",
    "finetune_effects",
    "cluster_embeddings", "probe_structure",
    "score_sensitivity", "score_similarity", "score_likelihood", "score_mutagenesis", "score_bases", "probe_variants",
    "explain",
    "look", "summarise_analysis", "recommend_model", "collect_tables", "draw_figures", "bind_figures",
    "write_verdict", "write_report",
)  # fmt: skip

# Controls between random and pretrained: the pretrained embedding table alone; pretrained values, permuted; and a copy
# of the pretrained weights, which must make no difference.
CONTROL_ARMS = ("embedding", "permuted", "copy")

# Controls that are pretrained themselves, as the model is: on its corpus with the dinucleotides shuffled; or on the
# corpus itself, but no further than a step (`step100`); or on nothing but the training sequences of the task that is
# asked about, so that each task has weights of its own.
OTHER_CORPORA = ("dinucleotide",)
SELF = "self"
STEP_ARM = r"step[1-9]\d*"


def steps_of(init: str) -> int:
    """The step of pretraining that an arm `stepN` stopped at; 0 of others."""
    return int(init.removeprefix("step")) if re.fullmatch(STEP_ARM, init) else 0


def is_other_pretraining(init: str) -> bool:
    """Whether an arm is a control that is pretrained itself."""
    return init in (*OTHER_CORPORA, SELF) or steps_of(init) > 0


# What pretraining may bring -> the arm, and what it is compared with, whose difference stands for it.
INGREDIENTS = {
    "all": ("pretrained", "random"),
    "embedding table": ("embedding", "random"),
    "weight statistics": ("permuted", "random"),
    "genome statistics": ("dinucleotide", "random"),
    "genome order": ("pretrained", "dinucleotide"),
    "task sequences": (SELF, "random"),
    "beyond the task": ("pretrained", SELF),
}


def has_one_checkpoint(init: str) -> bool:
    """Whether every seed of an arm begins with the same weights: those of one pretraining."""
    return init == "pretrained" or is_other_pretraining(init)


# The same of an embedding of genes: its rows, dealt to other genes; noise of the same spectrum; and a copy.
EFFECT_ARMS = ("permuted", "spectrum", "copy")

EFFECT_RULES = ("predict_effects", "finetune_effects")
GENERATORS = ("scgpt",)  # families of networks with a form that predicts perturbations, once it is trained on some


@dataclass(frozen=True)
class Analysis:
    """An experiment: an analysis on an existing rule is one entry of `ANALYSES`.

    `rule`: what computes a network's cell. `target`: the named target of the workflow that it belongs to. `question`:
    what it asks, in a line. `paper`: where the paper asks it. `figure`: the figure that shows it. `sets`: kinds of
    sequence sets (`readers.Reader.makes`) that it reads. `paired`: whether arms are compared sample by sample.
    `confusion`: whether its confusion matrices are summarised. `trains`: whether a head is trained. `holds_out`: of
    screens, which of `EFFECT_SPLITS`. `splits_gain`: whether controls too are compared with their model's random arm.
    """

    rule: str
    target: str
    question: str
    paper: str = ""
    figure: str = ""
    sets: tuple[str, ...] = ("classes", "transfer")
    paired: bool = True
    confusion: bool = False
    trains: bool = True
    holds_out: str = ""
    splits_gain: bool = False

    @property
    def classifies(self) -> bool:
        """A classification: baselines join it, its sets may be derived ones, every arm has every seed."""
        return self.rule in ("finetune_model", "finetune_shots", "probe")

    @property
    def probes_variants(self) -> bool:
        """A probe of variants: baselines on features of variants join it."""
        return self.rule == "probe_variants"

    @property
    def predicts_effects(self) -> bool:
        """A prediction of what perturbing genes does: its baselines and arms are of genes, its sets screens."""
        return self.rule in EFFECT_RULES

    @property
    def budgeted(self) -> bool:
        """Whether a task may say for how many epochs it is learned."""
        return self.rule == "finetune_model"

    @property
    def embeds(self) -> bool:
        """Whether it reads embeddings."""
        return self.rule in ("probe", "cluster_embeddings", "probe_structure")

    def draws(self, init: str, family: str, classifiers: Iterable[str] = ()) -> bool:
        """Whether another seed could give another result: one checkpoint that nothing is trained on has a single one.

        `family` is the architecture, or the features of a baseline, which `classifiers` read.
        """
        if self.rule == "predict_effects":
            return init in ("random", "permuted", "spectrum")
        if init == "baseline":
            return family in DRAWN or any(CLASSIFIERS[name].drawn for name in classifiers if name in CLASSIFIERS)
        trained = (self.classifies and self.trains) or self.rule in ("finetune_effects", "explain")
        return trained or not has_one_checkpoint(init)

    @property
    def reads_outside(self) -> str:
        """What it reads of an arm that another program computed: `vectors`, `scores`, or nothing."""
        return "vectors" if self.embeds else "scores" if self.rule in ("score_likelihood", "probe_variants") else ""

    @property
    def arms(self) -> tuple[str, ...]:
        """Arms that it may have, but for `stepN`, which are without number."""
        if self.predicts_effects:
            return ("pretrained", "random", *EFFECT_ARMS, "baseline")
        free = ("baseline",) if self.classifies or self.probes_variants else ()
        return ("pretrained", "random", *CONTROL_ARMS, *OTHER_CORPORA, SELF, *free)

    def may_have(self, init: str) -> bool:
        """Whether it may have an arm."""
        return init in self.arms or (steps_of(init) > 0 and not self.predicts_effects)


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
        figure="transfer",
    ),
    "fewshot": Analysis(
        "probe", "biotype", "… with a few examples a class, drawn many times?",
        figure="fewshot",
    ),
    "fewshot_finetune": Analysis(
        "finetune_shots", "finetune", "… and when a few examples a class, drawn as often, train the whole network?",
        figure="fewshot",
    ),
    "retrieval": Analysis(
        "probe", "biotype", "does nearness to a few known sites rank the others first, without any training?",
        figure="fewshot", trains=False,
    ),
    "clustering": Analysis(
        "cluster_embeddings", "biotype", "… with no labels at all (and maps of the embeddings)?",
        figure="clustering", paired=False,
    ),
    "structure": Analysis(
        "probe_structure", "biotype", "… what do they know of the sequences themselves: GC, words, their places?",
        figure="structure", paired=False,
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
        "Table 5", "variants", ("variants",), paired=False,
    ),
    "likelihood": Analysis(
        "score_likelihood", "variants", "does the likelihood ratio rank pathogenic variants?",
        "Table 4", "variants", ("variants",),
    ),
    "indels": Analysis(
        "score_likelihood", "variants", "… and insertions, deletions and substitutions of several bases?",
        figure="variants", sets=("variants",),
    ),
    "variant_probe": Analysis(
        "probe_variants", "variants",
        "do its embeddings tell pathogenic variants, by distance or once a probe has learned from other chromosomes or "
        "places?",
        figure="variant_effects", sets=("variants",),
    ),
    "mutagenesis": Analysis(
        "score_mutagenesis", "variants", "which of all substitutions of a window does the model notice?",
        figure="mutagenesis", sets=("mutants", "variants"), paired=False,
    ),
    "explanations": Analysis(
        "explain", "variants", "does the fine-tuned model look at the motif where its random self does not?",
        figure="explanations", sets=("classes",), paired=False,
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
    "ingredients": Analysis(
        "finetune_model", "ablations",
        "what of pretraining helps: the embedding table, the statistics of the weights, those of the genome, or its "
        "order? or to have seen the task's own sequences? and how soon?",
        figure="ingredients", splits_gain=True,
    ),
    "bases": Analysis(
        "score_bases", "ablations",
        "how many bits does the next (or a hidden) base take, by kind of region where the genome is annotated, and how "
        "many a Markov model?",
        figure="pretraining", sets=("classes",), paired=False,
    ),
    "unseen": Analysis(
        "predict_effects", "perturbation", "does anything predict the effect of a gene that was never perturbed?",
        figure="p_figure_2", sets=("effects",), holds_out="unseen",
    ),
    "doubles": Analysis(
        "predict_effects", "perturbation", "… the effect of two genes at once, from those of each?",
        figure="p_figure_1", sets=("effects",), holds_out="doubles",
    ),
    "borrowed": Analysis(
        "predict_effects", "perturbation",
        "do embeddings of genes that were learned elsewhere help a linear model more than random ones?",
        figure="p_figure_2", sets=("effects",), holds_out="unseen",
    ),
    "finetuned": Analysis(
        "finetune_effects", "perturbation", "does a single-cell model that is fine-tuned on a screen predict the rest?",
        figure="p_figure_2", sets=("effects",), holds_out="unseen",
    ),
}  # fmt: skip

CLASSIFICATIONS = tuple(name for name, analysis in ANALYSES.items() if analysis.classifies)

# Analyses whose records are the result: nothing is predicted, or what is predicted has no label; and pretraining.
UNPAIRED = (*(name for name, analysis in ANALYSES.items() if not analysis.paired), "pretrain")

CONFUSED = tuple(name for name, analysis in ANALYSES.items() if analysis.confusion)

# Named targets of the workflow and the analyses that they compute.
TARGETS = {
    target: tuple(name for name, analysis in ANALYSES.items() if analysis.target == target)
    for target in dict.fromkeys(analysis.target for analysis in ANALYSES.values())
}

# Poolings of embeddings in the order in which they are stored, and the one that is clustered.
POOLINGS = ("max", "mean", "cls")

CLUSTERED = "max"

# What becomes of a sequence that is longer than the model reads: it is cut off (or, of embeddings, the mean over its
# pieces is taken); or read in chunks that are pooled by their tokens, or by a query that is learned.
CHUNKS = ("none", "mean", "attention")

NO_CHUNKS = CHUNKS[0]

# Analyses of a few training rows, and what their probes are where a study says nothing: a head that no validation row
# chooses. `fixed`: the classifier and the pooling named first, untuned.
FEW = ("fewshot", "fewshot_finetune", "retrieval")

FEW_STEPS = 100  # of training on them, where a study says nothing

FIXED, VALIDATION = "fixed", "validation"

LEAVE_ONE_OUT = "leave_one_out"  # of few rows that are drawn: strength and features, by these rows alone

CHOICES = (VALIDATION, FIXED, LEAVE_ONE_OUT)

FEW_SHOTS: Mapping[str, Any] = {"choice": FIXED, "probes": ["logistic"], "poolings": ["mean"]}

NEARNESS = ("max", "centroid")  # to known sites: to the nearest of them, or to their mean

RETRIEVAL: Mapping[str, Any] = {"known": 10, "draws": 20, "by": NEARNESS[0], "site": ""}

RANKED_BY = "auprc"  # what a ranking is judged by, whatever a task's classes are

# Rules that read inner layers of a network where a study says so, and those of them that `embedding.layers` is for.
LAYERED = ("probe", "score_sensitivity", "score_similarity", "cluster_embeddings", "probe_structure")

LAYERED_BY_DEFAULT = LAYERED[:3]

LAST_LAYER = "last_layer"  # the selection of what is best on the last layer alone, beside what is best on all


class Features(NamedTuple):
    """A family of hand-made features: the function of its name in `features.composition`, or in `features.genotypes`.

    `drawn`: anew with each seed, as a random network is. `of_genotypes`: read from sets of people alone. `of_variants`:
    of variants (`VARIANT_FEATURES`), read by the analysis that probes these.
    `of_sequences`: the sequences themselves, base by base (`features.bases`), for `SEQUENCE_CLASSIFIERS` alone, from
    sets of which a sample is one sequence: not of people.
    """

    drawn: bool = False
    of_genotypes: bool = False
    of_sequences: bool = False
    of_variants: bool = False


# Families of features of the baselines; classifiers on features of a network, and on those made by hand.
FEATURES = {
    "majority": Features(),
    "length": Features(),
    "gc": Features(),
    "length_gc": Features(),
    "kmer": Features(),
    "gapped_kmer": Features(),
    "random_conv": Features(drawn=True),
    "bases": Features(of_sequences=True),
    "genotype": Features(of_genotypes=True),
    "genotype_pca": Features(of_genotypes=True),
    "variant": Features(of_variants=True),
}

# Features of variants that cost nothing (`scoring.probes.cheap`), and the column of a set that each needs, if any.
VARIANT_FEATURES = {
    "transition": "",
    "cpg": "",
    "trinucleotide": "",
    "length": "",
    "splice_distance": "splice_distance",
    "blosum62": "protein",
    "phylop": "phylop",
    "phastcons": "phastcons",
    "gerp": "gerp",
    "cadd": "cadd",
}


# What is held out of a screen: single perturbations, or combinations of two that were each seen alone.
EFFECT_SPLITS = ("unseen", "doubles")


class EffectBaseline(NamedTuple):
    """What predicts effects without a borrowed embedding: its label, and which of `EFFECT_SPLITS` it serves.

    `reads_genes`: whether it reads vectors of genes. The function of its name is in `perturbation.baselines`, but for
    `linear`, the linear model with both sides from the training data (`perturbation.borrowed`).
    """

    label: str
    splits: tuple[str, ...] = EFFECT_SPLITS
    reads_genes: bool = False


EFFECT_BASELINES = {
    "no_change": EffectBaseline("no change"),
    "mean": EffectBaseline("mean"),
    "crispr_mean": EffectBaseline("CRISPR-informed mean"),
    "additive": EffectBaseline("additive", ("doubles",)),
    "scaled_additive": EffectBaseline("scaled additive", ("doubles",)),
    "matching_mean": EffectBaseline("matching mean", ("doubles",)),
    "linear": EffectBaseline("linear model"),
    "nearest_go": EffectBaseline("nearest by GO", ("unseen",), reads_genes=True),
    "replicate": EffectBaseline("the other half of the replicates"),
}

# Where imported embeddings of genes come from -> the key of a model's entry that says of what.
VECTOR_SOURCES = {"table": "datasets", "go": "datasets", "cells": "datasets", "screen": "task", "simulated": "file"}

# Baselines that read what no method may: they say how much could be predicted, and are no rivals.
CEILINGS = ("replicate",)

# Settings of the analyses of perturbations, where neither a config, an analysis nor a flag says otherwise.
PERTURBATION: Mapping[str, Any] = {
    "splits": [1, 2, 3], "held_out": 0.25, "held_out_doubles": 0.5, "dims": [10], "inner_folds": 5, "top": 1000,
    "strengths": [0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0], "genes": None, "pooling": "mean",
    "names": None,
}  # fmt: skip

# What attributes a classifier's logit to nucleotides (`scoring.explanations`), and the settings of the analysis where
# neither a study nor a flag says otherwise. `threshold`: of a site of a matrix, as a probability of a random word.
EXPLANATIONS = ("gradient_input", "integrated_gradients", "rollout", "mutagenesis")
STARTS = ("mean", "zero", "shuffled")  # what gradients start from
EXPLAINING: Mapping[str, Any] = {
    "methods": list(EXPLANATIONS), "sequences": 64, "steps": 32, "baseline": "mean",
    "references": 10, "threshold": 1e-4,
}  # fmt: skip

PLANTED = ("mark", "promoter", "enhancer")  # windows of the simulated genome whose motifs truth.tsv says

DRAWN = tuple(name for name, family in FEATURES.items() if family.drawn)

GENOTYPES = tuple(name for name, family in FEATURES.items() if family.of_genotypes)

SEQUENTIAL = tuple(name for name, family in FEATURES.items() if family.of_sequences)

OF_VARIANTS = tuple(name for name, family in FEATURES.items() if family.of_variants)


CLASSES, VALUES, TRACKS = "classes", "values", "tracks"  # kinds of labels: see `LABELS`
ANY = (CLASSES, VALUES, TRACKS)


class Classifier(NamedTuple):
    """What a classifier is, where it comes from, and what it `reads`: `features` in columns, `sequences`, `nothing`.

    `drawn`: anew with each seed, whatever it reads. `serves`: kinds of labels that it learns.
    """

    what: str
    source: str = ""
    reads: str = "features"
    drawn: bool = False
    serves: tuple[str, ...] = (CLASSES,)


# The functions of these names are in `features.classifiers`, of labels that are no classes in `features.outputs`; those
# that read sequences in `features.sequence_classifiers`.
CLASSIFIERS = {
    "xgboost": Classifier("boosted trees", "Chen and Guestrin 2016, doi:10.1145/2939672.2939785", serves=ANY),
    "logistic": Classifier("logistic regression on standardised features", serves=(CLASSES, TRACKS)),
    "ridge": Classifier(
        "ridge regression on standardised features", "Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634",
        serves=(VALUES,),
    ),
    "svm": Classifier("linear support vector machine on standardised features"),
    "knn": Classifier("votes of the nearest training rows", serves=ANY),
    "prototype": Classifier("the nearest class mean", "Snell et al. 2017, arXiv:1703.05175"),
    "random_forest": Classifier(
        "votes of trees on bootstrapped rows and random features", "Breiman 2001, doi:10.1023/A:1010933404324",
        drawn=True, serves=ANY,
    ),
    "markov": Classifier(
        "a Markov chain per class, by Bayes' rule; validation chooses the order",
        "Durbin et al. 1998, Biological Sequence Analysis, chapter 3", "sequences",
    ),
    "pwm": Classifier(
        "a positional weight matrix per class, or a weight array where validation says so",
        "Staden 1984, doi:10.1093/nar/12.1Part2.505; Zhang and Marr 1993, doi:10.1093/bioinformatics/9.5.499",
        "sequences",
    ),
    "positional_kmer": Classifier(
        "a table of a few k-mers at fixed positions, as many as validation wants", "Kohavi 1994 (oblivious trees)",
        "sequences",
    ),
    "nearest": Classifier(
        "the label of the training sequence that shares most k-mers: what memory alone reaches",
        "Irber et al. 2022, doi:10.1101/2022.01.11.475838 (FracMinHash, of large sets)", "sequences",
        serves=ANY,
    ),
    "majority": Classifier("the class shares, or means, of the training rows", reads="nothing", serves=ANY),
}  # fmt: skip

# What a classifier of classes is where labels are numbers.
COUNTERPARTS = {"logistic": "ridge", "svm": "ridge"}


def serving(classifiers: Iterable[str], labels: str) -> tuple[str, ...]:
    """The classifiers that learn labels of a kind, each once; others by their counterpart, or left out."""
    each = (name if labels in CLASSIFIERS[name].serves else COUNTERPARTS.get(name, "") for name in classifiers)
    return tuple(dict.fromkeys(name for name in each if name and labels in CLASSIFIERS[name].serves))


PROBES = tuple(name for name, classifier in CLASSIFIERS.items() if classifier.reads == "features")

WEIGHING = ("logistic", "xgboost", "majority")  # classifiers in which a row may weigh more than another

SEQUENCE_CLASSIFIERS = tuple(name for name, classifier in CLASSIFIERS.items() if classifier.reads == "sequences")


class Metric(NamedTuple):
    """How a metric is read; `evaluation.metrics` has the function of its name.

    `kind`: `count` (of a confusion matrix) and `rank` (of scores) score classes, others do not; `value` and `track` are
    means over the outputs of a sequence (`LABELS`); `effect` is a mean over perturbations (`evaluation.effects`).
    Paired differences within ± `margin` count as none, for the `reason`; `statistics.margins` of a config says
    otherwise.
    """

    label: str
    kind: str
    higher_is_better: bool = True
    lowest: float = 0.0  # value, where intervals end
    margin: float = 0.02
    reason: str = "as of accuracy, on whose scale from 0 to 1 it lies"


METRICS = {
    "mcc": Metric(
        "MCC", "count", lowest=-1.0, margin=0.04, reason="of two even classes it is 2 × accuracy − 1: 0.02 of accuracy"
    ),
    "macro_f1": Metric("macro F1", "count", reason="of even classes and even errors F1 is accuracy"),
    "weighted_f1": Metric("weighted F1", "count", reason="of errors as frequent in every class F1 is accuracy"),
    "accuracy": Metric("accuracy", "count", reason="one item in fifty: too little to choose another model for"),
    "auroc": Metric("AUROC", "rank", reason="one pair of a positive and a negative in fifty"),
    "auprc": Metric("AUPRC", "rank", reason="as of AUROC: a mean precision on the same scale"),
    "cosine": Metric("cosine similarity", "similarity", lowest=-1.0),
    "pearson": Metric("Pearson's r", "value", lowest=-1.0, reason="a fiftieth of the way from no relation to a line"),
    "spearman": Metric("Spearman's ρ", "value", lowest=-1.0, reason="as of Pearson's r, of ranks"),
    "r2": Metric("R²", "value", lowest=-math.inf, reason="a fiftieth of the variance of the labels"),
    "rmse": Metric(
        "RMSE", "value", higher_is_better=False, reason="a fiftieth of the standard deviation of the labels"
    ),
    "macro_auroc": Metric("macro AUROC", "track", reason="as of AUROC, whose mean over outputs it is"),
    "macro_auprc": Metric("macro AUPRC", "track", reason="as of AUPRC, whose mean over outputs it is"),
    "ece": Metric("expected calibration error", "calibration", higher_is_better=False),
    "brier": Metric("Brier score", "calibration", higher_is_better=False),
    "nll": Metric("negative log likelihood", "calibration", higher_is_better=False),
    "coverage": Metric("coverage of conformal sets", "calibration"),
    "set_size": Metric("classes in a conformal set", "calibration", higher_is_better=False),
    "loss": Metric("loss", "loss", higher_is_better=False),
    "bits_per_base": Metric("bits per base", "loss", higher_is_better=False),
    "skill": Metric(
        "skill", "effect", lowest=-math.inf,
        reason="a fiftieth of the error of the mean of the training perturbations, which has a skill of 0",
    ),
    "skill_offtarget": Metric("skill off the targets", "effect", lowest=-math.inf, reason="as of skill"),
    "l2": Metric("L2 error", "effect", higher_is_better=False),
    "l2_top": Metric("L2 error of the most expressed genes", "effect", higher_is_better=False),
    "l2_offtarget": Metric("L2 error off the targets", "effect", higher_is_better=False),
    "de_error": Metric("error of differential genes", "effect", higher_is_better=False),
    "pearson_delta": Metric("Pearson delta", "effect", lowest=-1.0),
    "pearson_mean": Metric("Pearson delta from the mean", "effect", lowest=-1.0),
    "rank_accuracy": Metric("rank accuracy", "effect"),
}  # fmt: skip

MARGINS = {name: metric.margin for name, metric in METRICS.items()}

COUNT_METRICS = tuple(name for name, metric in METRICS.items() if metric.kind == "count")

RANK_METRICS = tuple(name for name, metric in METRICS.items() if metric.kind == "rank")

CLASS_METRICS = (*COUNT_METRICS, *RANK_METRICS)

CALIBRATION_METRICS = tuple(name for name, metric in METRICS.items() if metric.kind == "calibration")

VALUE_METRICS = tuple(name for name, metric in METRICS.items() if metric.kind == "value")

TRACK_METRICS = tuple(name for name, metric in METRICS.items() if metric.kind == "track")

# What the label of a sequence may be, and the metrics that say so: one class; numbers (regression); or zeros and ones
# of which several may be one (multi-label). The numbers, or zeros and ones, are its outputs, each of which has a name
# and may be missing.
LABELS = {CLASSES: CLASS_METRICS, VALUES: VALUE_METRICS, TRACKS: TRACK_METRICS}

OUTPUT_METRICS = (*VALUE_METRICS, *TRACK_METRICS)

# What may judge a task of sequences: the higher, the better.
LEARNED_METRICS = tuple(name for names in LABELS.values() for name in names if METRICS[name].higher_is_better)


def labels_of(metric: str) -> str:
    """The kind of labels that a metric scores: one of `LABELS`; empty for another metric."""
    return next((kind for kind, metrics in LABELS.items() if metric in metrics), "")


EFFECT_METRICS = tuple(name for name, metric in METRICS.items() if metric.kind == "effect")

# What the mean of the training perturbations scores by construction, of metrics where that is a number; a task is
# judged by one of these alone.
OF_THE_MEAN = {"skill": 0.0, "skill_offtarget": 0.0, "rank_accuracy": 0.5}

# Tables of numbers about the evaluation itself, which summarise_analysis and collect_tables write beside scores and
# comparisons; `evaluation.diagnostics` declares their columns.
DIAGNOSTICS = (
    "optimism",
    "oracle",
    "leakage",
    "calibration",
    "recalibration",
    "transfer_gaps",
    "components",
    "runs",
    "fewshot",
    "roc",
    "confusion",
    "selections",
    "settings",
    "layers",
    "variant_scores",
    "verification",
    "effects",
    "interactions",
    "outputs",
    "scatter",
    "gains",
    "scaling_fits",
    "rows_worth",
)

OF_OUTPUTS = ("outputs", "scatter")  # those of tasks whose labels have outputs alone

OF_PROBED = ("variant_scores",)  # those of analyses that probe variants alone


def diagnostics_of(metrics: Iterable[str], analyses: Iterable[str] = ANALYSES) -> tuple[str, ...]:
    """Diagnostics that a study with tasks of these metrics and with these analyses has."""
    others: tuple[str, ...] = () if {*metrics} & {*OUTPUT_METRICS} else OF_OUTPUTS
    others += () if any(ANALYSES[name].probes_variants for name in analyses) else OF_PROBED
    return tuple(name for name in DIAGNOSTICS if name not in others)


# Files that the rules simulate_genome, simulate_words, simulate_population and simulate_variants write.
SIMULATED = (
    "genome.fa",
    "genes.gtf",
    "mark.bed",
    "promoter.bed",
    "enhancer.bed",
    "words.fa",
    "shuffled.fa",
    "monotone.fa",
    "vocabulary_words.bed",
    "vocabulary_letters.bed",
    "decay_words.bed",
    "decay_letters.bed",
    "strand_words.bed",
    "strand_letters.bed",
    "insert_words.bed",
    "insert_letters.bed",
    "mixture_words.bed",
    "mixture_letters.bed",
    "amounts.tsv",
    "amounts_far.tsv",
    "topics.tsv",
    "population.vcf.gz",
    "panel.tsv",
    "pedigree.tsv",
    "variants.vcf.gz",
    "indels.vcf.gz",
    "effects.h5ad",
    "useful.tsv",
    "useless.tsv",
)

# What a difference may be called: by its tests; where no arm learned anything; where seeds are too few to say.
VERDICTS = ("better", "equivalent", "worse", "undecided", "not learned", "two seeds", "one seed")

DECISIONS = ("better", "equivalent", "worse")  # the words of it that decide something

# What a pretrained arm is compared with, one word per model: itself otherwise made, or the best baseline.
REFERENCES = {
    "random": "itself at random initialisation",
    "baseline": "the best baseline",
    "embedding": "its embedding table alone",
    "permuted": "its own weights, permuted",
    "copy": "a copy of itself",
    "dinucleotide": "itself, pretrained on a shuffled genome",
    SELF: "itself, pretrained on the task's own training sequences",
    "spectrum": "random vectors of the same spectrum",
    "mean": "the mean of the training perturbations",
}

FEWEST_SEEDS = 3  # of each arm that has any: of two, their variance has one degree of freedom

TOO_FEW_SEEDS = {1: "one seed", 2: "two seeds"}

DECIDED = ("better", "equivalent", "worse", "not learned")  # words for which no further seed is computed

# Two questions about the same differences, and what each takes for drawn.
SCOPES = {
    "these": "on these tasks: the tasks are fixed, seeds and test items are drawn",
    "like-these": "on tasks like these: families of tasks are drawn as well",
}

# Every figure in the order of all.pdf.
VERDICT, PAPER, SECOND = "Verdict", "Figures of the paper", "Figures of the second paper"
FURTHER, CONTROLS = "More analyses", "Controls and costs"

# Those of gene perturbations, which are the second paper's.
OF_EFFECTS = tuple(name for name, analysis in ANALYSES.items() if analysis.predicts_effects)


# Those that probe variants.
PROBED = tuple(name for name, analysis in ANALYSES.items() if analysis.probes_variants)


class Figure(NamedTuple):
    """What a figure belongs to, the function of `reporting.figures` that draws it, and its arguments.

    A study has it where it has one of the analyses that the figure is `only` of, and a task whose `labels` are of that
    kind; every study, where it names neither.
    """

    group: str
    draw: str  # module:function
    arguments: Mapping[str, str] = MappingProxyType({})
    only: tuple[str, ...] = ()
    labels: str = ""


FIGURES = {
    "verdict_forest": Figure(VERDICT, "verdict:forest"),
    "critical_difference": Figure(VERDICT, "verdict:critical_difference"),
    "claims": Figure(VERDICT, "claims:claims"),
    "tokenizer_gate": Figure(VERDICT, "trends:tokenizer_gate"),
    "reported": Figure(VERDICT, "verdict:reported"),
    "figure_01_benchmarks": Figure(PAPER, "benchmarks:means"),
    "figure_03_low_data": Figure(PAPER, "data_and_width:low_data"),
    "figure_04_width_random": Figure(PAPER, "data_and_width:width_random"),
    "figure_05_width_pretrained": Figure(PAPER, "data_and_width:width_pretrained"),
    "figure_06_sensitivity_ancestry": Figure(PAPER, "variation:sensitivity_ancestry"),
    "figure_07_best_random": Figure(PAPER, "benchmarks:best_random"),
    "figure_08_nt": Figure(PAPER, "benchmarks:suite", {"name": "nt"}),
    "figure_09_gue": Figure(PAPER, "benchmarks:suite", {"name": "gue"}),
    "figure_10_gb": Figure(PAPER, "benchmarks:suite", {"name": "gb"}),
    "p_figure_1": Figure(SECOND, "perturbations:combinations", only=("doubles",)),
    "p_figure_2": Figure(SECOND, "perturbations:unseen", only=OF_EFFECTS),
    "p_reported": Figure(SECOND, "perturbations:reported", only=OF_EFFECTS),
    "p_error_by_genes": Figure(SECOND, "perturbation_curves:error_by_genes", only=OF_EFFECTS),
    "p_curves": Figure(SECOND, "perturbation_curves:ranking", only=("doubles",)),
    "p_variation": Figure(SECOND, "perturbation_curves:variation", only=OF_EFFECTS),
    "factorial": Figure(FURTHER, "factorial:factorial"),
    "learning_curves": Figure(FURTHER, "curves:learning_curves"),
    "scaling_fits": Figure(FURTHER, "trends:scaling_fits"),
    "biotype": Figure(FURTHER, "data_and_width:biotype"),
    "confusion": Figure(FURTHER, "confusion:confusion"),
    "transfer": Figure(FURTHER, "trust:transfer", only=("transfer",)),
    "fewshot": Figure(FURTHER, "shots:fewshot"),
    "probing": Figure(FURTHER, "probing:probing"),
    "layers": Figure(FURTHER, "layers:layers"),
    "clustering": Figure(FURTHER, "probing:clustering"),
    "maps": Figure(FURTHER, "maps:maps", only=("clustering",)),
    "structure": Figure(FURTHER, "structure:structure", only=("structure",)),
    "structure_layers": Figure(FURTHER, "structure:depths", only=("structure",)),
    "variants": Figure(FURTHER, "variation:variants"),
    "variant_effects": Figure(FURTHER, "variant_effects:variant_effects", only=PROBED),
    "roc": Figure(FURTHER, "curves:roc"),
    "mutations": Figure(FURTHER, "variation:mutations"),
    "mutagenesis": Figure(FURTHER, "mutagenesis:mutagenesis"),
    "explanations": Figure(FURTHER, "explanations:explanations", only=("explanations",)),
    "logos": Figure(FURTHER, "explanations:logos", only=("explanations",)),
    "lora": Figure(FURTHER, "controls:adapters"),
    "epochs": Figure(FURTHER, "defects:epochs"),
    "regression": Figure(FURTHER, "outputs:regression", labels=VALUES),
    "tracks": Figure(FURTHER, "outputs:tracks", labels=TRACKS),
    "controls": Figure(CONTROLS, "controls:controls"),
    "ingredients": Figure(CONTROLS, "ingredients:ingredients", only=("ingredients",)),
    "pretraining_curve": Figure(CONTROLS, "ingredients:pretraining_curve", only=("ingredients",)),
    "seed_variance": Figure(CONTROLS, "variability:seed_variance"),
    "optimism": Figure(CONTROLS, "defects:optimism"),
    "leakage": Figure(CONTROLS, "leakage:leakage"),
    "calibration": Figure(CONTROLS, "trust:calibration"),
    "importances": Figure(CONTROLS, "importances:importances"),
    "defects": Figure(CONTROLS, "defects:defects"),
    "pretraining": Figure(CONTROLS, "controls:pretraining"),
    "cost": Figure(CONTROLS, "cost:cost"),
}


def figures_of(analyses: Iterable[str], metrics: Iterable[str] = ()) -> tuple[str, ...]:
    """Figures of a study with these analyses, and tasks with these metrics, in order."""
    known, kinds = set(analyses), {"", *map(labels_of, metrics)}
    return tuple(
        name
        for name, figure in FIGURES.items()
        if (not figure.only or known & {*figure.only}) and figure.labels in kinds
    )
