"""The design: which jobs a study consists of, and the recipe version of every rule. Standard library only.

The Snakefile imports it (and `allocation`, `progress` and what they need) again in every cluster job: it stays light.
Names carry their qualifiers behind dots. A model `hyenadna.demo.char.w64` is the entry `hyenadna` of the model table,
in the size that the config calls `hyenadna.demo`, with the character tokenizer, at width 64. Qualifiers: `char` and
`kmer` (tokenizer), `wN` (width), `lN` (layers), `paper` (the function that the study's code evaluated). A task
`H3.pct10` is the task `H3` of the task table with the derivation `pct10` of `foundationless derive_sequences`;
`H3.ep30` (`H3.ep30p5`) is `H3` fine-tuned for 30 epochs (ended by 5 without a better validation value).
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from foundationless.errors import UserError
from foundationless.runtime.files import read_table
from foundationless.study.config import check_schema, read_schema, read_yaml, unknown
from foundationless.study.readers import READERS
from foundationless.study.vocabulary import (
    ANALYSES,
    CLASS_METRICS,
    CLASSIFICATIONS,
    CLUSTERED,
    CONTROL_ARMS,
    DRAWN,
    FEATURES,
    GENOTYPES,
    LAYERS,
    PIECES,
    POOLINGS,
    SIMULATED,
    SPECIAL,
    WIDTHS,
)

# Sets that `derive_sequences` makes of a task's own, and what of a name only changes how a run is made.
DERIVATION = re.compile(r"(pct|shot)[1-9][0-9]*(d[0-9]+)?|dedup|distant|matched|permuted|unrelated|family")
# A window of a dataset that has an index in the ledger: `region:DATASET/CONTIG.START-END`, 1-based, inclusive.
REGION = re.compile(r"(?P<contig>[A-Za-z0-9_]+)\.(?P<start>[0-9]+)-(?P<end>[0-9]+)")
RUN = re.compile(r"ep([1-9][0-9]*)(?:p([0-9]+))?")

TOKENIZER_QUALIFIERS = {"char": "character", "kmer": "nt_v2"}


class Cell(NamedTuple):
    """One cell of the design: one record."""

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
    stem: str  # its name without the qualifiers that came behind the config's own name
    reading: str

    @property
    def source(self) -> str | None:
        """Where its pretrained weights come from: `hub`, `local` (also: another model's weights), `workflow`, None."""
        source = (self.entry.get("pretrained") or {}).get("source")
        return "local" if (source, self.reading) == ("workflow", "as_in_paper") else source

    @property
    def published(self) -> str:
        """The model whose weights this one reads: under the reading `as_in_paper`, the same without that qualifier."""
        parts = self.name[len(self.stem) :].split(".")
        return self.stem + ".".join(part for part in parts if part != "paper")

    @property
    def family(self) -> str:
        """Architecture family of the registry."""
        return str(self.entry["family"])

    @property
    def is_baseline(self) -> bool:
        """True for classifiers on hand-made features, which have no weights."""
        return self.arms == ("baseline",)


class Plan:
    """The study: config plus tables, checked against each other.

    Every inconsistency (unknown model, task, dataset, genome) is a `UserError` that names it and the nearest known.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        models: Mapping[str, Any],
        tasks: Sequence[Mapping[str, str]],
        datasets: Sequence[Mapping[str, str]],
    ) -> None:
        self.config = config
        self.entries = models
        self.tasks = {row["task"]: row for row in tasks}
        self.datasets = {row["name"]: row for row in datasets}
        self.files = {row["file"]: row for row in datasets}
        self._models: dict[str, Model] = {}
        self._check()

    # ---- models

    def model(self, name: str) -> Model:
        """Resolve a model name with its qualifiers."""
        if name not in self._models:
            self._models[name] = self._resolve(name)
        return self._models[name]

    def _resolve(self, name: str) -> Model:
        studied: Mapping[str, Any] = {**self.config["models"], **self.config["baselines"]}
        stem = max((known for known in studied if f"{name}.".startswith(f"{known}.")), key=len, default="")
        base = (stem or name).split(".")[0]
        if base not in self.entries:
            raise UserError(unknown("model", name, self.entries))
        if not stem:
            raise UserError(unknown("model", name, studied) + " (`models` and `baselines` of the config)")
        entry = _merge(self.entries[base], studied[stem])
        settings = dict(entry.get("config") or {})
        tokenizer, arms, reading = entry.get("tokenizer"), tuple(entry["arms"]), "published"
        qualifiers = name[len(stem) :].split(".")[1:]
        kinds = ["tokenizer" if part in TOKENIZER_QUALIFIERS else part[0] for part in qualifiers if part]
        if len(set(kinds)) < len(qualifiers):
            raise UserError(f"model '{name}': two qualifiers say the same thing (or one is empty); leave one out.")
        for qualifier in qualifiers:
            if qualifier == "paper":
                reading = "as_in_paper"
                continue
            if (entry["family"], qualifier) == ("caduceus", "kmer"):
                raise UserError(f"model '{name}': Caduceus complements token by token, so it reads characters only.")
            if qualifier in TOKENIZER_QUALIFIERS:
                tokenizer = TOKENIZER_QUALIFIERS[qualifier]
            elif found := re.fullmatch(r"([wl])([1-9][0-9]*)", qualifier):
                settings |= _scaled(name, entry, found[1], int(found[2]))
            else:
                raise UserError(
                    f"model '{name}': qualifier '.{qualifier}' is none of .char, .kmer, .paper, a width like .w64 or a "
                    "depth like .l4."
                )
            # Another table or shape cannot come from a checkpoint: only what is pretrained here has a pretrained arm.
            if (entry.get("pretrained") or {}).get("source") != "workflow":
                arms = tuple(arm for arm in arms if arm != "pretrained")
        family = entry["family"]
        for key in (*WIDTHS.get(family, {}), *([LAYERS[family]] if family in LAYERS else [])):
            if key in settings and (not isinstance(settings[key], int) or settings[key] < 1):
                raise UserError(f"model '{name}', config: {key} '{settings[key]}' is not a whole number from 1.")
        width, heads = settings.get("hidden_size"), settings.get("num_attention_heads")
        if isinstance(width, int) and isinstance(heads, int) and (heads < 1 or width % heads):
            raise UserError(
                f"model '{name}': its {heads} attention heads do not divide its width {width}; choose others."
            )
        if ".py:" in family and not Path(family.rpartition(":")[0]).is_file():
            raise UserError(f"model '{name}': no file '{family.rpartition(':')[0]}' of its family; correct its path.")
        return Model(name, entry, settings, tokenizer, arms, stem, reading)

    @cached_property
    def networks(self) -> tuple[str, ...]:
        """Every model with weights that a job of the design uses."""
        return tuple(dict.fromkeys(cell.model for cell in self.cells if cell.init != "baseline"))

    def networks_from(self, source: str) -> tuple[str, ...]:
        """Networks whose pretrained arm comes from `hub`, `local` or `workflow`."""
        models = [self.model(name) for name in self.networks if "pretrained" in self.model(name).arms]
        # What the study read of weights that are made here is read of the model's own, in the design or not.
        models += [self.model(model.published) for model in models if model.source == "local"]
        return tuple(dict.fromkeys(model.name for model in models if model.source == source))

    def tokenizers_from(self, source: str) -> tuple[str, ...]:
        """Stems whose byte-pair tokenizer comes from `hub`, `local` or `workflow`."""
        models = [self.model(name) for name in self.networks]
        found = (m.stem for m in models if m.tokenizer in PIECES and m.entry["tokenizer_file"]["source"] == source)
        return tuple(dict.fromkeys(found))

    def weight_seed(self, init: str, seed: int) -> int:
        """Seed of the weights behind a job: one checkpoint serves every seed of the pretrained arm."""
        return 0 if init == "pretrained" else seed

    # ---- tasks

    def task(self, name: str) -> Mapping[str, str]:
        """Row of the task table behind a task name with its derivation."""
        return self.tasks[name.split(".")[0]]

    def sources(self, task: str) -> dict[str, str]:
        """Role -> source of a task: `dataset NAME`, `genome:NAME` or `simulated:FILE`."""
        return dict(_pairs(self.tasks[task]["sources"]))

    def options(self, task: str) -> list[str]:
        """Reader options of a task as KEY=VALUE strings."""
        return [f"{key}={value}" for key, value in _pairs(self.tasks[task]["options"])]

    def sequences(self, task: str) -> str:
        """The sequence set that a task reads: its name without what only changes a run."""
        return ".".join(part for part in task.split(".") if not RUN.fullmatch(part))

    def finetuning(self, task: str, analysis: str) -> dict[str, Any]:
        """Settings of fine-tuning on a task: the config's, its suite's and the analysis's over them.

        A share of the training data (`H3.pct1`) keeps the set's own validation split, which is whole: folds are cut
        from training and validation rows together and would train on it. Only the analysis `lora` trains adapters
        (rank 0: every weight is trained).
        """
        settings = dict(self.config["finetuning"])
        settings |= settings.pop("suites", {}).get(self.task(task)["suite"], {})
        settings |= self.config["analyses"].get(analysis, {}).get("finetuning", {})
        for part in task.split(".")[1:]:
            if found := RUN.fullmatch(part):
                settings |= {"epochs": int(found[1])} | ({"patience": int(found[2])} if found[2] else {})
            if part.startswith(("pct", "shot")):
                settings["folds"] = []
        if analysis != "lora":
            settings["lora"] = {**settings["lora"], "rank": 0}
        return settings

    def probing(self, analysis: str) -> dict[str, Any]:
        """Settings of the probes of an analysis: the config's, and the analysis's own over them."""
        return self.config["probing"] | self.config["analyses"].get(analysis, {}).get("probing", {})

    def poolings(self, task: str, model: str) -> list[str]:
        """Poolings in which a model embeds a task's own set: all that an analysis reads of it or of sets derived."""
        wanted: set[str] = set()
        for analysis in self._readers.get((task, model), ()):
            clusters = ANALYSES[analysis] == "cluster_embeddings"
            wanted |= {CLUSTERED} if clusters else set(self.probing(analysis)["poolings"])
        return sorted(wanted, key=POOLINGS.index) or list(self.config["probing"]["poolings"])

    @cached_property
    def _readers(self) -> dict[tuple[str, str], set[str]]:
        """Analyses that read embeddings, by (task without derivation, model)."""
        found: dict[tuple[str, str], set[str]] = {}
        for cell in self.cells:
            if cell.init != "baseline" and ANALYSES[cell.analysis] in ("probe", "cluster_embeddings"):
                found.setdefault((cell.task.split(".")[0], cell.model), set()).add(cell.analysis)
        return found

    @cached_property
    def audited(self) -> tuple[str, ...]:
        """Tasks whose splits are audited: every set of classes that a job learns from, as its table has it."""
        learned = [cell.task.split(".")[0] for cell in self.cells if cell.analysis in CLASSIFICATIONS]
        return tuple(dict.fromkeys(learned))

    def precision(self, model: str, section: str) -> str:
        """Precision of a model's jobs: its own, otherwise that of the config's section."""
        return str(self.model(model).entry.get("precision") or self.config[section]["precision"])

    # ---- jobs

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every cell of the design, in the order of the config."""
        return tuple(self._each_cell())

    def _each_cell(self) -> Iterator[Cell]:
        for analysis, spec in self.config["analyses"].items():
            names = [*spec.get("models", self.config["models"])]
            if analysis in CLASSIFICATIONS:
                names += spec.get("baselines", self.config["baselines"])
            seeds = spec.get("seeds", self.config["seeds"])
            for task in spec["tasks"]:
                for name in names:
                    if not self._reads(name, task):  # of the config's baselines; an analysis names its own rightly
                        continue
                    model = self.model(name)
                    for init in self._arms(analysis, spec, model):
                        for seed in seeds if _has_seeds(analysis, init, model.family) else seeds[:1]:
                            yield Cell(analysis, task, name, init, seed)

    def _reads(self, name: str, task: str) -> bool:
        """Whether a task's set has what a model reads: genotypes are of people alone."""
        return self.model(name).family not in GENOTYPES or self.task(task)["reader"] == "people"

    def _check_reading(self, analysis: str, model: Model) -> None:
        cosine = analysis in ("similarity", "sensitivity") and model.family == "caduceus"
        if model.reading == "as_in_paper" and (analysis == "likelihood" or cosine):
            why = "its cosine code read Caduceus as published" if cosine else "likelihoods have no defect to show"
            raise UserError(
                f"analysis '{analysis}': '{model.name}' is not what the study evaluated ({why}); drop .paper."
            )

    def _arms(self, analysis: str, spec: Mapping[str, Any], model: Model) -> Sequence[str]:
        self._check_reading(analysis, model)
        wanted = model.arms if model.is_baseline else spec.get("arms", model.arms)
        if model.reading == "as_in_paper":  # another reading of weights that exist: its controls would be theirs
            wanted = [arm for arm in wanted if arm not in CONTROL_ARMS]
        for arm in wanted:
            if arm in CONTROL_ARMS and "pretrained" not in model.arms:
                raise UserError(
                    f"analysis '{analysis}': arm '{arm}' of '{model.name}' is made from pretrained weights, which this "
                    "model does not have; leave one of them out."
                )
        return [arm for arm in wanted if arm in (*model.arms, *CONTROL_ARMS)]

    def cells_of(self, analysis: str, task: str) -> list[Cell]:
        """Cells of one task in one analysis."""
        return self._by_task.get((analysis, task), [])

    @cached_property
    def _by_task(self) -> dict[tuple[str, str], list[Cell]]:
        found: dict[tuple[str, str], list[Cell]] = {}
        for cell in self.cells:
            found.setdefault((cell.analysis, cell.task), []).append(cell)
        return found

    @property
    def summaries(self) -> list[tuple[str, str]]:
        """(analysis, task) pairs that are summarised."""
        return list(self._by_task)

    def describe_models(self) -> str:
        """JSON for tables and figures: name -> label, tokenizer class, kind, order, published facts, architecture."""
        names = dict.fromkeys(cell.model for cell in self.cells)
        described = {}
        for name in names:
            model = self.model(name)
            described[name] = {
                "label": ", ".join([model.entry["label"], *_in_words(name.removeprefix(model.stem))]),
                "base": name.split(".")[0],
                "family": model.family,
                "kind": "baseline" if name in self.config["baselines"] else "model",
                "tokenizer": model.tokenizer,
                "tokenizer_class": "character"
                if model.tokenizer == "character"
                else model.entry.get("tokenizer_class"),
                "objective": model.entry.get("objective"),
                "max_tokens": model.entry.get("max_tokens"),
                "pretrained": (model.entry.get("pretrained") or {}).get("source"),
                "order": list(self.entries).index(name.split(".")[0]),
            }
            if name in self.config["models"]:
                described[name]["config"] = dict(model.config)
        return json.dumps(described, sort_keys=False, separators=(",", ":"))

    # ---- checks

    def _check(self) -> None:
        genomes, corpora = self.config["genomes"], self.config["corpora"]
        for name, genome in genomes.items():
            for piece in genome["pieces"]:
                self._check_source(piece["source"], f"genome '{name}'")
                if piece["source"].startswith("genome:"):
                    raise UserError(f"genome '{name}': a piece is a dataset or 'simulated:FILE', not another genome.")
        for name, corpus in corpora.items():
            for region in (*corpus["exclude"], *corpus["holdout"]):
                first, _, last = region.partition(":")[2].partition("-")
                if last and not 1 <= int(first) <= int(last):
                    raise UserError(f"corpus '{name}': region '{region}' is not CONTIG:START-END (1-based, inclusive).")
            people = corpus.get("people", {})
            for source in [*people.get("vcf", []), *([people["panel"]] if "panel" in people else [])]:
                self._check_source(source, f"corpus '{name}'")
            for genome in corpus["genomes"]:
                if genome not in genomes:
                    raise UserError(f"corpus '{name}': " + unknown("genome", genome, genomes))
        for name in (*self.config["models"], *self.config["baselines"]):
            size = name.partition(".")[2]
            if size == "paper" or size in TOKENIZER_QUALIFIERS or re.fullmatch(r"[wl][0-9]+", size):
                raise UserError(
                    f"model '{name}': '.{size}' is a qualifier, not a size; name '{name.split('.')[0]}' here, and "
                    f"'{name}' in an analysis."
                )
            model = self.model(name)
            pretrained = (model.entry.get("pretrained") or {}) if "pretrained" in model.arms else {}
            if pretrained.get("source") == "workflow" and pretrained.get("corpus") not in corpora:
                raise UserError(f"model '{name}': " + unknown("corpus", str(pretrained.get("corpus")), corpora))
            for source, key in (("hub", "repository"), ("local", "path")):
                if pretrained.get("source") == source and not pretrained.get(key):
                    raise UserError(f"model '{name}': its pretrained arm comes from source '{source}'; add {key}.")
            if pretrained.get("source") == "local" and not Path(pretrained["path"]).is_dir():
                raise UserError(f"model '{name}': no checkpoint directory '{pretrained['path']}'; correct its path.")
            if model.is_baseline and model.family not in FEATURES:
                raise UserError(f"model '{name}': " + unknown("family of features", model.family, FEATURES))
            if model.is_baseline and "classifier" not in model.entry:
                raise UserError(f"model '{name}': a baseline needs a classifier; add one to the model table.")
            if not model.is_baseline and model.tokenizer is None:
                raise UserError(f"model '{name}': a model with weights needs a tokenizer; add one to the model table.")
            if model.tokenizer in PIECES:
                self._check_pieces(name, model.entry.get("tokenizer_file") or {})
                size, held = (model.entry.get("tokenizer_file") or {}).get("size"), model.config.get("vocab_size")
                if size and held and size > held:
                    raise UserError(
                        f"model '{name}': a tokenizer of {size} pieces does not fit a vocabulary of {held}; make "
                        "tokenizer_file.size at most config.vocab_size."
                    )
            self._check_settings(name, model.entry.get("pretraining") or {})
            if pretrained.get("source") == "hub" and not pretrained.get("revision"):
                raise UserError(
                    f"model '{name}': its hub revision is not pinned; put the 40-digit commit into the model table."
                )
        suites = {row["suite"] for row in self.tasks.values()}
        for suite, over in self.config["finetuning"].get("suites", {}).items():
            if suite not in suites:
                raise UserError("config, finetuning.suites: " + unknown("suite", suite, sorted(suites)))
            self._check_folds(over, f"finetuning.suites.{suite}")
        for analysis, spec in self.config["analyses"].items():
            self._check_sections(analysis, spec)
            for task in spec["tasks"]:
                if task.split(".")[0] not in self.tasks:
                    raise UserError(f"analysis '{analysis}': " + unknown("task", task.split(".")[0], self.tasks))
                if odd := [name for name in spec.get("baselines", ()) if not self._reads(name, task)]:
                    raise UserError(
                        f"analysis '{analysis}', task '{task}': baseline '{odd[0]}' reads genotypes, which sets of "
                        "people alone have; leave it out."
                    )
                self._check_qualifiers(task, analysis)
                self._check_task(task.split(".")[0], analysis)
                for role, source in self.sources(task.split(".")[0]).items():
                    self._check_source(source, f"task '{task}', source '{role}'")
        for task in self.config["limits"]:
            if task != "default" and task not in self.tasks:
                raise UserError("limits: " + unknown("task", task, self.tasks))
        if empty := set(self.config["analyses"]) - {cell.analysis for cell in self.cells}:
            raise UserError(f"analysis '{min(empty)}': none of its models has one of its arms; correct models or arms.")

    def _check_pieces(self, model: str, file: Mapping[str, Any]) -> None:
        needed = {"hub": ("repository", "revision"), "local": ("path",), "workflow": ("corpus", "size")}
        keys = needed.get(str(file.get("source")))
        if keys is None:
            raise UserError(f"model '{model}': its tokenizer needs a file; add tokenizer_file with a source.")
        if missing := [key for key in keys if not file.get(key)]:
            raise UserError(f"model '{model}', tokenizer_file: source '{file['source']}' needs {missing[0]}.")
        if file["source"] == "workflow" and file["corpus"] not in self.config["corpora"]:
            raise UserError(
                f"model '{model}', tokenizer_file: " + unknown("corpus", file["corpus"], self.config["corpora"])
            )
        if file["source"] == "local" and not (Path(file["path"]).is_file() and file["path"].endswith("tokenizer.json")):
            raise UserError(
                f"model '{model}', tokenizer_file: '{file['path']}' is no file tokenizer.json; correct its path."
            )

    def _check_settings(self, model: str, over: Mapping[str, Any]) -> None:
        settings = self.config["pretraining"] | dict(over)
        if settings["warmup"] > settings["steps"] or settings["minimum_learning_rate"] > settings["learning_rate"]:
            raise UserError(
                f"model '{model}', pretraining: warmup is at most steps, minimum_learning_rate at most learning_rate."
            )
        self._check_folds(self.config["finetuning"], "finetuning")

    def _check_folds(self, settings: Mapping[str, Any], where: str) -> None:
        most = self.config["finetuning"]["fold_count"] - 1
        if any(fold > most for fold in settings.get("folds", ())):
            raise UserError(f"config, {where}.folds: folds lie between 0 and {most}.")

    def _check_sections(self, analysis: str, spec: Mapping[str, Any]) -> None:
        """What an analysis says of itself alone must be of what it does."""
        for section, rule in (("finetuning", "finetune_model"), ("probing", "probe")):
            if section in spec and ANALYSES[analysis] != rule:
                fits = ", ".join(name for name, made in ANALYSES.items() if made == rule)
                raise UserError(f"analysis '{analysis}': '{section}' is for {fits}; leave it out here.")
        self._check_folds(spec.get("finetuning", {}), f"analyses.{analysis}.finetuning")
        if analysis not in CLASSIFICATIONS and spec.get("baselines"):
            raise UserError(f"analysis '{analysis}': baselines join classifications only; leave them out here.")
        names = [*spec.get("models", self.config["models"])]
        if analysis not in CLASSIFICATIONS and (odd := [name for name in names if self.model(name).is_baseline]):
            raise UserError(f"analysis '{analysis}': '{odd[0]}' has no weights, which are scored here; leave it out.")
        if analysis in CLASSIFICATIONS:
            names += spec.get("baselines", self.config["baselines"])
        if twice := [name for number, name in enumerate(names) if name in names[:number]]:
            raise UserError(f"analysis '{analysis}': '{twice[0]}' stands twice in its models and baselines.")

    def _check_qualifiers(self, task: str, analysis: str) -> None:
        name, *parts = task.split(".")
        where = f"analysis '{analysis}', task '{task}'"
        derived = [part for part in parts if DERIVATION.fullmatch(part)]
        runs = [part for part in parts if RUN.fullmatch(part)]
        if odd := [part for part in parts if part not in derived + runs]:
            raise UserError(
                f"{where}: qualifier '.{odd[0]}' is none of .pctN, .shotN (drawn again: .pctNdK), .dedup, .distant, "
                ".matched, .permuted, .unrelated, .family and .epN or .epNpM."
            )
        if parts != derived + runs or len(derived) > 1 or len(runs) > 1:
            raise UserError(f"{where}: one derived set, then one number of epochs; write '{name}.pct10.ep30'.")
        if any(part.startswith("pct") and int(part[3:].split("d")[0]) > 100 for part in derived):
            raise UserError(f"{where}: a share of the training set is at most 100 %; correct '.{derived[0]}'.")
        if runs and ANALYSES[analysis] != "finetune_model":
            raise UserError(f"{where}: nothing is fine-tuned here, so leave '.{runs[0]}' out.")
        if derived and analysis not in CLASSIFICATIONS:
            raise UserError(f"{where}: derived sets are for classifications; leave '.{derived[0]}' out.")
        if derived and derived[0] in ("unrelated", "family") and "families" not in self.sources(name):
            raise UserError(f"{where}: relatives are known from a pedigree; add families=... to the task's sources.")

    def _check_task(self, task: str, analysis: str) -> None:
        row, where = self.tasks[task], f"analysis '{analysis}', task '{task}'"
        if row["reader"] not in READERS:
            raise UserError(f"{where}: " + unknown("reader", row["reader"], READERS))
        reader = READERS[row["reader"]]
        kinds = SPECIAL.get(analysis, ("classes", "transfer"))
        fits = [name for name, other in READERS.items() if other.makes in kinds]
        if row["reader"] not in fits:
            raise UserError(f"{where}: this analysis reads sets of {', '.join(fits)}, not of {row['reader']}.")
        if analysis in CLASSIFICATIONS and row["metric"] not in CLASS_METRICS:
            raise UserError(f"{where}: metric '{row['metric']}' is none of classes ({', '.join(CLASS_METRICS)}).")
        sources = self.sources(task)
        for role, source in sources.items():
            if (source.partition(":")[0] == "task") != (row["reader"] == "transfer"):
                raise UserError(
                    f"{where}: '{role}={source}' does not fit: sources of the reader transfer are 'task:NAME', and of "
                    "no other reader."
                )
            if not reader.knows(role):
                raise UserError(f"{where}: " + unknown("source", role, reader.sources))
        if missing := [role for role in reader.required if role not in sources]:
            raise UserError(f"{where}: reader '{row['reader']}' needs the source '{missing[0]}'; add {missing[0]}=....")
        for option, _ in _pairs(row["options"]):
            if option not in reader.options:
                raise UserError(f"{where}: " + unknown("option", option, reader.options))

    def _check_source(self, source: str, where: str) -> None:
        kind, _, name = source.rpartition(":")
        if kind == "region":
            name, _, window = name.partition("/")
            if not (found := REGION.fullmatch(window)) or not 1 <= int(found["start"]) <= int(found["end"]) <= 1 << 29:
                raise UserError(f"{where}: '{source}' is not region:DATASET/CONTIG.START-END (1-based, inclusive).")
            if name in self.datasets and not self.datasets[name].get("index"):
                raise UserError(f"{where}: dataset '{name}' has no index in the ledger: no region of it can be read.")
            kind = ""
        places: dict[str, Mapping[str, Any]] = {"": self.datasets, "genome": self.config["genomes"]}
        known = (places | {"simulated": dict.fromkeys(SIMULATED), "task": self.tasks}).get(kind)
        if known is None or (kind == "task" and not where.startswith("task ")):
            raise UserError(f"{where}: '{source}' is no dataset, 'genome:NAME', 'region:…' or 'simulated:FILE'.")
        if name not in known:
            what = {"": "dataset", "genome": "genome", "simulated": "simulated file", "task": "task"}[kind]
            raise UserError(f"{where}: " + unknown(what, name, known))
        if kind == "task":
            if self.tasks[name]["reader"] == "transfer":
                raise UserError(f"{where}: task '{name}' is itself one of transfer; name the set that it reads.")
            if (learned := READERS.get(self.tasks[name]["reader"])) and learned.makes in ("variants", "mutants"):
                raise UserError(f"{where}: task '{name}' has no classes to learn; name one that has.")
            for role, inner in self.sources(name).items():
                self._check_source(inner, f"task '{name}', source '{role}'")


def read_study(config: Mapping[str, Any]) -> Plan:
    """The design behind a config and the tables that it names, all checked against the JSON schemas."""
    check_schema(config, read_schema("config"), "config")
    tables = config["tables"]
    models = read_yaml(tables["models"])
    # A model that says its own family is an entry by itself, and stands in the study instead of the table.
    own = {name: entry for name, entry in (config["models"] | config["baselines"]).items() if "family" in entry}
    if twice := [name for name in own if name in models]:
        raise UserError(f"model '{twice[0]}': {tables['models']} has an entry of that name; give yours another.")
    for where, entries in ((tables["models"], models), ("config, models", own)):
        check_schema(entries, read_schema("models"), where)
    models |= own
    rows = {}
    for name in ("tasks", "datasets"):
        schema = read_schema(name)
        rows[name] = read_table(tables[name], schema["items"]["required"])
        check_schema(rows[name], schema, tables[name])
    return Plan(config, models, rows["tasks"], rows["datasets"])


def _has_seeds(analysis: str, init: str, family: str) -> bool:
    """Whether another seed could give another result: one checkpoint that nothing is trained on has a single one."""
    if init == "baseline":
        return family in DRAWN
    return init in ("random", *CONTROL_ARMS) or (init == "pretrained" and analysis in CLASSIFICATIONS)


def _in_words(qualifiers: str) -> list[str]:
    """What the qualifiers of a name say in a figure; widths are told by their axis."""
    words = {"char": "characters", "kmer": "6-mers", "paper": "as the study read it"}
    found = [words.get(part, f"{part[1:]} layers" if part[0] == "l" else "") for part in qualifiers.split(".")[1:]]
    return [word for word in found if word]


def _scaled(name: str, entry: Mapping[str, Any], kind: str, value: int) -> dict[str, int]:
    """Configuration of a width (`w`) or of a number of layers (`l`); the table may name the keys of a new family."""
    scaling = entry.get("scaling") or {}
    if kind == "l":
        key = scaling.get("layers", LAYERS.get(entry["family"]))
        found = {key: value} if key else {}
    else:
        factors: Mapping[str, int] = scaling.get("width", WIDTHS.get(entry["family"], {}))
        found = {key: factor * value for key, factor in factors.items()}
    if not found:
        what = "number of layers" if kind == "l" else "width"
        raise UserError(f"model '{name}': no {what} of family '{entry['family']}' is known; add scaling to its entry.")
    return found


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(dict(base))
    for key, value in over.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if nested else copy.deepcopy(value)
    return merged


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        key, value = (word.strip() for word in (part.partition("=")[0], part.partition("=")[2]))
        if not key or not value or key in seen:
            raise UserError(
                f"task table: '{part}' is not KEY=VALUE (several are separated by ';'), or its key is there twice."
            )
        seen.add(key)
        yield key, value
