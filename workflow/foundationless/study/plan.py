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
from foundationless.study.families import PIECES, PUBLISHED, count_parameters, matched, scaled
from foundationless.study.names import TOKENIZERS, parse_model, parse_task, without
from foundationless.study.rungs import cut_rungs, default_rungs
from foundationless.study.vocabulary import ANALYSES, CLUSTERED, CONTROL_ARMS, GENOTYPES, POOLINGS, SEQUENTIAL

Rows = Sequence[Mapping[str, str]]  # of a table


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
        """Where its pretrained weights come from: `hub`, `local` (also: another model's weights), `workflow`, None."""
        source = (self.entry.get("pretrained") or {}).get("source")
        return "local" if (source, self.reading) == ("workflow", "as_in_paper") else source

    @property
    def published(self) -> str:
        """The model whose weights this one reads: under the reading `as_in_paper`, the same without that qualifier."""
        return without(self.name, "reading")

    @property
    def family(self) -> str:
        """Architecture family of the registry."""
        return str(self.entry["family"])

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
        self.files = {row["file"]: row for row in datasets}
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
        return tuple(dict.fromkeys(cell.model for cell in self.cells if cell.init != "baseline"))

    @cached_property
    def known_models(self) -> frozenset[str]:
        """Every name of a model that a job of the study may have: of cells, of the weights that they read, of stems."""
        models = [self.model(name) for name in dict.fromkeys(cell.model for cell in self.cells)]
        return frozenset(name for model in models for name in (model.name, model.published, model.stem))

    def networks_from(self, source: str) -> tuple[str, ...]:
        """Networks whose pretrained arm comes from `hub`, `local` or `workflow`."""
        models = [self.model(name) for name in self.networks if "pretrained" in self.model(name).arms]
        # What the paper read of weights that are made here is read of the model's own, in the study or not.
        models += [self.model(model.published) for model in models if model.source == "local"]
        return tuple(dict.fromkeys(model.name for model in models if model.source == source))

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
        return 0 if init == "pretrained" else seed

    # ---- tasks

    def task(self, name: str) -> Mapping[str, str]:
        """Row of the task table behind a task's name."""
        return self.tasks[parse_task(name).base_task]

    def sources(self, task: str) -> dict[str, str]:
        """Role -> source of a task: `dataset NAME`, `genome:NAME` or `simulated:FILE`."""
        return dict(read_pairs(self.task(task)["sources"]))

    def options(self, task: str) -> list[str]:
        """Reader options of a task as KEY=VALUE strings."""
        return [f"{key}={value}" for key, value in read_pairs(self.task(task)["options"])]

    def finetuning(self, task: str, analysis: str) -> dict[str, Any]:
        """Settings of fine-tuning on a task: the config's, its suite's and the analysis's over them.

        A share of the training data (`H3.pct1`) keeps the set's own validation split, which is whole: folds are cut
        from training and validation rows together and would train on it. Only the analysis `lora` trains adapters
        (rank 0: every weight is trained). A race has its `rungs`; a full sweep has neither `search` nor `rungs`.
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
        _settle_search(settings)
        if analysis != "lora":
            settings["lora"] = {**settings["lora"], "rank": 0}
        return settings

    def probing(self, analysis: str) -> dict[str, Any]:
        """Settings of the probes of an analysis: the config's, and the analysis's own over them."""
        return {**self.config["probing"], **self.config["analyses"].get(analysis, {}).get("probing", {})}

    def pretraining(self, name: str) -> dict[str, Any]:
        """Settings of a model's pretraining: the config's, its own precision, and its own settings over them."""
        own = self.model(name).entry.get("pretraining") or {}
        return {**self.config["pretraining"], "precision": self.precision(name, "pretraining"), **own}

    def poolings(self, task: str, model: str) -> list[str]:
        """Poolings in which a model embeds a task's own set: all that an analysis reads of it or of sets derived."""
        wanted: set[str] = set()
        for analysis in self._readers.get((task, model), ()):
            clusters = ANALYSES[analysis].rule == "cluster_embeddings"
            wanted |= {CLUSTERED} if clusters else set(self.probing(analysis)["poolings"])
        return sorted(wanted, key=POOLINGS.index) or list(self.config["probing"]["poolings"])

    @cached_property
    def _readers(self) -> dict[tuple[str, str], set[str]]:
        """Analyses that read embeddings, by (base task, model)."""
        readers: dict[tuple[str, str], set[str]] = {}
        for cell in self.cells:
            if cell.init != "baseline" and ANALYSES[cell.analysis].embeds:
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
                    for init in self._arms(spec, model):
                        drawn = ANALYSES[analysis].draws(init, model.family, model.classifiers)
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
        joining = spec.get("baselines", self.config["baselines"]) if ANALYSES[analysis].classifies else ()
        return [*spec.get("models", self.config["models"]), *joining]

    def fits(self, name: str, task: str) -> bool:
        """Whether a task's set has what a model reads: genotypes are of people alone, of whom two sequences are one."""
        family, people = self.model(name).family, self.task(task)["reader"] == "people"
        return family not in (SEQUENTIAL if people else GENOTYPES)

    def _arms(self, spec: Mapping[str, Any], model: Model) -> Sequence[str]:
        wanted = model.arms if model.is_baseline else spec.get("arms", model.arms)
        # Another reading of weights that exist has no controls of its own: they would be those of the weights.
        controls = () if model.reading == "as_in_paper" else CONTROL_ARMS
        return [arm for arm in wanted if arm in (*model.arms, *controls)]

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
                "label": ", ".join([model.entry["label"], *_in_words(name), *self._as_large_as(model)]),
                "base": model.base,
                "family": model.family,
                "kind": "baseline" if name in self.config["baselines"] else "model",
                "tokenizer": model.tokenizer,
                "tokenizer_class": "character"
                if model.tokenizer == "character"
                else model.entry.get("tokenizer_class"),
                "objective": model.entry.get("objective"),
                "max_tokens": model.entry.get("max_tokens"),
                "pretrained": (model.entry.get("pretrained") or {}).get("source"),
                "order": list(self.entries).index(model.base),
            }
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


def _settle_search(settings: dict[str, Any]) -> None:
    """Rungs of a race; absent for a full sweep, whose jobs must stay those that were kept before."""
    given, search = settings.pop("rungs", ()), settings.pop("search", "full")
    if search == "racing":
        epochs, rates = settings["epochs"], len(settings["learning_rates"])
        settings |= {"search": search, "rungs": cut_rungs(given, epochs) or default_rungs(epochs, rates)}


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


def read_pairs(text: str) -> Iterator[tuple[str, str]]:
    """Keys and values of a cell of the task table, `KEY=VALUE;KEY=VALUE`."""
    seen: set[str] = set()
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        key, value = (word.strip() for word in (part.partition("=")[0], part.partition("=")[2]))
        if not key or not value or key in seen:
            raise UserError(
                f"task table: '{part}' is not KEY=VALUE (several are separated by ';'), or its key is there twice."
            )
        seen.add(key)
        yield key, value
