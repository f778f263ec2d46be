"""The plan of a study: its models and tasks with their settings, and the cells that it consists of.

Nothing is refused here but a name that stands nowhere: `checks` reads a study and says what is wrong with it. The
Snakefile imports this again in every cluster job: it stays light.
"""

import copy
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from foundationless.errors import UserError
from foundationless.study.config import unknown
from foundationless.study.families import CELL_FAMILIES, PIECES, PUBLISHED, count_parameters, depth_of, matched, scaled
from foundationless.study.names import TOKENIZERS, in_source, parse_model, parse_task, without
from foundationless.study.own.rows import is_path
from foundationless.study.readers import READERS
from foundationless.study.rungs import cut_rungs, default_rungs
from foundationless.study.vocabulary import (
    ANALYSES,
    CLASSES,
    CLUSTERED,
    CONTROL_ARMS,
    EFFECT_ARMS,
    EFFECT_BASELINES,
    EXPLAINING,
    FEW,
    FEW_SHOTS,
    FEW_STEPS,
    FIXED,
    GENERATORS,
    GENOTYPES,
    LAYERED_BY_DEFAULT,
    LEAVE_ONE_OUT,
    NO_CHUNKS,
    OF_VARIANTS,
    PERTURBATION,
    PLANTED,
    POOLINGS,
    RANKED_BY,
    RETRIEVAL,
    SELF,
    SEQUENTIAL,
    VALIDATION,
    VARIANT_FEATURES,
    WEIGHING,
    has_one_checkpoint,
    is_other_pretraining,
    labels_of,
    serving,
)

Rows = Sequence[Mapping[str, Any]]  # of a table
# Of fine-tuning: what is trained and how it is held, where a study says nothing.
USUAL = {"trainable": "all", "layer_rates": 1, "unfreeze": 0, "gradient_checkpointing": False}
USUAL |= {"weight_precision": "fp32", "token_budget": 16384, "class_weights": "none", "chunks": NO_CHUNKS}


class Cell(NamedTuple):
    """One cell of a study: one record."""

    analysis: str
    task: str
    model: str
    init: str
    seed: int


@dataclass(frozen=True)
class Model:
    """A model as the study uses it: a table entry, the config's overrides and the qualifiers of its name."""

    name: str
    entry: Mapping[str, Any]
    config: Mapping[str, Any]
    tokenizer: str | None
    arms: tuple[str, ...]
    stem: str  # the config's own name of it, without the qualifiers behind

    @property
    def base(self) -> str:
        """Its entry of the model table."""
        return parse_model(self.name).base

    @property
    def reading(self) -> str:
        """How its weights are read: `published`, or `as_in_paper`."""
        return parse_model(self.name).reading

    @property
    def source(self) -> str | None:
        """Where its pretrained weights come from: `hub`, `local` (also: another model's weights), `workflow`, None; or
        `outside`: it has no weights here, but vectors or scores that another program computed."""
        if self.is_outside:
            return "outside"
        source = (self.entry.get("pretrained") or {}).get("source")
        return "local" if (source, self.reading) == ("workflow", "as_in_paper") else source

    @property
    def published(self) -> str:
        """The model whose weights this one reads: under the reading `as_in_paper`, the same without that qualifier."""
        return without(self.name, "reading")

    @property
    def family(self) -> str:
        """Architecture family of the registry; `outside` of an arm from there, which is not run here; `vectors`."""
        return "outside" if self.is_outside else "vectors" if self.is_vectors else str(self.entry["family"])

    @property
    def is_vectors(self) -> bool:
        """Whether it is an embedding of genes without a network: a table, or components of other data."""
        return "genes" in self.entry

    @property
    def is_of_screen(self) -> bool:
        """Whether its embedding is made of the screen that it predicts, split by split: no file holds it."""
        return self.is_vectors and self.entry["genes"]["source"] in ("halves", "training")

    @property
    def is_of_halves(self) -> bool:
        """Whether it is what half of the replicates of a screen say, or a baseline of them."""
        return self.family == "replicate" or (self.is_vectors and self.entry["genes"]["source"] == "halves")

    @property
    def of_cells(self) -> bool:
        """Whether it is a network that reads cells instead of sequences."""
        return self.family in CELL_FAMILIES

    @property
    def side(self) -> str:
        """Which side of the linear model of perturbations borrows its genes: `target`, or `readout`."""
        return parse_model(self.name).side or "target"

    @property
    def genes_of(self) -> str:
        """The model whose embedding of genes it is: neither side nor reading of the linear model changes that."""
        return without(self.name, "side", "reading")

    @property
    def is_outside(self) -> bool:
        """Whether its vectors or scores come from another program."""
        return self.entry.get("source") == "outside"

    @property
    def tokenizer_file(self) -> Mapping[str, Any]:
        """Where the tokenizer's file comes from; that of a checkpoint comes from where the checkpoint does."""
        own = self.entry.get("pretrained") if self.tokenizer == PUBLISHED else None
        return self.entry.get("tokenizer_file") or own or {}

    @property
    def classifiers(self) -> tuple[str, ...]:
        """The classifier of a baseline on hand-made features."""
        return (str(self.entry["classifier"]),) if "classifier" in self.entry else ()

    @property
    def is_baseline(self) -> bool:
        """True for classifiers on hand-made features, which have no weights."""
        return self.arms == ("baseline",)


class Plan:
    """The study: config and tables laid over each other. `checks.read_study` gives one that fits together."""

    def __init__(self, config: Mapping[str, Any], models: Mapping[str, Any], tasks: Rows, datasets: Rows) -> None:
        self.config = config
        self.entries = models
        self.tasks = {row["task"]: row for row in tasks}
        self.datasets = {row["name"]: row for row in datasets}
        self.files = {row["file"]: row for row in datasets if not is_path(row["url"])}
        self._models: dict[str, Model] = {}
        self._until: dict[int, tuple[Cell, ...]] = {}

    # ---- models

    def model(self, name: str) -> Model:
        """Resolve a model name with its qualifiers."""
        if name not in self._models:
            self._models[name] = self._resolve(name)
        return self._models[name]

    def _resolve(self, name: str) -> Model:
        studied: Mapping[str, Any] = {**self.config["models"], **self.config["baselines"]}
        stem = max((known for known in studied if f"{name}.".startswith(f"{known}.")), key=len, default="")
        parts = parse_model(name)
        if parts.base not in self.entries:
            raise UserError(unknown("model", name, self.entries))
        if not stem:
            raise UserError(unknown("model", name, studied) + " (`models` and `baselines` of the config)")
        entry = _merge(self.entries[parts.base], studied[stem])
        settings = dict(entry.get("config") or {})
        if "match" in entry and stem in self.config["baselines"]:
            settings |= matched(name, entry, settings, self._size_of(entry["match"], name))
        if "family" in entry:  # what is not run here has no shape
            settings |= scaled(name, entry, parts.width, parts.layers)
        tokenizer, arms = entry.get("tokenizer"), tuple(entry["arms"])
        if parts.tokenizer:
            tokenizer = TOKENIZERS[parts.tokenizer]
        # Another table or shape cannot come from a checkpoint: only what is pretrained here has a pretrained arm.
        own = (entry.get("pretrained") or {}).get("source") == "workflow"
        if not own and (parts.tokenizer or parts.width or parts.layers):
            arms = tuple(arm for arm in arms if arm != "pretrained")
        return Model(name, entry, settings, tokenizer, arms, stem)

    def _size_of(self, name: str, asking: str) -> int:
        """Parameters of a model of the study, which the model `asking` is to have too."""
        if name not in self.config["models"]:
            raise UserError(f"model '{asking}', match: {unknown('model', name, self.config['models'])}")
        model = self.model(name)
        count = count_parameters(model.family, model.config) or model.entry.get("parameters")
        if not count:
            raise UserError(f"model '{asking}', match: nobody says how many parameters '{name}' has; add `parameters`.")
        return count

    @cached_property
    def networks(self) -> tuple[str, ...]:
        """Every model with weights that a cell uses."""
        names = dict.fromkeys(self.weights_of(cell) for cell in self.cells)
        return tuple(filter(None, names))

    def weights_of(self, cell: Cell) -> str:
        """The model whose weights of its arm a cell reads; empty where it reads none: neither of an embedding without a
        network, nor of an arm that is made of the pretrained embedding."""
        model, kind = self.model(cell.model), ANALYSES[cell.analysis]
        if cell.init == "baseline" or model.is_outside or model.is_vectors:
            return ""
        if kind.rule == "predict_effects":
            return "" if cell.init in EFFECT_ARMS or self.is_drawn(cell) else model.genes_of
        return cell.model

    def is_drawn(self, cell: Cell) -> bool:
        """Whether a cell's vectors of genes are drawn by themselves: of no network, and of one that the paper read."""
        model = self.model(cell.model)
        return cell.init == "random" and (model.is_vectors or model.reading == "as_in_paper")

    @cached_property
    def outside(self) -> tuple[str, ...]:
        """Models and baselines of the study that another program computed."""
        return tuple(
            name for name in (*self.config["models"], *self.config["baselines"]) if self.model(name).is_outside
        )

    @cached_property
    def known_models(self) -> frozenset[str]:
        """Every name of a model that a job of the study may have: of cells, of the weights that they read, of stems."""
        models = [self.model(name) for name in dict.fromkeys(cell.model for cell in self.cells)]
        return frozenset(name for model in models for name in (model.name, model.published, model.genes_of, model.stem))

    def networks_from(self, source: str) -> tuple[str, ...]:
        """Networks whose pretrained arm comes from `hub`, `local`, `workflow`; `cells`: here too, of cells."""
        models = [self.model(name) for name in self.networks if "pretrained" in self.model(name).arms]
        # What the paper read of weights that are made here is read of the model's own, in the study or not.
        models += [self.model(model.published) for model in models if model.source == "local"]
        places = {
            model.name: "cells" if model.of_cells and model.source == "workflow" else model.source for model in models
        }
        return tuple(name for name, place in places.items() if place == source)

    def markov_corpus(self, model: str) -> str | None:
        """What Markov models beside a model are fitted to: the corpus that it was pretrained on here, or what the
        analysis `bases` names; None is the task's training rows."""
        if model in self.networks_from("workflow"):
            return str(self.model(model).entry["pretrained"]["corpus"])
        named: str | None = self.config["analyses"].get("bases", {}).get("corpus")
        return named

    def tokenizers_from(self, source: str) -> tuple[str, ...]:
        """Stems whose byte-pair tokenizer comes from `hub`, `local` or `workflow`."""
        return self._stems(PIECES, source)

    def published_tokenizers_from(self, source: str) -> tuple[str, ...]:
        """Stems whose checkpoint's own tokenizer comes from `hub` or `local`."""
        return self._stems((PUBLISHED,), source)

    def _stems(self, tokenizers: tuple[str, ...], source: str) -> tuple[str, ...]:
        models = [self.model(name) for name in self.networks]
        read = [model for model in models if model.tokenizer in tokenizers]
        return tuple(dict.fromkeys(model.stem for model in read if model.tokenizer_file["source"] == source))

    def weight_seed(self, init: str, seed: int) -> int:
        """Seed of the weights behind a job: one checkpoint serves every seed of the pretrained arm."""
        return 0 if has_one_checkpoint(init) else seed

    # ---- tasks

    def local_path(self, dataset: str) -> str | None:
        """Where a dataset lies that is no download: it is read there; None of one with a URL."""
        place = str(self.datasets[dataset]["url"])
        return place if is_path(place) else None

    def task(self, name: str) -> Mapping[str, Any]:
        """Row of the task table behind a task's name."""
        return self.tasks[parse_task(name).base_task]

    def labels(self, task: str) -> str:
        """The kind of labels (`vocabulary.LABELS`) of a task: that which its metric scores."""
        return labels_of(self.task(task)["metric"]) or CLASSES

    def outputs(self, task: str) -> int:
        """How many outputs a label that is no class has, as far as the columns or tables of its task name them."""
        sources, options = self.sources(task), dict(read_pairs(self.task(task)["options"]))
        if sources.get("train", "").startswith("task:"):
            return self.outputs(sources["train"].removeprefix("task:"))
        columns = [word for word in options.get("label", "").split(",") if word.strip()]
        return max(1, len(columns), len({in_source(role) for role in sources} - {""}))

    def sources(self, task: str) -> dict[str, str]:
        """Role -> source of a task: `dataset NAME`, `genome:NAME` or `simulated:FILE`."""
        return dict(read_pairs(self.task(task)["sources"]))

    def describe_group(
        self, metric: str, tasks: Sequence[str], cells: Sequence[str], known: Collection[str]
    ) -> dict[str, Any]:
        """Tasks that have the same cells, for summaries; and of those of transfer what they learn from, where that is
        one of the tasks `known` there."""
        sources = {task: source for task in tasks if (source := self.source_of_transfer(task))["task"] in known}
        return {"metric": metric, "tasks": tasks, "cells": cells} | ({"sources": sources} if sources else {})

    def source_of_transfer(self, task: str) -> dict[str, Any]:
        """What a task of transfer learns from, as `evaluation.transfer.gaps.Source` says it; of others no `task`."""
        row, options = self.task(task), dict(read_pairs(self.task(task)["options"]))
        roles = self.sources(task) if row["reader"] == "transfer" else {}
        learned, asked = (roles.get(role, "").removeprefix("task:") for role in ("train", "test"))
        more = {"target_rows": int(options.get("target_rows", 0)), "weighting": options.get("weighting", "")}
        return {"task": learned, "target": asked} | more

    def options(self, task: str) -> list[str]:
        """Reader options of a task as KEY=VALUE strings."""
        return [f"{key}={value}" for key, value in read_pairs(self.task(task)["options"])]

    def finetuning(self, task: str, analysis: str, model: str = "") -> dict[str, Any]:
        """Settings of fine-tuning on a task: the config's, its suite's and the analysis's over them.

        A share of the training data (`H3.pct1`) keeps the set's own validation split, which is whole: folds are cut
        from training and validation rows together and would train on it. Adapters are trained in the analysis `lora`
        and where `trainable` says so (rank 0: none are); what is as in the paper has no key. A network among the
        baselines is trained whole wherever `trainable` decides: it has nothing to keep. A race has its `rungs`; a full
        sweep has neither `search` nor `rungs`. Weights of classes are for tasks of classes.
        """
        settings = dict(self.config["finetuning"])
        settings |= settings.pop("suites", {}).get(self.task(task)["suite"], {})
        settings |= self.config["analyses"].get(analysis, {}).get("finetuning", {})
        parts = parse_task(task)
        if not settings.get(
            "extend"
        ):  # absent, not 0: what a study does not use must not tell its jobs from those kept
            settings.pop("extend", None)
        settings |= {"epochs": parts.epochs} if parts.epochs else {}
        settings |= {"patience": parts.patience} if parts.patience is not None else {}
        if parts.percent or parts.shots:
            settings["folds"] = []
        few = analysis in ANALYSES and ANALYSES[analysis].rule == "finetune_shots"
        if few:
            _settle_shots(settings, self.drawn(analysis))
        _settle_search(settings)
        if model and analysis != "lora" and self.model(model).stem in self.config["baselines"]:
            for key in ("trainable", "layer_rates", "unfreeze", "weight_precision"):
                settings.pop(key, None)
        if self.labels(task) != CLASSES:
            settings.pop("class_weights", None)
        if analysis in ANALYSES and ANALYSES[analysis].rule == "explain":
            settings.pop("chunks", None)  # nothing explains chunks: what a model does not read is cut off
        _settle_trained(settings, analysis)
        return settings

    def probing(self, analysis: str, model: str = "") -> dict[str, Any]:
        """Settings of the probes of an analysis: the config's, and the analysis's own over them.

        The poolings of a `model` from outside may be its own: what its files hold.
        """
        said = self.config["analyses"].get(analysis, {}).get("probing", {})
        usual = self.config["probing"]
        chosen = said.get("choice", usual.get("choice")) == VALIDATION
        if analysis in FEW and (self.drawn(analysis) or not chosen):  # one head, which none of the others may vary
            usual = {key: usual[key] for key in usual if key not in ("pca", "cv_folds")}
            usual |= {} if chosen else FEW_SHOTS
        settings = {**usual, **said}
        if self.drawn(analysis).get("head") == LEAVE_ONE_OUT:
            settings["choice"] = LEAVE_ONE_OUT
        own = self.model(model).entry.get("poolings") if model else None
        return settings | ({"poolings": own} if own else {})

    def is_fixed(self, analysis: str) -> bool:
        """Whether nothing chooses among the heads of an analysis."""
        return bool(self.probing(analysis).get("choice") == FIXED)

    def drawn(self, analysis: str) -> dict[str, Any]:
        """Which few training rows an analysis draws: `numbers` a class and `draws`, and of retrieval `by` and `site`;
        nothing where a task's name says it (`.shotN`), or all rows are read."""
        spec = self.config["analyses"].get(analysis, {})
        if analysis == "retrieval":
            said = {**RETRIEVAL, **spec.get("retrieval", {})}
            return {"numbers": [said.pop("known")], **said}
        return {"draws": RETRIEVAL["draws"], **spec["shots"]} if "shots" in spec else {}

    def metric(self, analysis: str, task: str) -> str:
        """What judges a task in an analysis."""
        return RANKED_BY if analysis == "retrieval" else str(self.task(task)["metric"])

    def probes(self, analysis: str, task: str) -> tuple[str, ...]:
        """Classifiers of the probes of an analysis that learn a task's kind of labels."""
        return serving(self.probing(analysis)["probes"], self.labels(task))

    def classifiers(self, model: str, task: str) -> tuple[str, ...]:
        """The classifier of a baseline that learns a task's kind of labels; none where it has none, or none serves."""
        return serving(self.model(model).classifiers, self.labels(task))

    def clustered(self, model: str) -> str:
        """The pooling of a model that is clustered: of one from outside what it has."""
        own = self.model(model).entry.get("poolings") or [CLUSTERED]
        return CLUSTERED if CLUSTERED in own else str(own[0])

    def perturbation(self, analysis: str) -> dict[str, Any]:
        """Settings of an analysis of perturbations: the program's, the config's, and the analysis's own over them."""
        own = self.config["analyses"].get(analysis, {}).get("perturbation", {})
        return {**PERTURBATION, **self.config.get("perturbation", {}), **own}

    def explaining(self, analysis: str) -> dict[str, Any]:
        """Settings of an analysis of explanations: the program's, and the analysis's own over them."""
        return {**EXPLAINING, **self.config["analyses"].get(analysis, {}).get("explaining", {})}

    def rate_from(self, cell: Cell) -> Cell | None:
        """The cell of fine-tuning whose learning rate an explanation, or training on few rows, takes; None where it
        has its own."""
        spec = self.config["analyses"][cell.analysis]
        said = spec.get("explaining" if ANALYSES[cell.analysis].rule == "explain" else "shots", {})
        other = said.get("rate_from", "")
        same = cell._replace(analysis=other)
        return same if same in self.by_task.get(other, {}).get(cell.task, ()) else None

    def planted(self, task: str) -> str:
        """What was planted in the windows of a task: a question about words, `truth` of the genome, or nothing."""
        kind, _, file = self.sources(task).get("bed", "").partition(":")
        name = file.removesuffix(".bed") if kind == "simulated" else ""
        return name if name.endswith("_words") else "truth" if name in PLANTED else ""

    @property
    def genes_read(self) -> dict[str, Any]:
        """How embeddings of genes are read, in all analyses alike: `genes`, `pooling`, `names`."""
        settings = self.perturbation("")
        return {key: settings[key] for key in ("genes", "pooling", "names")}

    @cached_property
    def gene_tables(self) -> tuple[str, ...]:
        """Embeddings of genes without a network that a cell borrows, of which there is a file."""
        names = dict.fromkeys(self.genes_of(cell) for cell in self.cells if ANALYSES[cell.analysis].predicts_effects)
        return tuple(name for name in names if name and self.model(name).is_vectors)

    def screens_of(self, name: str) -> tuple[str, ...]:
        """Screens on which an embedding of genes is read."""
        read = (
            cell.task for cell in self.cells if ANALYSES[cell.analysis].predicts_effects and self.genes_of(cell) == name
        )
        return tuple(dict.fromkeys(parse_task(task).base_task for task in read))

    def genes_of(self, cell: Cell) -> str:
        """The model whose embedding of genes a cell reads from a file: its own, or what a baseline looks for neighbours
        in; empty of what is made of the screen itself."""
        model = self.model(cell.model)
        if model.is_baseline:
            return str((model.entry.get("options") or {}).get("vectors", ""))
        return "" if model.is_of_screen else model.genes_of

    def embedding_of(self, cell: Cell) -> tuple[str, str, int]:
        """Model, arm and seed of the file from which a cell reads its embedding of genes; no model where it reads none.

        Arms but the random one of a network are made of the pretrained embedding as it is read; the paper's random one
        is too, for it is drawn of the genes that have a vector there.
        """
        name, drawn = self.genes_of(cell), self.is_drawn(cell)
        return (name, "random", cell.seed) if cell.init == "random" and not drawn else (name, "pretrained", 0)

    def embeds_genes(self, name: str) -> bool:
        """Whether an embedding of genes is made of that of their sequences."""
        model = self.model(name)
        return not (model.is_vectors or model.of_cells or model.is_baseline or model.is_outside)

    def pretraining(self, name: str, init: str = "pretrained") -> dict[str, Any]:
        """Settings of a model's pretraining: the config's, its own precision, and its own settings over them.

        The arm `self` has the same, and fewer steps where `self_steps` says so.
        """
        own = self.model(name).entry.get("pretraining") or {}
        settings = {**self.config["pretraining"], "precision": self.precision(name, "pretraining"), **own}
        most = settings.pop("self_steps", None)
        if init == SELF and most:
            settings["steps"] = min(settings["steps"], most)
            settings["warmup"] = min(settings["warmup"], settings["steps"])
        return settings

    def poolings(self, task: str, model: str) -> list[str]:
        """Poolings in which a model embeds a task's own set: all that an analysis reads of it or of sets derived."""
        if own := self.model(model).entry.get("poolings"):
            return list(own)
        wanted: set[str] = set()
        if task == self.genes_read["genes"] and any(self.weights_of(cell) == model for cell in self._of_gene_sequences):
            wanted.add(str(self.genes_read["pooling"]))
        for analysis in self._readers.get((task, model), ()):
            clusters = ANALYSES[analysis].rule == "cluster_embeddings"
            wanted |= {CLUSTERED} if clusters else set(self.probing(analysis)["poolings"])
            said = self.config["analyses"][analysis].get("probing", {})
            if analysis == "fewshot" and "poolings" not in said:  # as it embedded before it read one of them alone
                wanted |= set(self.config["probing"]["poolings"])
        return sorted(wanted, key=POOLINGS.index) or list(self.config["probing"]["poolings"])

    def layers(self, analysis: str) -> tuple[str, ...]:
        """Inner layers that an analysis reads beside the last: `all`, or numbers; empty where it reads the last alone.

        Those of the section `embedding` are for probes and distances of variants; clusters are of the last layer unless
        their analysis says otherwise.
        """
        left_out = self.drawn(analysis).get("head") == LEAVE_ONE_OUT
        if analysis in FEW and not left_out and (self.drawn(analysis) or self.is_fixed(analysis)):
            return ()  # nothing chooses among them
        return self._named_layers(analysis)

    def _named_layers(self, analysis: str) -> tuple[str, ...]:
        usual = self.config["embedding"].get("layers", "last")
        usual = usual if ANALYSES[analysis].rule in LAYERED_BY_DEFAULT else "last"
        said = self.config["analyses"].get(analysis, {}).get("layers", usual)
        words = [said] if isinstance(said, str) else [str(layer) for layer in said]
        return ("all",) if "all" in words else tuple(word for word in words if word != "last")

    def embedded_layers(self, task: str, model: str) -> tuple[str, ...]:
        """Inner layers of a task's own set that `embed` keeps: all that an analysis reads of it or of sets derived."""
        read = {word for analysis in self._readers.get((task, model), ()) for word in self._kept_layers(analysis)}
        return ("all",) if "all" in read else tuple(sorted(read, key=int))

    def _kept_layers(self, analysis: str) -> tuple[str, ...]:
        """Inner layers that are kept for an analysis: of fewshot as before it read the last alone, so that no network
        runs again."""
        return self._named_layers(analysis) if analysis == "fewshot" else self.layers(analysis)

    def columns_of_layers(self, words: Collection[str], model: Model) -> float:
        """Layers that words name, the last one included, as far as a configuration tells its depth."""
        return 1 + (depth_of(model.config) if "all" in words else len(words))

    @cached_property
    def _of_gene_sequences(self) -> tuple[Cell, ...]:
        """Cells that borrow what a network makes of the sequences of genes."""
        cells = (cell for cell in self.cells if ANALYSES[cell.analysis].predicts_effects)
        return tuple(cell for cell in cells if self.embeds_genes(cell.model))

    @cached_property
    def _readers(self) -> dict[tuple[str, str], set[str]]:
        """Analyses that read embeddings, by (base task, model)."""
        readers: dict[tuple[str, str], set[str]] = {}
        for cell in self.cells:
            embedded = cell.init != "baseline" or self.model(cell.model).is_outside
            if embedded and ANALYSES[cell.analysis].embeds:
                readers.setdefault((parse_task(cell.task).base_task, cell.model), set()).add(cell.analysis)
        return readers

    @cached_property
    def audited(self) -> tuple[str, ...]:
        """Tasks whose splits are audited: every set of classes that a cell learns from, as its table has it."""
        learned = (parse_task(cell.task).base_task for cell in self.cells if ANALYSES[cell.analysis].classifies)
        return tuple(dict.fromkeys(learned))

    def precision(self, model: str, section: str) -> str:
        """Precision of a model's jobs: its own, otherwise that of the config's section."""
        return str(self.model(model).entry.get("precision") or self.config[section]["precision"])

    @cached_property
    def main_analysis(self) -> str:
        """The analysis that a verdict is of (`leading`), by the tasks that are planned."""
        return main_analysis(self.config)

    @property
    def truths(self) -> list[dict[str, str]]:
        """What the config says was planted: model, versus, analysis, word, why."""
        given = {"versus": "random", "analysis": self.main_analysis}
        return [given | dict(case) for case in self.config.get("truth", ())]

    # ---- cells

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every cell of the study, in the order of the config."""
        return tuple(self._each_cell())

    def _each_cell(self) -> Iterator[Cell]:
        for analysis, spec in self.config["analyses"].items():
            seeds = self.seeds(analysis)
            for task in spec["tasks"]:
                for name in self.names_of(analysis):
                    if not self.fits(name, task):  # of the config's baselines; an analysis names its own rightly
                        continue
                    model = self.model(name)
                    outside = model.is_outside and ANALYSES[analysis].classifies
                    classifiers = self.probes(analysis, task) if outside else self.classifiers(name, task)
                    for init in self._arms(analysis, model):
                        drawn = ANALYSES[analysis].draws(init, model.family, classifiers)
                        for seed in seeds if drawn else seeds[:1]:
                            yield Cell(analysis, task, name, init, seed)

    # ---- seeds until decided

    def _given_seeds(self, analysis: str) -> Any:
        return self.config["analyses"].get(analysis, {}).get("seeds", self.config["seeds"])

    def seeds(self, analysis: str) -> list[int]:
        """Every seed that an analysis may have: its list, or as many as looks may lead to."""
        given = self._given_seeds(analysis)
        return list(range(given["to"])) if isinstance(given, Mapping) else list(given)

    def looks_of(self, analysis: str) -> range:
        """Numbers of seeds that an analysis may end with; none where it has a fixed list."""
        given = self._given_seeds(analysis)
        return range(given["from"], given["to"] + 1) if isinstance(given, Mapping) else range(0)

    @property
    def deciding(self) -> str:
        """The analysis whose verdict ends a study with looks: the one that `decide` names, or the main one."""
        return str((self.config.get("decide") or {}).get("analysis") or self.main_analysis)

    @property
    def looks(self) -> range:
        """Numbers of seeds after which the study is looked at; none: its design is fixed."""
        return self.looks_of(self.deciding)

    def seeds_at(self, analysis: str, seeds: int) -> int:
        """How many seeds an analysis with looks has in a study that ended with so many."""
        looks = self.looks_of(analysis)
        return max(looks[0], min(seeds, looks[-1]))

    def cells_until(self, seeds: int) -> tuple[Cell, ...]:
        """Cells of a study that ended with so many seeds; analyses with a fixed list are whole."""
        if seeds not in self._until:
            fixed = {name for name in self.config["analyses"] if not self.looks_of(name)}
            counts = {name: self.seeds_at(name, seeds) for name in self.config["analyses"] if name not in fixed}
            self._until[seeds] = tuple(
                cell for cell in self.cells if cell.analysis in fixed or cell.seed < counts[cell.analysis]
            )
        return self._until[seeds]

    def names_of(self, analysis: str) -> list[str]:
        """Models of an analysis, and the baselines that join it."""
        spec = self.config["analyses"][analysis]
        # An analysis names its own rightly, or is told (`checks`); of the config's those join that it can read.
        own = [name for name in self.config["models"] if self._joins(analysis, name)]
        kind, cheap = ANALYSES[analysis], self.config["baselines"]
        compared = kind.classifies or kind.predicts_effects or kind.probes_variants
        joining = [name for name in cheap if compared or self.model(name).is_outside]
        joining = [name for name in joining if self.reads(analysis, name)]
        joining = [name for name in joining if self.may_tune(analysis, name)]
        if kind.probes_variants:  # a network among the baselines is trained, which nothing is here
            joining = [name for name in joining if self.model(name).family in (*OF_VARIANTS, "outside")]
        return [*spec.get("models", own), *spec.get("baselines", joining)]

    def may_tune(self, analysis: str, name: str) -> bool:
        """Whether an analysis has what a classifier of sequences needs: all training rows, and a validation split that
        tunes it."""
        whole = not (self.drawn(analysis) or self.is_fixed(analysis))
        return whole or not ANALYSES[analysis].classifies or self.model(name).family not in SEQUENTIAL

    def _joins(self, analysis: str, name: str) -> bool:
        """Whether a model joins an analysis that names none; embeddings of sequences of genes are asked for."""
        model = self.model(name)
        if ANALYSES[analysis].predicts_effects:
            return self.reads(analysis, name) and (model.is_vectors or model.of_cells)
        others = model.is_outside or model.is_vectors or model.of_cells
        return not others or self.reads(analysis, name)

    def reads(self, analysis: str, name: str) -> bool:
        """Whether an analysis can have a model: baselines are classified, what is from outside has what it reads, and
        embeddings of genes and networks that read cells are for the effects of perturbations alone."""
        model, kind = self.model(name), ANALYSES[analysis]
        if kind.predicts_effects:
            served = EFFECT_BASELINES[model.family].splits if model.family in EFFECT_BASELINES else ()
            if model.stem in self.config["baselines"]:
                return kind.holds_out in served
            return model.family in GENERATORS if kind.rule == "finetune_effects" else not model.is_outside
        if model.is_vectors or model.of_cells or model.family in EFFECT_BASELINES:
            return False
        if model.is_outside:
            return bool(kind.reads_outside) and kind.reads_outside in model.entry
        if model.is_baseline:
            return kind.probes_variants if model.family in OF_VARIANTS else kind.classifies
        return True

    def rule_of(self, cell: Cell) -> str:
        """The rule that makes the record of a cell."""
        kind = ANALYSES[cell.analysis]
        if self.model(cell.model).is_outside:
            return "import_scores" if kind.reads_outside == "scores" else kind.rule
        if kind.predicts_effects:
            return "predict_effects" if cell.init == "baseline" else kind.rule
        return "fit_baseline" if cell.init == "baseline" and kind.classifies else kind.rule

    @cached_property
    def outside_files(self) -> dict[str, str]:
        """Path -> task of every file of an arm from outside that a cell needs."""
        cells = [cell for cell in self.cells if self.model(cell.model).is_outside]
        return {
            self.outside_file(ANALYSES[cell.analysis].reads_outside, cell.model, cell.task, cell.init, cell.seed): (
                parse_task(cell.task).base_task
            )
            for cell in cells
        }

    def outside_file(self, key: str, model: str, task: str, init: str, seed: int) -> str:
        """Path of the `vectors` or `scores` of an arm from outside, of a task's own set."""
        said = {"task": parse_task(task).base_task, "init": init, "seed": self.weight_seed(init, seed)}
        return str(self.model(model).entry[key]).format(**said)

    def fits(self, name: str, task: str) -> bool:
        """Whether a task's set has what a model reads: genotypes are of people alone, of whom two sequences are one;
        the other half of the replicates stands beside the half that is learned from; no screen beside itself; and what
        a classifier learns (`serves`)."""
        model, parts = self.model(name), parse_task(task)
        if (model.is_of_halves and parts.derivation != "halves") or not self.serves(name, task):
            return False
        if model.is_vectors and model.entry["genes"].get("task") == parts.base_task:  # of which it is made
            return False
        family, people = self.model(name).family, self.task(task)["reader"] == "people"
        return family not in (SEQUENTIAL if people else GENOTYPES)

    def serves(self, name: str, task: str) -> bool:
        """Whether a baseline's classifier, if it has one, learns a task's kind of labels, and the set of a task has the
        columns that one of variants reads; others have no cell of it."""
        model = self.model(name)
        if model.family in OF_VARIANTS:
            read = {VARIANT_FEATURES.get(each, "") for each in (model.entry.get("options") or {}).get("features", ())}
            return read <= {"", *self.offered(task)}
        return not model.classifiers or bool(self.weighing(self.classifiers(name, task), task))

    def weighing(self, classifiers: Sequence[str], task: str) -> list[str]:
        """Those of classifiers that read a task's set: all of them, or where its rows have weights those that weigh."""
        weighs = "weighting" in dict(read_pairs(self.task(task)["options"]))
        return [name for name in classifiers if not weighs or name in WEIGHING]

    def offered(self, task: str) -> tuple[str, ...]:
        """Columns of a set of variants that features may read: those of its reader, and those that its options name."""
        reader = READERS.get(self.task(task)["reader"])
        named = dict(read_pairs(self.task(task)["options"])).get("columns", "")
        return (*(reader.offers if reader else ()), *(word.strip() for word in named.split(",") if word.strip()))

    def _arms(self, analysis: str, model: Model) -> Sequence[str]:
        wanted = model.arms if model.is_baseline else self.config["analyses"][analysis].get("arms", model.arms)
        if ANALYSES[analysis].rule == "predict_effects":
            return [arm for arm in wanted if arm in (*model.arms, *EFFECT_ARMS)]
        # Another reading of weights that exist has no controls of its own: they would be those of the weights.
        controls = model.reading != "as_in_paper" and not model.is_outside
        return [
            arm
            for arm in wanted
            if arm in model.arms or (controls and (arm in CONTROL_ARMS or is_other_pretraining(arm)))
            # A network among the baselines is a reference as it is: pretrained on the rows it would be another.
            if arm != SELF or model.name not in self.config["baselines"]
        ]

    @cached_property
    def by_task(self) -> dict[str, dict[str, list[Cell]]]:
        """Cells of every task of every analysis."""
        cells: dict[str, dict[str, list[Cell]]] = {}
        for cell in self.cells:
            cells.setdefault(cell.analysis, {}).setdefault(cell.task, []).append(cell)
        return cells

    def describe_models(self) -> str:
        """JSON for tables and figures: name -> label, tokenizer class, kind, order, published facts, architecture."""
        names = dict.fromkeys(cell.model for cell in self.cells)
        described = {}
        for name in names:
            model = self.model(name)
            described[name] = {
                "label": ", ".join([model.entry["label"], *_in_words(name), *self._as_large_as(model), *_origin(model)])
                + {"readout": " (read-out genes)", "target": " (targets)"}.get(parse_model(name).side, ""),
                "base": model.base,
                "family": model.family,
                "kind": "baseline" if name in self.config["baselines"] else "model",
                "tokenizer": model.tokenizer,
                "tokenizer_class": "character"
                if model.tokenizer == "character"
                else model.entry.get("tokenizer_class"),
                "objective": model.entry.get("objective"),
                "max_tokens": model.entry.get("max_tokens"),
                "pretrained": model.source if model.is_outside else (model.entry.get("pretrained") or {}).get("source"),
                "order": list(self.entries).index(model.base),
            }
            if model.is_vectors:
                described[name]["vectors"] = model.entry["genes"]["source"]
            if "match" in model.entry:
                described[name]["match"] = model.entry["match"]
            if name in self.config["models"]:
                described[name]["config"] = dict(model.config)
        return json.dumps(described, sort_keys=False, separators=(",", ":"))

    def _as_large_as(self, model: Model) -> list[str]:
        """Whose size a matched baseline has, in a figure; where the study has one of its kind, its label is enough."""
        kin = [name for name in self.config["baselines"] if parse_model(name).base == model.base]
        if "match" not in model.entry or len(kin) < 2:
            return []
        return [f"size of {self.model(model.entry['match']).entry['label']}"]


def main_analysis(config: Mapping[str, Any]) -> str:
    """The analysis that a verdict is of (`leading`), by the tasks that a config lists."""
    specs = {name: spec for name, spec in config["analyses"].items() if name in ANALYSES}
    return leading({name: spec["tasks"] for name, spec in specs.items() if ANALYSES[name].paired})


def leading(tasks: Mapping[str, Collection[str]]) -> str:
    """Of analyses that compare arms, with the tasks of each: the one whose words are the study's verdict.

    It is fine-tuning, which the paper judges by, unless another one has all its tasks and more; where nothing is
    fine-tuned, the one with most tasks. Tasks derived from others do not count: a verdict is not over them.
    """
    whole = {name: {task for task in each if not parse_task(task).variant} for name, each in tasks.items()}
    own = whole.get("finetune", set())
    wider = [name for name, others in whole.items() if name == "finetune" or (own and own < others)]
    return max(wider if "finetune" in whole else whole, key=lambda name: len(whole[name]), default="finetune")


def _settle_shots(settings: dict[str, Any], drawn: Mapping[str, Any]) -> None:
    """Of training on few rows that are drawn: steps in place of epochs, a rate that is given, and nothing that
    validation rows would choose."""
    for key in ("extend", "search", "rungs", "patience", "fold_count", "unfreeze", "chunks"):
        settings.pop(key, None)
    rates = [drawn["learning_rate"]] if "learning_rate" in drawn else []
    settings |= {"steps": drawn.get("steps", FEW_STEPS), "epochs": 1, "learning_rates": rates, "folds": []}


def _settle_search(settings: dict[str, Any]) -> None:
    """Rungs of a race; absent for a full sweep, whose jobs must stay those that were kept before."""
    given, search = settings.pop("rungs", ()), settings.pop("search", "full")
    if search == "racing":
        epochs, rates = settings["epochs"], len(settings["learning_rates"])
        settings |= {"search": search, "rungs": cut_rungs(given, epochs) or default_rungs(epochs, rates)}


def _settle_trained(settings: dict[str, Any], analysis: str) -> None:
    """No key for what is as it was before there was a choice, so that jobs stay those that were kept then."""
    for key, usual in USUAL.items():
        if settings.get(key, usual) == usual:
            settings.pop(key, None)
    if analysis == "lora" and settings.get("trainable") != "lora":  # of the study, for its other analyses
        settings.pop("trainable", None)
    if analysis != "lora" and settings.get("trainable") != "lora":
        settings["lora"] = {key: value for key, value in settings["lora"].items() if key != "targets"} | {"rank": 0}


def _origin(model: Model) -> list[str]:
    """What a figure says of a model that was not run here."""
    return ["from outside"] if model.is_outside else []


def _in_words(name: str) -> list[str]:
    """What the qualifiers of a model's name say in a figure; widths are told by their axis."""
    parts = parse_model(name)
    words = [{"char": "characters", "kmer": "6-mers"}.get(parts.tokenizer, "")]
    words += [f"{parts.layers} layers" if parts.layers else ""]
    words += ["as the paper read it" if parts.reading == "as_in_paper" else ""]
    return [word for word in words if word]


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(dict(base))
    for key, value in over.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if nested else copy.deepcopy(value)
    return merged


def read_pairs(text: str | Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Keys and values of a cell of the task table, `KEY=VALUE;KEY=VALUE`, or of a mapping of a study's own task."""
    if isinstance(text, Mapping):
        yield from ((str(key), str(value)) for key, value in text.items())
        return
    seen: set[str] = set()
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        key, value = (word.strip() for word in (part.partition("=")[0], part.partition("=")[2]))
        if not key or not value or key in seen:
            raise UserError(
                f"task table: '{part}' is not KEY=VALUE (several are separated by ';'), or its key is there twice."
            )
        seen.add(key)
        yield key, value
