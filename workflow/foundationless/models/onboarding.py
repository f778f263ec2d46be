"""A model on trial: from a published checkpoint to its entry, and from a study to the same study of it alone."""

import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foundationless.errors import UserError
from foundationless.models.architectures import native
from foundationless.models.checkpoints.files import CONFIG
from foundationless.models.hub import Description, describe_directory, describe_repository
from foundationless.models.inventory import describe
from foundationless.models.known import Known, check_known, weight_checksums
from foundationless.models.registry import family_class
from foundationless.models.tokenizers import PUBLISHED, VOCABULARIES, Tokenizer, load_tokenizer, tokenizer_files
from foundationless.models.weights import CARD, PIECE_FILE, load_checkpoint, load_weights, parse_config
from foundationless.runtime.log import tell
from foundationless.study import families
from foundationless.study.config import read_yaml
from foundationless.study.families import PIECES, TOKENIZERS
from foundationless.study.names import parse_model
from foundationless.study.own.keep import keep_study
from foundationless.study.plan import main_analysis
from foundationless.study.price.memory import LARGEST_KEPT, LARGEST_WHOLE
from foundationless.study.vocabulary import ANALYSES, FEWEST_SEEDS, OF_EFFECTS, SELF, is_other_pretraining

# Analyses that compare variants of an architecture: a published checkpoint has one tokenizer and one width.
VARIANTS = ("tokenizer", "width")
# A rate at which published checkpoints are fine-tuned (the paper sweeps 1e-5 to 3e-4); miniatures need larger ones.
LEARNING_RATE = 3.0e-5
MOST_SEEDS = 10  # of a trial
# Rows that an embedding table may have beyond the ids of a tokenizer whose tokens are declared here, and of one that is
# read from a file: published tables are padded to a multiple. What the checkpoint itself brings may have any number.
_PADDING, _PADDING_OF_FILES = 8, 128
# What two tokenizers are compared by.
_PROBES = ("", "ACGTTGCAAGGCCTTAACGTACGATCGATTACAN", "acgtNNNACGTRYA")
_DRAWN = 3000  # nucleotides
_LONGEST_LABEL = 24
# Rules of analyses that read logits.
_OF_LOGITS = ("score_likelihood", "score_mutagenesis")
# Families written here for speed, of which `transformers` has forms that they do not.
_ALSO_NATIVE = ("mistral", "nt_v1")


def recognise(config: Mapping[str, Any], where: Path | str = CONFIG) -> str:
    """The architecture family that a published `config.json` is of; `UserError` where no family is known to be.

    `where` is its path, for the sentence.
    """
    family = families.recognise(config)
    if family and not (family in _ALSO_NATIVE and _needs_native(family, config)):
        return family
    if reason := families.why_not_read(config):
        raise UserError(
            f"{where}: {reason}; give an implementation of your own with --family PATH.py:Class, or bring its vectors "
            "as an arm from outside."
        )
    said = config.get("model_type") or ", ".join(map(str, config.get("architectures") or ())) or "nothing"
    if isinstance(said, str) and said in native.TYPES:
        if foreign := native.foreign_class(config):
            raise UserError(
                f"{where}: it asks for {foreign}, which is code of its repository, and no such code is run; name "
                f"--family transformers where {native.TYPES[said].head} of `transformers` is the same function."
            )
        return "transformers"
    published = ", ".join(name for name, row in families.FAMILIES.items() if row.sign or name == "transformers")
    raise UserError(
        f"{where}: no family is known by it (it calls itself {said!r:.60}); name one with --family: {published}, or "
        f"PATH.py:Class for one of your own; `transformers` are the model_types {', '.join(native.TYPES)}."
    )


def _needs_native(family: str, config: Mapping[str, Any]) -> bool:
    """Whether the configuration asks for what `transformers` has and the family does not."""
    try:
        family_class(family).check_config(config)
    except UserError as error:
        if "is not implemented" not in str(error):
            return False
        try:
            family_class("transformers").check_config(config)
        except UserError:
            return False
        return True
    return False


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
    if (tokenizer or network.tokenizer) not in TOKENIZERS:
        raise UserError(f"no tokenizer '{tokenizer}'; the tokenizers are {', '.join(TOKENIZERS)}.")
    settings = network.settings(network.check_config(config))
    facts = describe(family, settings)
    found = _find_tokenizer(network, settings, tokenizer, published.directory)
    tokenizer = found.name
    pinned = {"revision": published.revision} if published.revision else {}
    entry = {
        "label": label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…",
        "family": family,
        "tokenizer": tokenizer,
        "tokenizer_class": {None: "bpe", 1: "character"}.get(found.k, "kmer"),
        "objective": facts["objective"],
        "max_tokens": facts["limit"],
        "parameters": facts["parameters"],
        "arms": ["pretrained", "random"],
        "config": settings,
        "pretrained": {**source, **pinned, **({"sha256": published.sha256} if published.sha256 else {})},
        **({"licence": published.licence} if published.licence else {}),
    }
    if tokenizer == PUBLISHED:
        entry["nucleotides_per_token"] = _nucleotides(found)
    if tokenizer in (*PIECES, PUBLISHED):
        file = PIECE_FILE if tokenizer in PIECES else ""
        local = {"path": str(published.directory / file)} if source["source"] == "local" else {}
        entry["tokenizer_file"] = {**source, **pinned, **local}
    return entry


def meet(address: str, local: bool, asked: Any, label: str) -> tuple[dict[str, Any], "Introduction"]:
    """Entry and introduction of a checkpoint at OWNER/NAME of the hub, or in a directory (`local`).

    `asked` has `revision`, `family`, `tokenizer` and `mirror`, each perhaps None, and perhaps `cache`.
    """
    if local:
        source = {"source": "local", "path": address}
        published = describe_directory(Path(address))
    else:
        source = {"source": "hub", "repository": address}
        held = asked.mirror / "huggingface.co" if asked.mirror else None
        local_hub = held if held and (held / address).is_dir() else None
        published = describe_repository(address, asked.revision, getattr(asked, "cache", None), local_hub)
    entry = describe_model(source, published, asked.family, asked.tokenizer, label)
    return entry, introduce(entry, published)


def join_study(study: Mapping[str, Any], given: str, asked: Any) -> dict[str, Any]:
    """A study of own data with a published model in place of its own ones; what is said of it goes to the log."""
    address = str(Path(given).resolve()) if Path(given).is_dir() else given
    entry, first = meet(address, Path(given).is_dir(), asked, address.rpartition("/")[2])
    trial, remarks = put_on_trial(study, name_of(address), entry, first.has_head)
    for sentence in (*first.sentences, *remarks):
        tell(sentence)
    own = {"study": study["study"], "title": f"{study['title']}, {entry['label']} among them"}
    return trial | own | {"corpora": {}}


@dataclass(frozen=True)
class Introduction:
    """What is said of a checkpoint before it is tried: sentences, and whether it has a vocabulary head."""

    sentences: tuple[str, ...]
    has_head: bool


def introduce(entry: Mapping[str, Any], published: Description) -> Introduction:
    """Family, tokenizer, sizes and licence of a model of `describe_model`, and what it lacks and leaves out.

    Where its tensors are known they are loaded without their numbers: one that is missing, of another shape or of no
    use to the family is a `UserError`.
    """
    family, settings = entry["family"], entry["config"]
    network, tokenizer = family_class(family), load_tokenizer(entry["tokenizer"], published.directory)
    kind = f"family '{family}'" + (f" (model_type '{settings['model_type']}')" if family == "transformers" else "")
    licence = f"licence {published.licence}, by its card" if published.licence else "its card states no licence"
    said = [
        f"{entry['label']}: {kind}, tokenizer '{tokenizer.name}' ({entry['tokenizer_class']}, {tokenizer.size:,} ids), "
        f"{entry['objective']}, {entry['parameters']:,} parameters, inputs of up to {entry['max_tokens']:,} tokens; "
        f"{licence}."
    ]
    if unread := network.unread(_read_config(published.directory / CONFIG)):
        said.append(f"Keys of its {CONFIG} that its class does not read: {_few(unread)}.")
    if published.outlines is None:
        said.append("Its tensors are looked at when its weights are there.")
        return Introduction(tuple(said), has_head=True)
    where = str(published.directory)
    model = network.foresee(network.check_config(settings), published.outlines, where)
    if model.left_out:
        said.append(f"Left out, for no state and no logit depends on it: {_few(model.left_out)}.")
    if not model.has_head:
        said.append("It has no vocabulary head: it is fine-tuned and embedded, and gives no likelihoods.")
    return Introduction(tuple(said), model.has_head)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _read_config(path: Path) -> dict[str, Any]:
    """A checkpoint's configuration; a broken one is its owner's, who would not want to be told to delete it."""
    try:
        json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid JSON ({error}); mend it, or give another checkpoint.") from None
    except (OSError, ValueError, RecursionError):
        pass  # `parse_config` has a sentence for them
    return parse_config(str(path))


def _find_tokenizer(network: Any, settings: Mapping[str, Any], name: str | None, directory: Path) -> Tokenizer:
    """The tokenizer of that name, if it fits; without a name, the family's, or the one in the checkpoint's own files.

    The checkpoint's own goes first where the two do not give the same ids.
    """
    with torch.device("meta"):
        rows = network(settings).vocabulary_size

    def load(name: str) -> Tokenizer:
        tokenizer = load_tokenizer(name, directory)
        _check_vocabulary(tokenizer, rows, directory)
        network.check_tokenizer(settings, tokenizer)
        return tokenizer

    if name or network.tokenizer == PUBLISHED:
        return load(name or PUBLISHED)
    try:
        own = load(network.tokenizer)
    except UserError as error:
        try:
            return load(PUBLISHED)
        except UserError as other:
            files = [path.name for path in tokenizer_files(PUBLISHED, directory)]
            raise (error if PIECE_FILE in files or not {*VOCABULARIES} & {*files} else other) from None
    try:
        published = load(PUBLISHED)
    except UserError:
        return own
    same = all(own.encode(probe).tolist() == published.encode(probe).tolist() for probe in _PROBES)
    return own if same else published


def _nucleotides(tokenizer: Tokenizer) -> float:
    """Nucleotides that a token is worth in a long sequence: what a price is made of."""
    drawn = "".join(np.random.default_rng(0).choice(list("ACGT"), _DRAWN))
    return round(_DRAWN / max(1, len(tokenizer.encode(drawn, special=False))), 2)


def _check_vocabulary(tokenizer: Tokenizer, rows: int, directory: Path) -> None:
    """Raise `UserError` where the embedding table was made for other tokens than the tokenizer's."""
    name = tokenizer.name
    if name == PUBLISHED and tokenizer.size > rows:
        files = ", ".join(path.name for path in tokenizer_files(name, directory))
        raise UserError(
            f"{directory / CONFIG}: it has {rows} tokens, and the tokenizer beside it ({files}) has {tokenizer.size}; "
            "give the files that belong together."
        )
    more = rows + 1 if name == PUBLISHED else _PADDING_OF_FILES if name in PIECES else _PADDING
    if not tokenizer.size <= rows < tokenizer.size + more:
        raise UserError(
            f"{directory / CONFIG}: it has {rows} tokens, and tokenizer '{name}' has {tokenizer.size}; name the "
            f"checkpoint's own with --tokenizer, if it is one of {', '.join(TOKENIZERS)}."
        )


def check_embedding(directory: Path, known: Sequence[Known], family: str | None = None) -> tuple[str, dict[str, Any]]:
    """`check_known` of a weight directory, or of a checkpoint in published layout, as it lies there.

    `family`: of a checkpoint; that which its config.json is known by where it is None.
    """
    if (directory / CARD).is_file():
        weights = load_weights(directory)
        if weights.card["reading"] != "published" or weights.card["init"] != "pretrained":
            raise UserError(f"{directory}: not the weights of a published checkpoint, read as published.")
        hashes = weights.card.get("published_sha256", "")
        checksums = [str(digest) for digest in (hashes.values() if isinstance(hashes, dict) else [hashes])]
        return check_known(
            known, weights.model, weights.tokenizer, str(weights.card["source"]), checksums, str(directory)
        )
    if not directory.is_dir():
        raise UserError(f"{directory}: no such directory; give that of a checkpoint, with its {CONFIG}.")
    config = _read_config(directory / CONFIG)
    family = family or recognise(config, directory / CONFIG)
    network = family_class(family)
    model = load_checkpoint(directory, family)
    try:
        tokenizer = _find_tokenizer(network, network.settings(config), None, directory)
    except UserError:
        tokenizer = None  # an embedding of token ids needs none
    # The hub's cache calls the directory of a revision by its hash, and its repository's by `models--OWNER--NAME`.
    owner = next((part[8:].replace("--", "/", 1) for part in directory.parts if part.startswith("models--")), "")
    source = f"{owner}@{directory.name}"
    return check_known(known, model, tokenizer, source, weight_checksums(directory, known), str(directory))


def put_on_trial(
    study: Mapping[str, Any], name: str, entry: Mapping[str, Any], has_head: bool = True
) -> tuple[dict[str, Any], list[str]]:
    """The study with this model alone and the study's baselines, and a sentence for everything else that is changed.

    What an analysis did with models that it named, it does with this one; `VARIANTS` are left out, and without a
    vocabulary head what reads logits.
    """
    if name in {parse_model(stem).base for stem in study["baselines"]}:
        raise UserError(f"model '{name}': a baseline of the study has that name; give another with --name.")
    trial = copy.deepcopy(dict(study))
    where = entry["pretrained"].get("repository") or Path(entry["pretrained"]["path"]).name
    if "revision" in entry["pretrained"]:
        where += f" at {entry['pretrained']['revision']}"
    remarks = []
    trial["analyses"] = {what: spec for what, spec in trial["analyses"].items() if what not in OF_EFFECTS}
    if lost := [what for what in study["analyses"] if what in OF_EFFECTS]:
        remarks.append(f"Left out: the analyses {', '.join(lost)}, of gene perturbations, for which no genes are cut.")
    for spec in trial["analyses"].values():  # its steps would have to be said
        spec |= {"arms": [arm for arm in spec["arms"] if arm != SELF]} if "arms" in spec else {}
    anew = [name for name, spec in trial["analyses"].items() if any(map(is_other_pretraining, spec.get("arms", ())))]
    if anew:
        remarks.append(f"Left out: {' and '.join(anew)}, for which a model is pretrained anew.")
    analyses = {what: spec for what, spec in trial["analyses"].items() if what not in {*VARIANTS, *anew}}
    variants = [model for spec in analyses.values() for model in spec.pop("models", ()) if model not in study["models"]]
    if lost := [what for what in trial["analyses"] if what in VARIANTS]:
        remarks.append(f"Left out: the analyses {' and '.join(lost)}, of variants that no published checkpoint has.")
    reading = [what for what in analyses if ANALYSES[what].rule in _OF_LOGITS] if not has_head else []
    if reading:
        analyses = {what: spec for what, spec in analyses.items() if what not in reading}
        remarks.append(f"Left out: the analyses {' and '.join(reading)}, for the checkpoint has no vocabulary head.")
    if variants:
        remarks.append(f"Left out: {', '.join(dict.fromkeys(variants))}, whose analyses have the model as it is alone.")
    remarks += _match_baselines(trial, name, entry)
    rates = trial["finetuning"]["learning_rates"]
    if min(rates) > LEARNING_RATE:
        trial["finetuning"]["learning_rates"] = [LEARNING_RATE, *rates]
        remarks.append(
            f"Learning rate {LEARNING_RATE:g} is tried too, for both arms: published weights need small ones."
        )
    remarks += _fit_device(trial, entry)
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


def _fit_device(trial: dict[str, Any], entry: Mapping[str, Any]) -> list[str]:
    """Let a model that is too large to be trained as it is be trained otherwise; a choice of the study stays."""
    chosen = trial["finetuning"]
    if entry["parameters"] <= LARGEST_KEPT or {"trainable", "gradient_checkpointing"} & chosen.keys():
        return []
    trial["finetuning"] = {**chosen, "precision": "bf16", "gradient_checkpointing": True}
    if entry["parameters"] <= LARGEST_WHOLE:
        return [
            "In fine-tuning it computes in bfloat16, and its blocks once more in the backward pass, to fit one GPU of "
            "80 GB."
        ]
    trial["finetuning"] |= {"trainable": "lora", "weight_precision": "bf16"}
    return [
        f"Its {entry['parameters'] / 1e9:.1f} billion parameters are too many to be trained whole on one GPU of 80 GB: "
        "low-rank adapters are trained, in both arms alike, and the rest is kept, and computed with, in bfloat16."
    ]


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


def write_trial(
    study: Mapping[str, Any],
    name: str,
    entry: Mapping[str, Any],
    mirror: Path | None,
    output: Path,
    has_head: bool = True,
) -> list[str]:
    """Write the study (of `read_base`) with this model on trial, checked as a whole; returns `put_on_trial`'s words.

    `output` may hold the very same study already; `UserError` where it holds another one.
    """
    trial, remarks = put_on_trial(study, name, entry, has_head)
    if mirror is not None:
        trial["mirror"] = str(mirror)
    keep_study(trial, output, "enter_model", _hint)
    return remarks


def _hint(held: Any) -> str:
    pinned = _pinned(held)
    return f"it holds {pinned}; give that --revision to go on with it, or" if pinned else "delete it, or"


def _pinned(study: Any) -> str | None:
    """Revision of the first model of a study that has one."""
    models = study.get("models") if isinstance(study, Mapping) else None
    for entry in (models if isinstance(models, Mapping) else {}).values():
        if isinstance(entry, Mapping) and (revision := (entry.get("pretrained") or {}).get("revision")):
            return f"revision {revision}"
    return None
