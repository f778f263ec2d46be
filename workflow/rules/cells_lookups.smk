# What networks of single cells are pretrained on, and their vocabularies.


def get_cells_corpus(wildcards):
    return study.config["cells"][get_pretrained(wildcards, "corpus")]


def get_cell_files(wildcards):
    return [get_source(name) for name in get_cells_corpus(wildcards)["datasets"]]


def get_kept_genes(wildcards):
    """Screens whose genes a vocabulary begins with."""
    return [f"results/effects/{task}.parquet" for task in get_cells_corpus(wildcards).get("keep", [])]


def get_vocabulary_flags(wildcards):
    return ["--genes", str(get_cells_corpus(wildcards)["genes"]), "--form", study.model(wildcards.model).family]


def get_cell_pretraining_flags(wildcards):
    """Settings of pretraining that are of cells too; windows and strands are of sequences."""
    settings, corpus = study.pretraining(wildcards.model), get_cells_corpus(wildcards)
    kept = ("steps", "batch_size", "learning_rate", "minimum_learning_rate", "warmup", "checkpoint_every", "precision")
    flags = ["--heldout-share", str(corpus.get("holdout", 0.1))]
    for key in (*kept, "token_budget", "weight_decay", "betas"):
        if key in settings:
            value = settings[key] if isinstance(settings[key], list) else [settings[key]]
            flags += [f"--{key.replace('_', '-')}", *map(str, value)]
    longest = study.model(wildcards.model).entry.get("max_tokens")
    own = study.model(wildcards.model).entry.get("pretraining", {})
    flags += ["--mask-probability", str(own["mask_probability"])] if "mask_probability" in own else []
    return flags + (["--most-tokens", str(longest)] if longest else [])
