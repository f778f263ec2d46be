def get_model_flags(wildcards):
    model = study.model(wildcards.model)
    return [
        "--family",
        model.family,
        "--config",
        plan.json.dumps(dict(model.config), sort_keys=True),
    ]


def get_weights(wildcards):
    seed = study.weight_seed(wildcards.init, int(wildcards.seed))
    return f"results/weights/{wildcards.model}/{wildcards.init}/seed{seed}/weights.json"


def get_embeddings(wildcards):
    seed = study.weight_seed(wildcards.init, int(wildcards.seed))
    return f"results/embeddings/{wildcards.task}/{wildcards.model}/{wildcards.init}/seed{seed}/embeddings.parquet"


def get_corpus(wildcards):
    return study.config["corpora"][
        study.model(wildcards.model).entry["pretrained"]["corpus"]
    ]


def get_corpus_files(wildcards):
    return [
        f"resources/genomes/{genome}.fa" for genome in get_corpus(wildcards)["genomes"]
    ]


def get_corpus_flags(wildcards):
    corpus = get_corpus(wildcards)
    genomes = [
        flag for path in get_corpus_files(wildcards) for flag in ("--genome", path)
    ]
    return [*genomes, "--exclude", *corpus["exclude"], "--holdout", *corpus["holdout"]]


def get_pretraining_flags(wildcards):
    settings = study.config["pretraining"] | dict(
        study.model(wildcards.model).entry.get("pretraining", {})
    )
    return [
        part
        for key, value in settings.items()
        for part in (f"--{key.replace('_', '-')}", str(value))
    ]


def get_pretrained(wildcards, key):
    return study.model(wildcards.model).entry["pretrained"][key]


def get_constraint(source):
    """A pattern of the networks whose pretrained arm has this source (one that matches nothing if there are none)."""
    return (
        "|".join(plan.re.escape(name) for name in study.networks_from(source))
        or "none^"
    )


def get_metric(wildcards):
    return study.task(wildcards.task)["metric"]


def get_finetuning(wildcards):
    return study.finetuning(wildcards.task)


def get_baseline_flags(wildcards):
    entry = study.model(wildcards.model).entry
    options = plan.json.dumps(entry.get("options", {}), sort_keys=True)
    return [
        "--family",
        entry["family"],
        "--classifier",
        entry["classifier"],
        "--options",
        options,
    ]


def get_people_flags(wildcards):
    """Ancestry: both haplotypes of a person make one sample; the study's column sampling and early stopping."""
    ancestry = [
        "--aggregate",
        "sample",
        "--colsample",
        "0.5",
        "--early-stopping",
        "100",
    ]
    return ancestry if wildcards.analysis == "ancestry" else []


def get_genome_flags(wildcards):
    sources = study.sources(wildcards.task.split(".")[0])
    return ["--genome", get_source(sources["genome"])] if "genome" in sources else []


def get_genome_files(wildcards):
    return get_genome_flags(wildcards)[1:]


def get_job_files(name):
    """Files called `name` of all jobs of one task in one analysis."""

    def get(wildcards):
        return [
            f"results/{job.analysis}/{job.task}/{job.model}/{job.init}/seed{job.seed}/{name}"
            for job in study.jobs_of(wildcards.analysis, wildcards.task)
        ]

    return get


def get_summaries(*analyses, name="scores.csv"):
    """Summary tables of every task of these analyses (of all, if none is named)."""
    return [
        f"results/{analysis}/{task}/{name}"
        for analysis, task in study.summaries
        if not analyses or analysis in analyses
    ]


def get_pretraining_records(wildcards):
    return [
        f"results/pretrain/{model}/seed0/record.json"
        for model in study.networks_from("workflow")
    ]


def get_memory(wildcards, attempt):
    """MiB: a process with torch and one batch; doubled when a try ran out of it."""
    return 4000 * 2 ** (attempt - 1)


def get_runtime(wildcards, attempt):
    """Minutes: the sweep of one task by the largest model, on one GPU."""
    return 480 * attempt


def get_strand_flags(wildcards):
    return ["--both-strands"] if config["scoring"]["both_strands"] else []
