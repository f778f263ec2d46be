"""What is refused of a study before anything runs: one sentence for every mistake, with the nearest that is known."""

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from string import Formatter
from typing import Any

from foundationless.errors import UserError
from foundationless.runtime.files import read_table
from foundationless.study import perturbation
from foundationless.study.config import check_schema, read_schema, read_yaml, unknown
from foundationless.study.explanations.checks import check_explaining
from foundationless.study.families import (
    FAMILIES,
    PIECES,
    PUBLISHED,
    TOKENIZERS,
    depth_of,
    known_depth,
    size_keys,
    token_kind,
)
from foundationless.study.few.checks import check_shots
from foundationless.study.names import is_budget, is_derivation, is_qualifier, kind_of, parse_model, parse_task
from foundationless.study.names import words_behind as words
from foundationless.study.own.rows import own_datasets, own_tasks
from foundationless.study.plan import Model, Plan, read_pairs
from foundationless.study.readers import READERS
from foundationless.study.vocabulary import (
    ANALYSES,
    CLASSES,
    CLASSIFIERS,
    CONTROL_ARMS,
    EFFECT_ARMS,
    FEATURES,
    FEW,
    GENOTYPES,
    LABELS,
    LAYERED,
    LEARNED_METRICS,
    LEAVE_ONE_OUT,
    METRICS,
    NO_CHUNKS,
    OF_VARIANTS,
    OTHER_CORPORA,
    PROBES,
    REFERENCES,
    SELF,
    SEQUENCE_CLASSIFIERS,
    SEQUENTIAL,
    SIMULATED,
    VARIANT_FEATURES,
    WEIGHING,
    is_other_pretraining,
    labels_of,
    steps_of,
)

# Keys of a model that say how it is run, which says nothing of one that another program ran.
RUN_HERE = (
    "family", "tokenizer", "config", "pretrained", "tokenizer_file", "pretraining", "match", "classifier", "options",
)  # fmt: skip
SECTIONS = {
    "finetuning": ("finetune_model", "finetune_shots", "explain"),
    "probing": ("probe",),
    "explaining": ("explain",),
}
# A window of a dataset that has an index in the ledger: `region:DATASET/CONTIG.START-END`, 1-based, inclusive.
REGION = re.compile(r"(?P<contig>[A-Za-z0-9_]+)\.(?P<start>[0-9]+)-(?P<end>[0-9]+)")


def read_study(config: Mapping[str, Any]) -> Plan:
    """The plan of a config and the tables that it names, all checked against the JSON schemas and each other."""
    check_schema(config, read_schema("config"), "config")
    tables = config["tables"]
    models = read_yaml(tables["models"])
    # A model that says its own family is an entry by itself, and stands in the study instead of the table.
    own = {
        name: entry
        for name, entry in (config["models"] | config["baselines"]).items()
        if {"family", "source", "genes"} & entry.keys()
    }
    if twice := [name for name in own if name in models]:
        raise UserError(f"model '{twice[0]}': {tables['models']} has an entry of that name; give yours another.")
    for where, entries in ((tables["models"], models), ("config, models", own)):
        check_schema(entries, read_schema("models"), where)
    rows = {}
    for name in ("tasks", "datasets"):
        schema = read_schema(name)
        rows[name] = read_table(tables[name], schema["items"]["required"])
        check_schema(rows[name], schema, tables[name])
    rows["tasks"] += own_tasks(config, tables["tasks"], {row["task"] for row in rows["tasks"]})
    rows["datasets"] += own_datasets(config, tables["datasets"], {row["name"] for row in rows["datasets"]})
    plan = Plan(config, models | own, rows["tasks"], rows["datasets"])
    check_plan(plan)
    return plan


def check_plan(plan: Plan) -> None:
    """Raise `UserError` for the first thing in which config and tables do not fit together."""
    _check_known("analysis", plan.config["analyses"], ANALYSES, "config, analyses")
    for task, row in plan.tasks.items():
        _check_known("metric", [row["metric"]], METRICS, f"task '{task}'")
    for name, entry in plan.entries.items():
        if "classifier" in entry:
            _check_known("classifier", [entry["classifier"]], CLASSIFIERS, f"model '{name}'")
    _check_genomes(plan)
    for name, corpus in plan.config["corpora"].items():
        _check_corpus(plan, name, corpus)
    for name in (*plan.config["models"], *plan.config["baselines"]):
        _check_entry(plan, name)
    perturbation.check_cells(plan)
    _check_finetuning(plan)
    _check_known("metric", plan.config["statistics"].get("margins", {}), METRICS, "config, statistics.margins")
    _check_known("probe", plan.config["probing"]["probes"], PROBES, "config, probing.probes")
    for analysis, spec in plan.config["analyses"].items():
        _check_sections(plan, analysis, spec)
        for task in spec["tasks"]:
            _check_task(plan, analysis, task)
        for name in plan.names_of(analysis):
            _check_model(plan.model(name))
            _check_arms(plan, analysis, spec, plan.model(name))
            perturbation.check_side(analysis, plan.model(name))
        perturbation.check_analysis(plan, analysis, spec)
    _check_variant_baselines(plan)
    _check_known("task", [task for task in plan.config["limits"] if task != "default"], plan.tasks, "limits")
    _check_truths(plan)
    _check_chunks(plan)
    if empty := set(plan.config["analyses"]) - {cell.analysis for cell in plan.cells}:
        raise UserError(f"analysis '{min(empty)}': none of its models has one of its arms; correct models or arms.")
    _check_looks(plan)


def _check_variant_baselines(plan: Plan) -> None:
    """That a baseline on columns of a set of variants, which an analysis names, has one with these columns."""
    for analysis, spec in plan.config["analyses"].items():
        for name in spec.get("baselines", ()) if ANALYSES[analysis].probes_variants else ():
            if not any(plan.serves(name, task) for task in spec["tasks"]):
                raise UserError(
                    f"analysis '{analysis}': baseline '{name}' reads columns that none of its tasks has; leave it out."
                )


def _check_known(kind: str, names: Iterable[str], known: Collection[str], where: str) -> None:
    if odd := [name for name in names if name not in known]:
        raise UserError(f"{where}: " + unknown(kind, odd[0], known))


# ---- what is read


def _check_genomes(plan: Plan) -> None:
    for name, genome in plan.config["genomes"].items():
        for piece in genome["pieces"]:
            check_source(plan, piece["source"], f"genome '{name}'")
            if piece["source"] in plan.datasets and "," in (plan.local_path(piece["source"]) or ""):
                raise UserError(
                    f"genome '{name}': a comma in the path of dataset '{piece['source']}'; name a path without."
                )
            if piece["source"].startswith("genome:"):
                raise UserError(f"genome '{name}': a piece is a dataset or 'simulated:FILE', not another genome.")


def _check_corpus(plan: Plan, name: str, corpus: Mapping[str, Any]) -> None:
    for region in (*corpus["exclude"], *corpus["holdout"]):
        first, _, last = region.partition(":")[2].partition("-")
        if last and not 1 <= int(first) <= int(last):
            raise UserError(f"corpus '{name}': region '{region}' is not CONTIG:START-END (1-based, inclusive).")
    people = corpus.get("people", {})
    for source in [*people.get("vcf", []), *([people["panel"]] if "panel" in people else [])]:
        check_source(plan, source, f"corpus '{name}'")
    _check_known("genome", corpus["genomes"], plan.config["genomes"], f"corpus '{name}'")


def check_source(plan: Plan, source: str, where: str) -> None:
    """Raise `UserError` for a source of a task, a genome or a corpus that is none; `where` begins the sentence."""
    kind, _, name = source.rpartition(":")
    if kind == "region":
        name, _, window = name.partition("/")
        place = REGION.fullmatch(window)
        if not place or not 1 <= int(place["start"]) <= int(place["end"]) <= 1 << 29:
            raise UserError(f"{where}: '{source}' is not region:DATASET/CONTIG.START-END (1-based, inclusive).")
        if name in plan.datasets and not plan.datasets[name].get("index"):
            raise UserError(f"{where}: dataset '{name}' has no index in the ledger: no region of it can be read.")
        kind = ""
    places: dict[str, Mapping[str, Any]] = {"": plan.datasets, "genome": plan.config["genomes"]}
    known = (places | {"simulated": dict.fromkeys(SIMULATED), "task": plan.tasks}).get(kind)
    if known is None or (kind == "task" and not where.startswith("task ")):
        raise UserError(f"{where}: '{source}' is no dataset, 'genome:NAME', 'region:…' or 'simulated:FILE'.")
    _check_known({"": "dataset", "simulated": "simulated file"}.get(kind, kind), [name], known, where)
    path = plan.local_path(name) if kind == "" else None
    if path is not None and not plan.config.get("from_records") and not Path(path).is_file():
        raise UserError(f"{where}: there is no file '{path}', which dataset '{name}' names; correct its path.")
    if kind == "task":
        if plan.tasks[name]["reader"] == "transfer":
            raise UserError(f"{where}: task '{name}' is itself one of transfer; name the set that it reads.")
        if (learned := READERS.get(plan.tasks[name]["reader"])) and learned.makes in ("variants", "mutants"):
            raise UserError(f"{where}: task '{name}' has no classes to learn; name one that has.")
        for role, inner in plan.sources(name).items():
            check_source(plan, inner, f"task '{name}', source '{role}'")


# ---- models


def _check_entry(plan: Plan, name: str) -> None:
    """A model or a baseline of the config, with its entry of the model table."""
    parts, where = parse_model(name), f"model '{name}'"
    if odd := [word for word in words(name, parts.base) if is_qualifier(word)]:
        raise UserError(
            f"{where}: '.{odd[0]}' is a qualifier, not a size; name '{parts.base}' here, and '{name}' in an analysis."
        )
    model = plan.model(name)
    if model.is_outside:
        _check_outside(plan, name, model)
        return
    if said := [key for key in ("vectors", "scores", "poolings") if key in model.entry]:
        raise UserError(f"{where}: {said[0]} is for a model with `source: outside`; leave it out.")
    if model.is_vectors:
        perturbation.check_vectors(plan, name, model)
        return
    if "match" in model.entry:
        _check_match(plan, name, model)
    _check_model(model)
    pretrained = (model.entry.get("pretrained") or {}) if "pretrained" in model.arms else {}
    _check_pretrained(plan, name, pretrained)
    if perturbation.is_effect_baseline(model):
        return
    if model.is_baseline:
        _check_known("family of features", [model.family], FEATURES, where)
    if model.family in OF_VARIANTS:
        named = (model.entry.get("options") or {}).get("features") or []
        _check_known("feature of variants", named, VARIANT_FEATURES, f"{where}, options.features")
    if model.is_baseline and "classifier" not in model.entry:
        raise UserError(f"{where}: a baseline needs a classifier; add one to the model table.")
    if model.is_baseline and (model.family in SEQUENTIAL) != (model.entry["classifier"] in SEQUENCE_CLASSIFIERS):
        fits = f"family {', '.join(SEQUENTIAL)} goes with classifiers {', '.join(SEQUENCE_CLASSIFIERS)} and no other"
        raise UserError(f"{where}: {fits}; correct family or classifier.")
    if not model.is_baseline and model.tokenizer is None:
        raise UserError(f"{where}: a model with weights needs a tokenizer; add one to the model table.")
    if model.tokenizer in (*PIECES, PUBLISHED):
        _check_pieces(plan, model)
    settings = plan.pretraining(name)
    if settings["warmup"] > settings["steps"] or settings["minimum_learning_rate"] > settings["learning_rate"]:
        raise UserError(f"{where}, pretraining: warmup is at most steps, minimum_learning_rate at most learning_rate.")
    if pretrained.get("source") == "hub" and not pretrained.get("revision"):
        raise UserError(f"{where}: its hub revision is not pinned; put the 40-digit commit into the model table.")


def _check_outside(plan: Plan, name: str, model: Model) -> None:
    """A model whose vectors or scores another program computed: where they lie, and which arms they are."""
    where, table = f"model '{name}', source outside", "baselines" if name in plan.config["baselines"] else "models"
    if not (patterns := {key: model.entry[key] for key in ("vectors", "scores") if key in model.entry}):
        raise UserError(f"{where}: it has neither vectors nor scores; add a path of either.")
    if said := [key for key in RUN_HERE if key in model.entry]:
        raise UserError(f"{where}: it is not run here, so {said[0]} says nothing; leave it out.")
    if ("baseline" in model.arms) != (table == "baselines") or (table == "baselines" and not model.is_baseline):
        raise UserError(f"{where}: under baselines its arms are [baseline], under models pretrained, random or both.")
    drawn = any(len(plan.seeds(analysis)) > 1 for analysis in plan.config["analyses"])
    needed = {"task": True, "init": len(model.arms) > 1, "seed": drawn and "random" in model.arms}
    for key, pattern in patterns.items():
        try:
            fields = {field for _, field, _, _ in Formatter().parse(pattern) if field is not None}
        except ValueError:
            fields = {pattern}
        if unknown_ones := sorted(fields - needed.keys()):
            raise UserError(
                f"{where}, {key}: '{unknown_ones[0]}' is none of {{task}}, {{init}} and {{seed}}; correct it."
            )
        if missing := [field for field, wanted in needed.items() if wanted and field not in fields]:
            raise UserError(
                f"{where}, {key}: '{pattern}' names one file for every {missing[0]}; put {{{missing[0]}}} in."
            )


def _check_match(plan: Plan, name: str, model: Model) -> None:
    """That `match` stands where it may, and that nothing else says the size that it chooses."""
    where = f"model '{name}', match"
    if name in plan.config["models"]:
        raise UserError(f"{where}: a baseline is made as large as a model; put it under baselines, or leave match out.")
    own = plan.config["baselines"][name].get("config") or {}
    if said := [key for key in size_keys(model.family) if key in own]:
        raise UserError(f"{where}: it chooses {said[0]}; leave config.{said[0]} or match out.")


def _check_pretrained(plan: Plan, name: str, pretrained: Mapping[str, Any]) -> None:
    """Where the weights of a pretrained arm come from."""
    where = f"model '{name}'"
    if pretrained.get("source") == "workflow":
        cells = plan.model(name).of_cells
        read = plan.config.get("cells", {}) if cells else plan.config["corpora"]
        _check_known("corpus of cells" if cells else "corpus", [str(pretrained.get("corpus"))], read, where)
    for source, key in (("hub", "repository"), ("local", "path")):
        if pretrained.get("source") == source and not pretrained.get(key):
            raise UserError(f"{where}: its pretrained arm comes from source '{source}'; add {key}.")
    if pretrained.get("source") == "local" and not Path(pretrained["path"]).is_dir():
        raise UserError(f"{where}: no checkpoint directory '{pretrained['path']}'; correct its path.")


def _check_model(model: Model) -> None:
    """A model under any of its names: its qualifiers, its tokenizer, its shape."""
    where = f"model '{model.name}'"
    qualifiers, row = words(model.name, model.stem), FAMILIES.get(model.family)
    if model.is_outside and qualifiers:
        raise UserError(f"{where}: it is not run here, so '.{qualifiers[0]}' changes nothing; leave it out.")
    if odd := [word for word in qualifiers if word and not is_qualifier(word)]:
        raise UserError(
            f"{where}: qualifier '.{odd[0]}' is none of .char, .kmer, .paper, a width like .w64 or a depth like .l4."
        )
    if "" in qualifiers or len({kind_of(word) for word in qualifiers}) < len(qualifiers):
        raise UserError(f"{where}: two qualifiers say the same thing (or one is empty); leave one out.")
    if "match" in model.entry and (shaped := [word for word in qualifiers if kind_of(word) != "reading"]):
        raise UserError(f"{where}: match chooses its size, so that '.{shaped[0]}' cannot; leave one of them out.")
    if row and row.only and model.tokenizer in TOKENIZERS and token_kind(model.tokenizer, model.entry) != row.only:
        raise UserError(f"{where}: {row.reason}.")
    settings = model.config
    for key in size_keys(model.family):
        if key in settings and (not isinstance(settings[key], int) or settings[key] < 1):
            raise UserError(f"{where}, config: {key} '{settings[key]}' is not a whole number from 1.")
    width, heads = settings.get("hidden_size"), settings.get("num_attention_heads")
    if isinstance(width, int) and isinstance(heads, int) and (heads < 1 or width % heads):
        raise UserError(f"{where}: its {heads} attention heads do not divide its width {width}; choose others.")
    path = model.family.rpartition(":")[0]
    if path.endswith(".py") and not Path(path).is_file():
        raise UserError(f"{where}: no file '{path}' of its family; correct its path.")


def _check_pieces(plan: Plan, model: Model) -> None:
    """Where the file of a tokenizer comes from that is read from one, and that its pieces fit the vocabulary."""
    file: Mapping[str, Any] = model.tokenizer_file
    where = f"model '{model.name}', tokenizer_file"
    needed = {"hub": ("repository", "revision"), "local": ("path",), "workflow": ("corpus", "size")}
    keys = needed.get(str(file.get("source")))
    if keys is None:
        raise UserError(f"model '{model.name}': its tokenizer needs a file; add tokenizer_file with a source.")
    if missing := [key for key in keys if not file.get(key)]:
        raise UserError(f"{where}: source '{file['source']}' needs {missing[0]}.")
    if file["source"] == "workflow":
        _check_known("corpus", [file["corpus"]], plan.config["corpora"], where)
    if model.tokenizer == PUBLISHED:
        if file["source"] == "workflow":
            raise UserError(f"{where}: a published tokenizer is not trained here; give source hub or local.")
        if file["source"] == "local" and not Path(file["path"]).is_dir():
            raise UserError(f"{where}: no directory '{file['path']}' with the tokenizer's files; correct its path.")
        return
    if file["source"] == "local" and not (Path(file["path"]).is_file() and file["path"].endswith("tokenizer.json")):
        raise UserError(f"{where}: '{file['path']}' is no file tokenizer.json; correct its path.")
    size, held = file.get("size"), model.config.get("vocab_size")
    if size and held and size > held:
        raise UserError(
            f"model '{model.name}': a tokenizer of {size} pieces does not fit a vocabulary of {held}; make "
            "tokenizer_file.size at most config.vocab_size."
        )


# ---- settings


def _check_finetuning(plan: Plan) -> None:
    _check_folds(plan, plan.config["finetuning"], "finetuning")
    _check_search(plan, plan.config["finetuning"], "finetuning")
    suites = plan.config["finetuning"].get("suites", {})
    _check_known("suite", suites, sorted({row["suite"] for row in plan.tasks.values()}), "config, finetuning.suites")
    for suite, over in suites.items():
        _check_folds(plan, over, f"finetuning.suites.{suite}")
        _check_search(plan, over, f"finetuning.suites.{suite}")


def _check_folds(plan: Plan, settings: Mapping[str, Any], where: str) -> None:
    most = plan.config["finetuning"]["fold_count"] - 1
    if any(fold > most for fold in settings.get("folds", ())):
        raise UserError(f"config, {where}.folds: folds lie between 0 and {most}.")


def _check_trained(plan: Plan, analysis: str, spec: Mapping[str, Any]) -> None:
    """That what is trained, at which rates and in which precision go together, for every task and model."""
    where, own = f"analysis '{analysis}', finetuning", spec.get("finetuning", {}).get("trainable", "lora")
    if analysis == "lora" and own != "lora":
        raise UserError(f"{where}: this analysis trains adapters; leave 'trainable: {own}' out, or take another one.")
    models = [model for model in map(plan.model, plan.names_of(analysis)) if model.stem in plan.config["models"]]
    for task in spec["tasks"]:
        if parse_task(task).base_task not in plan.tasks:
            continue  # `_check_task` says so
        settings = plan.finetuning(task, analysis)
        trained = settings.get("trainable", "lora" if settings["lora"]["rank"] else "all")
        lost = [key for key in ("layer_rates", "unfreeze") if key in settings and trained == "head"]
        if lost:
            raise UserError(
                f"{where}: '{lost[0]}' is of what lies below the head, which alone is trained; leave it out."
            )
        for model in models:
            _check_blocks(model, trained, where)
            if "weight_precision" in settings:
                _check_lowered(plan, model, trained, where)


def _check_blocks(model: Model, trained: str, where: str) -> None:
    last = int(trained.removeprefix("last_")) if trained.startswith("last_") else 0
    if model.family in FAMILIES and last > depth_of(model.config):
        raise UserError(
            f"{where}: 'trainable: {trained}' asks for more blocks than '{model.name}' has, which are "
            f"{depth_of(model.config):g}; choose no more."
        )


def _check_lowered(plan: Plan, model: Model, trained: str, where: str) -> None:
    if trained == "all":
        raise UserError(
            f"{where}: 'weight_precision: bf16' is of frozen weights, and all are trained; say 'trainable: lora', "
            "'head' or 'last_N', or leave it out here (fp32)."
        )
    if plan.precision(model.name, "finetuning") != "bf16":
        raise UserError(
            f"{where}: 'weight_precision: bf16' is for passes in bfloat16, and '{model.name}' runs in fp32; say "
            "'precision: bf16', or leave it out."
        )


def _check_search(plan: Plan, settings: Mapping[str, Any], where: str) -> None:
    if plan.config["selection"] == "test" and settings.get("search") == "racing":
        raise UserError(
            f"config, {where}.search: a race reads the test set once, for its winner, so that selection 'test' has "
            "nothing to choose from; use 'search: full' or 'selection: validation'."
        )


def _check_chunks(plan: Plan) -> None:
    """That chunks of long sequences are asked for where there are some, and can be pooled so."""
    analyses, said = plan.config["analyses"], plan.config["embedding"].get("chunks", NO_CHUNKS)
    where = f"config, embedding.chunks: '{said}'"
    if said == "attention":
        raise UserError(f"{where} is learned, and a frozen embedding learns nothing; use mean, or fine-tune.")
    embedding = [name for name in analyses if ANALYSES[name].embeds or ANALYSES[name].predicts_effects]
    if said != NO_CHUNKS and not embedding:
        raise UserError(
            f"{where} is for embeddings of whole sequences, which no analysis of the study reads (scores of variants "
            "are of windows that fit the model); leave it out."
        )
    for analysis, spec in analyses.items():
        models = [name for name in plan.names_of(analysis) if plan.model(name).reading == "as_in_paper"]
        if ANALYSES[analysis].rule == "finetune_model":
            chosen = [plan.finetuning(task, analysis).get("chunks", NO_CHUNKS) for task in spec["tasks"]]
            said, where = next((one for one in chosen if one != NO_CHUNKS), NO_CHUNKS), "finetuning"
        else:
            said, where = plan.config["embedding"].get("chunks", NO_CHUNKS), "embedding"
        if said != NO_CHUNKS and models and (where == "finetuning" or ANALYSES[analysis].embeds):
            raise UserError(
                f"analysis '{analysis}', {where}.chunks: '{models[0]}' is read as in the paper, which has none; "
                "leave either out."
            )


# ---- looks


def _check_looks(plan: Plan) -> None:
    """What ends a study with looks: numbers of seeds, the analysis that is decided on, the budget."""
    analyses = plan.config["analyses"]
    if named := (plan.config.get("decide") or {}).get("analysis"):
        _check_known("analysis", [named], analyses, "config, decide.analysis")
    for name, looks in {name: plan.looks_of(name) for name in analyses}.items():
        given = analyses[name].get("seeds", plan.config["seeds"])
        if isinstance(given, Mapping) and len(looks) < 2:
            raise UserError(f"analysis '{name}', seeds: 'to' ({given['to']}) must exceed 'from' ({given['from']}).")
        if looks and not plan.looks:
            raise UserError(
                f"analysis '{name}', seeds: {{from, to}} follow the decision on {plan.deciding}, whose seeds are a "
                "fixed list; give a list here, or {from, to} there."
            )
    if not plan.looks:
        if "budget" in plan.config:
            raise UserError("config, budget: the seeds are a fixed list, which it cannot end; give seeds {from, to}.")
        return
    cells = [cell for cell in plan.cells if cell.analysis == plan.deciding and not parse_task(cell.task).variant]
    arms = {(cell.task, cell.model, cell.init) for cell in cells}
    both = {(task, model) for task, model, init in arms if init == "pretrained" and (task, model, "random") in arms}
    if not ANALYSES[plan.deciding].paired or not both:
        raise UserError(
            f"config, seeds: {{from, to}} end with the verdict on {plan.deciding}, which compares no pretrained arm "
            "with a random one on a plain task; name another under decide.analysis."
        )


# ---- analyses


def _check_truths(plan: Plan) -> None:
    """That what is said to be planted is compared somewhere in the study, once."""
    seen = set()
    for case in plan.truths:
        name, versus, analysis = case["model"], case["versus"], case["analysis"]
        where = f"config, truth of '{name}'"
        _check_known("analysis", [analysis], plan.config["analyses"], where)
        _check_known("reference", [versus], REFERENCES, where)
        _check_known("model", [name], plan.names_of(analysis), f"{where} in analysis '{analysis}'")
        arms = {cell.init for cell in plan.cells if (cell.analysis, cell.model) == (analysis, name)}
        others = {cell.init for cell in plan.cells if cell.analysis == analysis}
        # The mean is one of the baselines, which have one arm.
        asked = ("pretrained", "baseline" if versus == "mean" else versus)
        if missing := [arm for arm in asked if arm not in (others if arm == "baseline" else arms)]:
            raise UserError(
                f"{where}: analysis '{analysis}' has no arm '{missing[0]}' to compare; add it to its arms, or leave "
                "this truth out."
            )
        plain = any(not parse_task(task).variant for task in plan.config["analyses"][analysis]["tasks"])
        if not (plain and ANALYSES[analysis].paired):
            what = "has variants of tasks alone" if ANALYSES[analysis].paired else "compares no arms"
            raise UserError(f"{where}: analysis '{analysis}' {what}, so no verdict is of it; name another one.")
        if (name, versus, analysis) in seen:
            raise UserError(f"{where}: it is said twice of '{versus}' in '{analysis}'; leave one out.")
        seen.add((name, versus, analysis))


def _check_sections(plan: Plan, analysis: str, spec: Mapping[str, Any]) -> None:
    """What an analysis says of itself alone must be of what it does."""
    for section, rules in SECTIONS.items():
        if section in spec and ANALYSES[analysis].rule not in rules:
            fits = ", ".join(name for name, other in ANALYSES.items() if other.rule in rules)
            raise UserError(f"analysis '{analysis}': '{section}' is for {fits}; leave it out here.")
    _check_few(plan, analysis, spec)
    _check_bases(plan, analysis, spec)
    if ANALYSES[analysis].rule in SECTIONS["finetuning"]:
        _check_trained(plan, analysis, spec)
    if ANALYSES[analysis].rule == "explain":
        check_explaining(plan, analysis, spec)
    _check_folds(plan, spec.get("finetuning", {}), f"analyses.{analysis}.finetuning")
    _check_search(plan, spec.get("finetuning", {}), f"analyses.{analysis}.finetuning")
    _check_known("probe", plan.probing(analysis)["probes"], PROBES, f"config, analyses.{analysis}.probing.probes")
    _check_layers(plan, analysis, spec)
    names = plan.names_of(analysis)
    kind = ANALYSES[analysis]
    foreign = [name for name in names if plan.model(name).is_outside]
    if odd := [name for name in foreign if not plan.reads(analysis, name)]:
        why = f"it has no {kind.reads_outside}, which are" if kind.reads_outside else "its own weights are"
        raise UserError(f"analysis '{analysis}': '{odd[0]}' is from outside, and {why} read here; leave it out.")
    if not (kind.classifies or kind.predicts_effects or kind.probes_variants):
        if [name for name in spec.get("baselines", ()) if name not in foreign]:
            raise UserError(f"analysis '{analysis}': baselines join classifications only; leave them out here.")
        if odd := [name for name in names if plan.model(name).is_baseline and name not in foreign]:
            raise UserError(f"analysis '{analysis}': '{odd[0]}' has no weights, which are scored here; leave it out.")
    cheap = [name for name in spec.get("baselines", ()) if plan.model(name).is_baseline and name not in foreign]
    if not kind.predicts_effects and (odd := [name for name in cheap if not plan.reads(analysis, name)]):
        raise UserError(f"analysis '{analysis}': baseline '{odd[0]}' reads other sets; leave it out here.")
    if odd := [name for name in spec.get("baselines", ()) if not plan.may_tune(analysis, name)]:
        raise UserError(
            f"analysis '{analysis}': '{odd[0]}' reads sequences base by base; few rows of them are not drawn, and "
            "without validation ('choice: fixed') nothing tunes it; leave it out."
        )
    if twice := [name for number, name in enumerate(names) if name in names[:number]]:
        raise UserError(f"analysis '{analysis}': '{twice[0]}' stands twice in its models and baselines.")


def _check_bases(plan: Plan, analysis: str, spec: Mapping[str, Any]) -> None:
    if "corpus" not in spec:
        return
    if analysis != "bases":
        raise UserError(f"analysis '{analysis}': 'corpus' is for bases; leave it out here.")
    _check_known("corpus", [spec["corpus"]], plan.config["corpora"], f"analysis '{analysis}'")


def _check_few(plan: Plan, analysis: str, spec: Mapping[str, Any]) -> None:
    """That few training rows are drawn where that is asked for, of whole sets of classes, by heads that can."""
    for section, known in (("shots", ("fewshot", "fewshot_finetune")), ("retrieval", ("retrieval",))):
        if section in spec and analysis not in known:
            raise UserError(f"analysis '{analysis}': '{section}' is for {', '.join(known)}; leave it out here.")
    check_shots(plan, analysis, spec)
    if ANALYSES[analysis].rule == "finetune_shots" and "layers" in spec:
        raise UserError(f"analysis '{analysis}': the whole network is trained, so 'layers' says nothing; leave it out.")
    if analysis in FEW and spec.get("layers", "last") != "last" and plan.is_fixed(analysis):
        raise UserError(
            f"analysis '{analysis}', layers: nothing chooses among them; leave them out, or say 'choice: validation' "
            "under its probing."
        )
    if not (drawn := plan.drawn(analysis)):
        return
    if drawn["numbers"] != sorted(drawn["numbers"]):
        raise UserError(f"analysis '{analysis}', shots: numbers increase; write {sorted(drawn['numbers'])}.")
    settings = plan.probing(analysis)
    layered = spec.get("layers", "last") != "last" and drawn.get("head") != LEAVE_ONE_OUT
    if layered or settings.get("cv_folds") or settings.get("pca"):
        raise UserError(f"analysis '{analysis}': few rows have one head on the last layer; drop layers, pca, cv_folds.")


def _check_heads(plan: Plan, analysis: str, task: str, where: str) -> None:
    """That heads which nothing chooses are one, that they weigh rows which have weights, and that few can be drawn."""
    parts, probes = parse_task(task), plan.probes(analysis, task)
    if ANALYSES[analysis].rule == "probe" and plan.is_fixed(analysis) and len(probes) > 1:
        raise UserError(
            f"{where}: nothing chooses among its probes ({', '.join(probes)}); name one of them under probing, or say "
            "'choice: validation' there."
        )
    kinds = [*probes]
    for name in plan.config["analyses"][analysis].get("baselines", ()):
        kinds += plan.classifiers(name, task)
    odd = [kind for kind in kinds if kind not in plan.weighing(kinds, task)]
    if ANALYSES[analysis].rule == "probe" and odd:
        raise UserError(
            f"{where}: its rows have weights, and classifier '{odd[0]}' weighs none; take {', '.join(WEIGHING)}, or "
            "leave the task out."
        )
    if plan.drawn(analysis) and (parts.percent or parts.shots or plan.labels(task) != CLASSES):
        raise UserError(
            f"{where}: its training rows are drawn inside its jobs, class by class; name a task of classes, without "
            ".shotN and .pctN."
        )


def _check_layers(plan: Plan, analysis: str, spec: Mapping[str, Any]) -> None:
    """That layers are read where something reads them, that the networks have them, and that validation may choose."""
    if "layers" in spec and ANALYSES[analysis].rule not in LAYERED:
        fits = ", ".join(name for name, other in ANALYSES.items() if other.rule in LAYERED)
        raise UserError(f"analysis '{analysis}': 'layers' is for {fits}; leave it out here.")
    words = plan.layers(analysis)
    if words and plan.config["selection"] == "test":
        raise UserError(
            f"analysis '{analysis}', layers: selection 'test' reports the paper's one probe, on the last layer; use "
            "'layers: last' or 'selection: validation'."
        )
    for name in plan.names_of(analysis):
        depth = known_depth(plan.model(name).config)
        most = depth and depth + 1  # the last norm may have a state of its own; the job knows
        if most and (odd := [word for word in words if word != "all" and int(word) > most]):
            raise UserError(
                f"analysis '{analysis}', layers: '{name}' has {depth} layers (0 is its embedding), and no layer "
                f"{odd[0]}; correct its layers."
            )


def _check_arms(plan: Plan, analysis: str, spec: Mapping[str, Any], model: Model) -> None:
    cosine = analysis in ("similarity", "sensitivity") and model.family == "caduceus"
    if model.reading == "as_in_paper" and (ANALYSES[analysis].rule == "score_likelihood" or cosine):
        why = "its cosine code read Caduceus as published" if cosine else "likelihoods have no defect to show"
        raise UserError(f"analysis '{analysis}': '{model.name}' is not what the paper evaluated ({why}); drop .paper.")
    wanted = () if model.is_baseline or model.reading == "as_in_paper" else spec.get("arms", ())
    of_genes = ANALYSES[analysis].predicts_effects
    if odd := [arm for arm in spec.get("arms", ()) if not ANALYSES[analysis].may_have(arm)]:
        others = ", ".join(EFFECT_ARMS if of_genes else (*CONTROL_ARMS, *OTHER_CORPORA, SELF, "stepN"))
        raise UserError(f"analysis '{analysis}', arms: '{odd[0]}' is no control of what it compares ({others}).")
    if "pretrained" not in model.arms and (odd := [arm for arm in wanted if arm in CONTROL_ARMS]):
        raise UserError(
            f"analysis '{analysis}': arm '{odd[0]}' of '{model.name}' is made from pretrained weights, which this "
            "model does not have; leave one of them out."
        )
    if SELF in wanted:
        _check_self(plan, analysis, spec, model)
    for arm in (arm for arm in wanted if is_other_pretraining(arm) and arm != SELF):
        if model.source != "workflow" or model.of_cells:
            raise UserError(
                f"analysis '{analysis}': arm '{arm}' of '{model.name}' is pretrained by the workflow, and its "
                "pretrained arm is not; leave one of them out."
            )
        if steps_of(arm) >= (most := int(plan.pretraining(model.name)["steps"])):
            raise UserError(
                f"analysis '{analysis}': arm '{arm}' of '{model.name}', which is pretrained for {most} steps; name an "
                "earlier one, or the arm pretrained."
            )


def _check_self(plan: Plan, analysis: str, spec: Mapping[str, Any], model: Model) -> None:
    """That the arm `self` is asked for of a network that is run here, and of tasks whose training rows it may read."""
    where = f"analysis '{analysis}': arm '{SELF}'"
    if model.is_outside or model.of_cells or model.is_vectors:
        what = "is from outside" if model.is_outside else "reads no sequences"
        raise UserError(f"{where} of '{model.name}' is pretrained here on sequences, and that {what}; leave it out.")
    own = model.entry.get("pretraining") or {}
    said = {"steps", "self_steps"} & {*own} or "self_steps" in plan.config["pretraining"]
    if model.name not in plan.config["baselines"] and model.source != "workflow" and not said:
        raise UserError(
            f"{where} of '{model.name}' would take the study's {plan.config['pretraining']['steps']} steps, and its "
            "pretrained arm comes from elsewhere; say 'self_steps' under pretraining, or steps in a 'pretraining' of "
            "its own."
        )
    if plan.drawn(analysis):
        raise UserError(
            f"{where} would read all training rows, of which few are drawn here; leave it out, or name tasks .shotN in "
            "an analysis of fine-tuning."
        )
    for task in spec["tasks"]:
        reader = READERS.get(plan.task(task)["reader"])
        if reader and reader.makes not in ("classes", "transfer"):
            raise UserError(
                f"{where} is pretrained on training rows, and task '{task}' has none; leave one of them out."
            )
        if ANALYSES[analysis].embeds and parse_task(task).derivation not in ("", "permuted"):
            raise UserError(
                f"{where}: task '{task}' is embedded with the whole set of which it is derived, and has other training "
                "rows; leave one of them out."
            )


def _check_task(plan: Plan, analysis: str, task: str) -> None:
    """A task as an analysis names it: its entry, its qualifiers, its set, and the files of that."""
    base = parse_task(task).base_task
    _check_known("task", [base], plan.tasks, f"analysis '{analysis}'")
    spec, where = plan.config["analyses"][analysis], f"analysis '{analysis}', task '{task}'"
    unfit = [name for name in spec.get("baselines", ()) if plan.serves(name, task) and not plan.fits(name, task)]
    if odd := [name for name in unfit if not plan.model(name).is_of_halves]:
        if plan.model(odd[0]).family in GENOTYPES:
            raise UserError(
                f"{where}: baseline '{odd[0]}' reads genotypes, which sets of people alone have; leave it out."
            )
        raise UserError(
            f"{where}: baseline '{odd[0]}' reads one sequence per sample, and people have two; leave it out."
        )
    _check_heads(plan, analysis, task, where)
    _check_qualifiers(plan, analysis, task)
    _check_set(plan, analysis, base)
    for role, source in plan.sources(base).items():
        check_source(plan, source, f"task '{task}', source '{role}'")


def _check_qualifiers(plan: Plan, analysis: str, task: str) -> None:
    parts = parse_task(task)
    behind, where = words(task, parts.base_task), f"analysis '{analysis}', task '{task}'"
    derived = [word for word in behind if is_derivation(word)]
    budgets = [word for word in behind if is_budget(word)]
    if odd := [word for word in behind if word not in derived + budgets]:
        raise UserError(
            f"{where}: qualifier '.{odd[0]}' is none of .pctN, .shotN (drawn again: .pctNdK), .dedup, .distant, "
            ".matched, .permuted, .unrelated, .family and .epN or .epNpM."
        )
    if behind != derived + budgets or len(derived) > 1 or len(budgets) > 1:
        raise UserError(f"{where}: one derived set, then one number of epochs; write '{parts.base_task}.pct10.ep30'.")
    if (parts.percent or 0) > 100:
        raise UserError(f"{where}: a share of the training set is at most 100 %; correct '.{derived[0]}'.")
    if budgets and not ANALYSES[analysis].budgeted:
        raise UserError(f"{where}: nothing is fine-tuned here, so leave '.{budgets[0]}' out.")
    if derived and not (ANALYSES[analysis].classifies or ANALYSES[analysis].predicts_effects):
        raise UserError(f"{where}: derived sets are for classifications; leave '.{derived[0]}' out.")
    if derived and (parts.shots or parts.derivation == "matched") and plan.labels(task) != CLASSES:
        raise UserError(
            f"{where}: '.{derived[0]}' draws rows of each class, and labels of metric '{plan.task(task)['metric']}' "
            f"are {plan.labels(task)}; leave it out."
        )
    if parts.derivation in ("unrelated", "family") and "families" not in plan.sources(task):
        raise UserError(f"{where}: relatives are known from a pedigree; add families=... to the task's sources.")


def _check_set(plan: Plan, analysis: str, task: str) -> None:
    """Whether an analysis reads the sets of a task's reader, and whether that has the sources and options it needs."""
    row, where = plan.tasks[task], f"analysis '{analysis}', task '{task}'"
    _check_known("reader", [row["reader"]], READERS, where)
    reader = READERS[row["reader"]]
    fits = [name for name, other in READERS.items() if other.makes in ANALYSES[analysis].sets]
    if row["reader"] not in fits:
        raise UserError(f"{where}: this analysis reads sets of {', '.join(fits)}, not of {row['reader']}.")
    if "classes" in ANALYSES[analysis].sets:
        _check_labels(plan, analysis, task, where)
    sources = plan.sources(task)
    for role, source in sources.items():
        if (source.partition(":")[0] == "task") != (row["reader"] == "transfer"):
            raise UserError(
                f"{where}: '{role}={source}' does not fit: sources of the reader transfer are 'task:NAME', and of "
                "no other reader."
            )
        if not reader.knows(role):
            raise UserError(f"{where}: " + unknown("source", role, reader.sources))
    if missing := reader.missing(sources):
        raise UserError(f"{where}: reader '{row['reader']}' needs the source '{missing[0]}'; add {missing[0]}=....")
    options = dict(read_pairs(row["options"]))
    _check_known("option", options, reader.options, where)
    if not (rows := options.get("target_rows", "0")).isdecimal():  # the plan reads it
        raise UserError(f"{where}: target_rows={rows} is no whole number of rows; correct it.")
    if (
        row["reader"] == "transfer"
        and plan.source_of_transfer(task)["weighting"]
        and ANALYSES[analysis].rule != "probe"
    ):
        raise UserError(
            f"{where}: its rows have weights, which probes alone read; list it under an analysis of probes."
        )


def _check_labels(plan: Plan, analysis: str, task: str, where: str) -> None:
    """That the metric of a task scores the kind of labels that its reader makes, and the analysis learns these."""
    row, kind = plan.tasks[task], plan.labels(task)
    metric, rule = row["metric"], ANALYSES[analysis].rule
    if ANALYSES[analysis].classifies and metric not in LEARNED_METRICS:
        lower = labels_of(metric) and "is better the lower it is, and judges no task"
        fits = ", ".join(name for name in LEARNED_METRICS if not lower or name in LABELS[kind])
        raise UserError(f"{where}: metric '{metric}' {lower or 'is none of classes, values or tracks'} ({fits}).")
    if not ANALYSES[analysis].classifies and kind != CLASSES:
        raise UserError(
            f"{where}: {rule.replace('_', ' ')} sets embeddings beside classes, and metric '{metric}' is of {kind}; "
            "leave the task out."
        )
    reader = READERS[row["reader"]]
    made = reader.label_kind(dict(read_pairs(row["options"])))
    if "label_kind" in reader.options:
        _check_known("label_kind", [made], reader.labels, where)
    if row["reader"] == "transfer":
        read = [source.partition(":")[2] for source in plan.sources(task).values()]
        made = next((plan.labels(name) for name in read if name in plan.tasks and plan.labels(name) != kind), kind)
    if made != kind:
        mend = f"say label_kind={kind} among its options" if "label_kind" in reader.options else "take another task"
        fits = ", ".join(name for name in LABELS[made] if name in LEARNED_METRICS)
        raise UserError(
            f"{where}: metric '{metric}' is of {kind}, and reader '{row['reader']}' makes {made} here; {mend}, or a "
            f"metric of {made} ({fits})."
        )
    if rule == "probe" and not plan.probes(analysis, task):
        raise UserError(
            f"{where}: none of the probes ({', '.join(plan.probing(analysis)['probes'])}) learns {kind}; add one that "
            f"does ({', '.join(name for name in PROBES if kind in CLASSIFIERS[name].serves)})."
        )
