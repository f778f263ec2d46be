"""A model on trial: from a published checkpoint to its entry, and from a study to the same study of it alone."""

import copy
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from foundationless.errors import UserError
from foundationless.models.hub import Description
from foundationless.models.inventory import describe
from foundationless.models.registry import family_class
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import CONFIG, PIECE_FILE, parse_config
from foundationless.runtime.files import atomic_path
from foundationless.study import families
from foundationless.study.checks import read_study
from foundationless.study.config import check_schema, read_schema, read_yaml, yaml_text
from foundationless.study.families import PIECES, TOKENIZERS
from foundationless.study.names import parse_model
from foundationless.study.plan import main_analysis
from foundationless.study.vocabulary import FEWEST_SEEDS

# Analyses that compare variants of an architecture: a published checkpoint has one tokenizer and one width.
VARIANTS = ("tokenizer", "width")
# A rate at which published checkpoints are fine-tuned (the paper sweeps 1e-5 to 3e-4); miniatures need larger ones.
LEARNING_RATE = 3.0e-5
MOST_SEEDS = 10  # of a trial
# Rows that an embedding table may have beyond the tokenizer's ids: published ones are padded to a multiple of 8.
_PADDING = 8
_LONGEST_LABEL = 24


def recognise(config: Mapping[str, Any], where: Path | str = CONFIG) -> str:
    """The architecture family that a published `config.json` is of; `UserError` where no family is known to be.

    `where` is its path, for the sentence.
    """
    if family := families.recognise(config):
        return family
    said = config.get("model_type") or ", ".join(map(str, config.get("architectures") or ())) or "nothing"
    published = ", ".join(name for name, row in families.FAMILIES.items() if row.sign)
    raise UserError(
        f"{where}: no family is known by it (it calls itself {said!r:.60}); name one with --family: {published}, or "
        "PATH.py:Class for one of your own."
    )


def name_of(address: str) -> str:
    """A model's name made of the last part of OWNER/NAME or of a path: letters and digits, from a letter on."""
    name = re.sub("[^a-z0-9]", "", address.rstrip("/").rpartition("/")[2].lower()).lstrip("0123456789")
    if not name:
        raise UserError(f"'{address}': no name can be made of it; give one with --name.")
    return name


def describe_model(
    source: Mapping[str, str], published: Description, family: str | None, tokenizer: str | None, label: str
) -> dict[str, Any]:
    """The entry of a model table for a published checkpoint.

    `source` says where it is (`source: hub` with its repository, or `source: local` with its path); `family` and
    `tokenizer` are those that its `config.json` and its family speak of where they are None. Every value that is not
    implemented, and a tokenizer that is not the checkpoint's, is a `UserError` now and not after an hour.
    """
    path = published.directory / CONFIG
    config = _read_config(path)
    family = family or recognise(config, path)
    network = family_class(family)
    tokenizer = tokenizer or network.tokenizer
    if tokenizer not in TOKENIZERS:
        raise UserError(f"no tokenizer '{tokenizer}'; the tokenizers are {', '.join(TOKENIZERS)}.")
    settings = network.settings(network.check_config(config))
    facts = describe(family, settings)
    _check_vocabulary(network, settings, tokenizer, published.directory)
    pinned = {"revision": published.revision} if published.revision else {}
    entry = {
        "label": label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…",
        "family": family,
        "tokenizer": tokenizer,
        "tokenizer_class": TOKENIZERS[tokenizer],
        "objective": facts["objective"],
        "max_tokens": facts["limit"],
        "parameters": facts["parameters"],
        "arms": ["pretrained", "random"],
        "config": settings,
        "pretrained": {**source, **pinned, **({"sha256": published.sha256} if published.sha256 else {})},
    }
    if tokenizer in PIECES:
        local = {"path": str(published.directory / PIECE_FILE)} if source["source"] == "local" else {}
        entry["tokenizer_file"] = {**source, **pinned, **local}
    return entry


def _read_config(path: Path) -> dict[str, Any]:
    """A checkpoint's configuration; a broken one is its owner's, who would not want to be told to delete it."""
    try:
        json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid JSON ({error}); mend it, or give another checkpoint.") from None
    except (OSError, ValueError, RecursionError):
        pass  # `parse_config` has a sentence for them
    return parse_config(str(path))


def _check_vocabulary(network: Any, settings: Mapping[str, Any], name: str, directory: Path) -> None:
    """Raise `UserError` where the embedding table was made for other tokens than the tokenizer's."""
    tokenizer = load_tokenizer(name, directory)
    with torch.device("meta"):
        rows = network(settings).vocabulary_size
    if not tokenizer.size <= rows < tokenizer.size + _PADDING:
        raise UserError(
            f"{directory / CONFIG}: it has {rows} tokens, and tokenizer '{name}' has {tokenizer.size}; name the "
            f"checkpoint's own with --tokenizer, if it is one of {', '.join(TOKENIZERS)}."
        )
    network.check_tokenizer(settings, tokenizer)


def put_on_trial(study: Mapping[str, Any], name: str, entry: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The study with this model alone and the study's baselines, and a sentence for everything else that is changed.

    What an analysis did with models that it named, it does with this one; `VARIANTS` are left out.
    """
    if name in {parse_model(stem).base for stem in study["baselines"]}:
        raise UserError(f"model '{name}': a baseline of the study has that name; give another with --name.")
    trial = copy.deepcopy(dict(study))
    where = entry["pretrained"].get("repository") or Path(entry["pretrained"]["path"]).name
    if "revision" in entry["pretrained"]:
        where += f" at {entry['pretrained']['revision']}"
    remarks = []
    analyses = {what: spec for what, spec in trial["analyses"].items() if what not in VARIANTS}
    variants = [model for spec in analyses.values() for model in spec.pop("models", ()) if model not in study["models"]]
    if lost := [what for what in trial["analyses"] if what in VARIANTS]:
        remarks.append(f"Left out: the analyses {' and '.join(lost)}, of variants that no published checkpoint has.")
    if variants:
        remarks.append(f"Left out: {', '.join(dict.fromkeys(variants))}, whose analyses have the model as it is alone.")
    remarks += _match_baselines(trial, name, entry)
    rates = trial["finetuning"]["learning_rates"]
    if min(rates) > LEARNING_RATE:
        trial["finetuning"]["learning_rates"] = [LEARNING_RATE, *rates]
        remarks.append(
            f"Learning rate {LEARNING_RATE:g} is tried too, for both arms: published weights need small ones."
        )
    remarks += _add_seeds(trial, analyses)
    notes = (
        f"{where}, as published, on the tasks and subsets of the study '{study['study']}', whose config says what they "
        "are. Nothing is known here of what it was pretrained on: test sequences may be among it."
    )
    trial |= {
        "study": f"trial_{name}",
        "title": f"{entry['label']} on trial",
        "notes": " ".join([notes, *remarks]),
        "models": {name: dict(entry)},
        "analyses": analyses,
    }
    return trial, remarks


def _add_seeds(trial: dict[str, Any], analyses: Mapping[str, Any]) -> list[str]:
    """Give the analysis of the verdict seeds until it is decided, and say so; a study's own looks stay."""
    main = main_analysis({"analyses": analyses})
    if main not in analyses or isinstance(analyses[main].get("seeds", trial["seeds"]), Mapping):
        return []
    analyses[main]["seeds"] = {"from": FEWEST_SEEDS, "to": MOST_SEEDS}
    trial["decide"] = {**trial.get("decide", {}), "analysis": main}
    return [
        f"The analysis {main} has {FEWEST_SEEDS} to {MOST_SEEDS} seeds: after each it is looked whether the verdict is "
        "decided."
    ]


def _match_baselines(trial: dict[str, Any], name: str, entry: Mapping[str, Any]) -> list[str]:
    """Make baselines that are as large as a model as large as this one; a sentence for those that cannot be."""
    table, remarks = read_yaml(trial["tables"]["models"]), []
    renamed: dict[str, str | None] = {}
    for stem, own in [(stem, own) for stem, own in trial["baselines"].items() if "match" in own]:
        base = parse_model(stem).base
        kind = {**table.get(base, {}), **own}
        renamed[stem] = size = f"{base}.{name.replace('.', '')}"
        del trial["baselines"][stem]
        try:
            families.matched(size, kind, kind["config"], entry["parameters"])
            trial["baselines"][size] = {**own, "match": name}
        except UserError as error:
            renamed[stem] = None
            remarks.append(f"Left out: {stem} ({error})")
    for spec in trial["analyses"].values():
        if "baselines" in spec:
            names = [renamed.get(stem, stem) for stem in spec["baselines"]]
            spec["baselines"] = list(dict.fromkeys(filter(None, names)))
    return remarks


def read_base(study: Path) -> dict[str, Any]:
    """The study in a file, into which a model is put; `UserError` where the file holds none."""
    config = read_yaml(study)
    check_schema(config, read_schema("config"), str(study))
    return dict(config)


def write_trial(
    study: Mapping[str, Any], name: str, entry: Mapping[str, Any], mirror: Path | None, output: Path
) -> list[str]:
    """Write the study (of `read_base`) with this model on trial, checked as a whole; returns `put_on_trial`'s words.

    `output` may hold the very same study already; `UserError` where it holds another one.
    """
    trial, remarks = put_on_trial(study, name, entry)
    if mirror is not None:
        trial["mirror"] = str(mirror)
    read_study(trial)
    if output.is_file():
        held = read_yaml(output)
        if held == trial:
            return remarks
        pinned = _pinned(held)
        hint = f"it holds {pinned}; give that --revision to go on with it, or" if pinned else "delete it, or"
        raise UserError(f"{output}: exists already and says something else; {hint} give another --name.")
    output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(output) as part:
        part.write_text(f"# Written by `python -m foundationless enter_model`.\n{yaml_text(trial)}")
    return remarks


def _pinned(study: Any) -> str | None:
    """Revision of the first model of a study that has one."""
    models = study.get("models") if isinstance(study, Mapping) else None
    for entry in (models if isinstance(models, Mapping) else {}).values():
        if isinstance(entry, Mapping) and (revision := (entry.get("pretrained") or {}).get("revision")):
            return f"revision {revision}"
    return None
