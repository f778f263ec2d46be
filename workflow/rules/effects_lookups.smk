# What the rules about gene perturbations read: screens, embeddings of genes, and settings.


def get_effects(wildcards):
    """The screen of a task; a derived one is made of it as it is predicted."""
    return f"results/effects/{names.parse_task(wildcards.task).base_task}.parquet"


def get_genes(wildcards):
    """The embedding of genes that a cell borrows; none of what is made of the screen itself."""
    cell = [getattr(wildcards, name) for name in ("analysis", "task", "model", "init", "seed")]
    name, init, seed = study.embedding_of(Cell(*cell))
    return [f"results/genes/{name}/{init}/seed{seed}/genes.parquet"] if name else []


def get_names(wildcards):
    """The table of gene names of the study, where a cell joins a screen and an embedding."""
    name = study.genes_read["names"]
    return [get_source(name)] if name and get_genes(wildcards) else []


def get_effect_flags(wildcards):
    """How a cell is predicted: a baseline, or a side of the linear model with its reading; and the derived set."""
    model, genes = study.model(wildcards.model), get_genes(wildcards)
    flags = ["--baseline", model.family] if model.is_baseline else ["--side", model.side, "--reading", model.reading]
    flags += ["--source", model.entry["genes"]["source"]] if model.is_of_screen else []
    flags += ["--genes", *genes] if genes else []
    flags += [flag for path in get_names(wildcards) for flag in ("--names", path)]
    variant = names.parse_task(wildcards.task).derivation
    return flags + (["--variant", variant] if variant else [])


def get_split_flags(wildcards):
    """Splits, and what validation chooses among."""
    settings = study.perturbation(wildcards.analysis)
    doubles = vocabulary.ANALYSES[wildcards.analysis].holds_out == "doubles"
    flags = ["--held-out", str(settings["held_out_doubles" if doubles else "held_out"])]
    flags += ["--dims", *[str(0 if dims == "own" else dims) for dims in settings["dims"]]]
    for key in ("splits", "strengths"):
        flags += [f"--{key}", *map(str, settings[key])]
    return [*flags, "--inner-folds", str(settings["inner_folds"]), "--top", str(settings["top"])]


def get_vector_source(wildcards):
    return study.model(wildcards.model).entry["genes"]


def get_vector_files(wildcards):
    genes = get_vector_source(wildcards)
    if genes["source"] == "screen":
        return [f"results/effects/{genes['task']}.parquet"]
    if genes["source"] == "simulated":
        return [f"resources/simulated/{genes['file']}"]
    return [get_source(name) for name in genes["datasets"]]


def get_vector_screens(wildcards):
    """Screens whose genes a graph of genes is made of."""
    if get_vector_source(wildcards)["source"] != "go":
        return []
    return [f"results/effects/{task}.parquet" for task in study.screens_of(wildcards.model)]


def get_vector_names(wildcards):
    """What translates the names of an embedding: the dataset that it names, else that of the study."""
    genes = get_vector_source(wildcards)
    told = genes["source"] in ("table", "go", "cells") and genes.get("namespace") != "own"
    name = genes.get("names", study.genes_read["names"]) if told else None
    return [get_source(name)] if name else []


def get_vector_flags(wildcards):
    genes = get_vector_source(wildcards)
    flags = ["--kind", genes["source"]]
    for key in ("dims", "namespace", "rows"):
        flags += [f"--{key}", str(genes[key])] if key in genes else []
    return flags + [flag for path in get_vector_names(wildcards) for flag in ("--names", path)]


def get_embedded_genes(wildcards):
    """What a network says of genes: that of their sequences, or its own table of them."""
    if not study.embeds_genes(wildcards.model):
        return {"weights": get_weights(wildcards)}
    task = study.genes_read["genes"]
    seed = study.weight_seed(wildcards.init, int(wildcards.seed))
    embeddings = f"results/embeddings/{task}/{wildcards.model}/{wildcards.init}/seed{seed}/embeddings.parquet"
    return {"embeddings": embeddings, "sequences": f"results/sequences/{task}.parquet"}


def get_embedded_flags(wildcards, input):
    if "weights" in input.keys():
        return ["--weights", str(Path(input.weights).parent)]
    pooling = study.genes_read["pooling"]
    return ["--embeddings", input.embeddings, "--sequences", input.sequences, "--pooling", pooling]


def get_tuning_flags(wildcards):
    """Splits, as in the other analyses of perturbations, and how a run is trained."""
    effects, tuning = study.perturbation(wildcards.analysis), get_finetuning(wildcards)
    flags = ["--splits", *map(str, effects["splits"]), "--held-out", str(effects["held_out"])]
    flags += ["--inner-folds", str(effects["inner_folds"]), "--top", str(effects["top"])]
    flags += ["--learning-rates", *map(str, tuning["learning_rates"])]
    for key in ("epochs", "patience", "batch_size"):
        flags += [f"--{key.replace('_', '-')}", str(tuning[key])]
    flags += ["--token-budget", str(tuning["token_budget"])] if tuning["token_budget"] else []
    for key in ("sampled_genes", "pairs", "control_cells", "dropout"):
        flags += [f"--{key.replace('_', '-')}", str(effects[key])] if key in effects else []
    variant = names.parse_task(wildcards.task).derivation
    flags += ["--variant", variant] if variant else []
    return [*flags, "--reading", study.model(wildcards.model).reading]
