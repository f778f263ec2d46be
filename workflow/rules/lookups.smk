include: "probe_lookups.smk"


def get_sequences(wildcards):
    return f"results/sequences/{names.sequence_set(wildcards.task)}.parquet"


def get_embeddings(wildcards):
    """Of the task's own set: a derived one takes rows away, deals labels anew or splits anew, and embeds nothing."""
    task = names.parse_task(wildcards.task).base_task
    seed = study.weight_seed(wildcards.init, int(wildcards.seed))
    return f"results/embeddings/{task}/{wildcards.model}/{wildcards.init}/seed{seed}/embeddings.parquet"


def get_metric(wildcards):
    return study.metric(wildcards.analysis, wildcards.task)


def get_probe_flags(wildcards):
    settings = study.probing(wildcards.analysis, wildcards.model)
    probes = study.probes(wildcards.analysis, wildcards.task)
    flags = ["--probes", *probes, "--poolings", *settings["poolings"]]
    if settings.get("pca"):
        flags += ["--pca", *map(str, settings["pca"])]
    flags += get_kept_layers(wildcards)
    return flags + (["--cv-folds", str(settings["cv_folds"])] if "cv_folds" in settings else [])


def get_layer_flags(words):
    return ["--layers", *words] if words else []


def get_kept_layers(wildcards):
    """Inner layers that an embedding keeps; an analysis that scores distances reads its own."""
    if hasattr(wildcards, "analysis"):
        return get_layer_flags(study.layers(wildcards.analysis))
    return get_layer_flags(study.embedded_layers(wildcards.task, wildcards.model))


# What a study says of these two reaches the rules that read them by flags: it must not tell other kept jobs from theirs.
EMBEDDING = {key: value for key, value in config["embedding"].items() if key not in ("layers", "chunks")}


class Settings(dict):
    """Settings, 0 where one is absent: what a study does not set leaves the params of kept jobs as they were."""

    def __missing__(self, key):
        return 0

    @property
    def further(self):
        """Flags of what the study sets besides, and none where it sets nothing."""
        keys = ("trainable", "layer_rates", "unfreeze", "weight_precision", "token_budget", "class_weights", "chunks")
        flags = [f"--{key.replace('_', '-')} {self[key]}" for key in keys if key in self]
        flags += ["--gradient-checkpointing"] if "gradient_checkpointing" in self else []
        return " ".join([*flags, *(["--lora-targets", *self["lora"]["targets"]] if "targets" in self["lora"] else [])])


def get_finetuning(wildcards):
    return Settings(study.finetuning(wildcards.task, wildcards.analysis, wildcards.model))


def get_chunk_flags(wildcards):
    """The paper's chunks, for what it evaluated; otherwise the model's maximum, and how chunks are pooled."""
    model = study.model(wildcards.model)
    longest = model.entry.get("max_tokens")
    chunks = ["--chunks", said] if (said := config["embedding"].get("chunks", "none")) != "none" else []
    return chunks or (["--max-tokens", str(longest)] if longest and model.reading == "as_in_paper" else [])


def get_precision(section):
    def get(wildcards):
        return study.precision(wildcards.model, section)

    return get


def get_baseline_flags(wildcards):
    entry = study.model(wildcards.model).entry
    options = json.dumps(entry.get("options", {}), sort_keys=True)
    classifiers = study.classifiers(wildcards.model, wildcards.task)
    return ["--family", entry["family"], "--classifier", *classifiers, "--options", options]


def get_aggregate_flags(wildcards):
    """Both haplotypes of a person make one sample."""
    people = study.task(wildcards.task)["reader"] == "people"
    return ["--aggregate", "sample"] if people else []


def get_cluster_flags(wildcards):
    """And the pooling, where it is another than the usual."""
    pooling = study.clustered(wildcards.model)
    return get_aggregate_flags(wildcards) + (["--pooling", pooling] if pooling != vocabulary.CLUSTERED else [])


def get_genome_flags(wildcards):
    sources = study.sources(wildcards.task)
    return ["--genome", get_source(sources["genome"])] if "genome" in sources else []


def get_genome_files(wildcards):
    return get_genome_flags(wildcards)[1:]


def get_results(*analyses):
    """Records too: Snakemake makes a missing file that only a finished summary needs where it is asked for alone."""
    return get_summaries(*analyses) + get_files("record.json", *analyses)


def get_strand_flags(wildcards):
    return ["--both-strands"] if config["scoring"]["both_strands"] else []


def get_cut(wildcards):
    """How a fine-tuning job is cut where it would take too long."""
    said = {name: getattr(wildcards, name) for name in ("analysis", "task", "model")}
    return allocation.shares.finetuning(**said)


def get_part_path(wildcards, part):
    said = wildcards
    return f"results/{said.analysis}/{said.task}/{said.model}/{said.init}/seed{said.seed}/parts/part{part}.json"


def get_parts(wildcards):
    """What ends each group of a job's runs; none of a job that is not cut."""
    return [get_part_path(wildcards, part) for part in get_cut(wildcards).last_parts()]


def get_part_before(wildcards):
    """The leg before, from which a leg goes on."""
    part = int(wildcards.part)
    return [get_part_path(wildcards, part - 1)] if get_cut(wildcards).place(part)[1] else []


def get_part_flags(wildcards):
    cut = get_cut(wildcards)
    group, leg = cut.place(int(wildcards.part))
    return ["--group", str(group), "--groups", str(cut.groups), "--leg", str(leg), "--legs", str(cut.legs)]


def get_gpus_asked(wildcards):
    """None, where a job only puts together what its parts trained."""
    return 0 if get_cut(wildcards).parts else 1
