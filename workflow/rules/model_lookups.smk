def get_family_flags(wildcards):
    model = study.model(wildcards.model)
    return ["--family", model.family, "--reading", model.reading]


def get_model_flags(wildcards, output):
    config = json.dumps(dict(study.model(wildcards.model).config), sort_keys=True)
    return [*get_family_flags(wildcards), "--config", config]


def get_recorded(get_flags):
    """The param that stands for these flags, with what `--reading published` was called when recipes were last raised.

    The flags read `output`, so derived to Snakemake, which records this param alone: weights of that time are complete.
    With the next raise of the recipes of initialise, download_weights and import_weights it goes, and so does `output`.
    """
    before = {"--reading": "--protocol", "published": "corrected", "as_in_paper": "paper"}

    def get(wildcards):
        return [before.get(word, word) for word in get_flags(wildcards, None)]

    return get


def get_family_files(wildcards):
    """The file of an architecture of the user's own: editing it makes its weights anew."""
    family = study.model(wildcards.model).family
    return [family.rpartition(":")[0]] if ":" in family else []


def get_checkpoint_flags(wildcards, output):
    """What a published checkpoint is, and the bytes that it must have."""
    model = study.model(wildcards.model)
    pretrained = model.entry["pretrained"]
    flags = [*get_family_flags(wildcards), "--tokenizer", model.tokenizer]
    published = pretrained["source"] != "workflow" and pretrained.get("sha256")
    if not published:
        return flags
    hashes = [published] if isinstance(published, str) else [f"{name}={published[name]}" for name in sorted(published)]
    return [*flags, "--sha256", *hashes]


def get_hub_flags(wildcards, output, key="pretrained"):
    """The mirror, where it has the repository (see `get_mirror_flags` for `output`)."""
    place = Path(config["mirror"] or ".") / "huggingface.co"
    model = study.model(wildcards.model)
    repository = (model.tokenizer_file if key == "tokenizer_file" else model.entry[key])["repository"]
    held = config["mirror"] and (place / repository).is_dir()
    return ["--local-hub", str(place)] if held else []


def get_published_directory(wildcards):
    """A checkpoint on this machine; under the reading `as_in_paper` perhaps the weights that the workflow made itself."""
    pretrained = study.model(wildcards.model).entry["pretrained"]
    if pretrained["source"] == "local":
        return pretrained["path"]
    return f"results/weights/{study.model(wildcards.model).published}/pretrained/seed0"


def get_tracked(path):
    """A user's path as an input; one with braces would be read as wildcards: its rule finds it by a param, unwatched."""
    return [] if "{" in path or "}" in path else path


def get_published(wildcards):
    directory, source = get_published_directory(wildcards), get_pretrained(wildcards, "source")
    return f"{directory}/weights.json" if source == "workflow" else get_tracked(directory)


def get_weights(wildcards):
    seed = study.weight_seed(wildcards.init, int(wildcards.seed))
    place = names.place_of_weights(wildcards.model, wildcards.init, seed, getattr(wildcards, "task", ""))
    return f"results/weights/{place}/weights.json"


def get_other_pretraining():
    """Where the arms of the study that are pretrained as controls lie among all weights."""
    cells = [cell for cell in study.cells if vocabulary.is_other_pretraining(cell.init)]
    return list(dict.fromkeys(names.place_of_weights(cell.model, cell.init, 0, cell.task) for cell in cells))


def get_pretrained(wildcards, key):
    return study.model(wildcards.model).entry["pretrained"][key]


def get_constraint(names):
    """A pattern of these names (one that matches nothing if there are none)."""
    return "|".join(map(re.escape, names)) or "none^"


def get_tokenizer_file(wildcards, key):
    return study.model(wildcards.model).tokenizer_file[key]


def get_tokenizer_name(wildcards):
    return study.model(wildcards.model).tokenizer


def get_tokenizer_files(wildcards):
    """The file of pieces that a byte-pair tokenizer needs, what holds the files of a published one, the vocabulary of
    one of cells, or none."""
    model = study.model(wildcards.model)
    if model.of_cells:
        made_here = f"resources/tokenizers/{model.stem}/vocabulary.json"
        return [model.entry["pretrained"]["path"] if model.source == "local" else made_here]
    if model.tokenizer not in (*PIECES, PUBLISHED):
        return []
    if get_tokenizer_file(wildcards, "source") == "local":
        return [get_tokenizer_file(wildcards, "path")]
    name = "published/files.json" if model.tokenizer == PUBLISHED else "tokenizer.json"
    return [f"resources/tokenizers/{model.stem}/{name}"]


def get_tokenizer_flags(wildcards):
    flags = ["--tokenizer", get_tokenizer_name(wildcards)]
    files = get_tokenizer_files(wildcards)
    return [*flags, "--tokenizer-file", *files] if files else flags


def get_tokenizer_hub_flags(wildcards, output):
    sha256 = study.model(wildcards.model).tokenizer_file.get("sha256")
    return [*get_hub_flags(wildcards, output, "tokenizer_file"), *(["--sha256", sha256] if sha256 else [])]


def get_tokenizer_corpus(wildcards):
    return study.config["corpora"][get_tokenizer_file(wildcards, "corpus")]


def get_tokenizer_corpus_files(wildcards):
    genomes = get_tokenizer_corpus(wildcards)["genomes"]
    return [f"resources/genomes/{genome}.fa" for genome in genomes]


def get_tokenizer_corpus_flags(wildcards):
    corpus = get_tokenizer_corpus(wildcards)
    genomes = [flag for path in get_tokenizer_corpus_files(wildcards) for flag in ("--genome", path)]
    return [*genomes, "--exclude", *corpus["exclude"], *corpus["holdout"]]
