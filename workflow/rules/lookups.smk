def get_embeddings(wildcards):
    seed = study.weight_seed(wildcards.init, int(wildcards.seed))
    return f"results/embeddings/{wildcards.task}/{wildcards.model}/{wildcards.init}/seed{seed}/embeddings.parquet"


def get_metric(wildcards):
    return study.task(wildcards.task)["metric"]


def get_finetuning(wildcards):
    return study.finetuning(wildcards.task, wildcards.analysis)


def get_chunk_flags(wildcards):
    """The study's own chunks, for what it evaluated; otherwise the model's maximum."""
    model = study.model(wildcards.model)
    longest = model.entry.get("max_tokens")
    return (
        ["--max-tokens", str(longest)] if longest and model.protocol == "paper" else []
    )


def get_precision(section):
    def get(wildcards):
        return study.precision(wildcards.model, section)

    return get


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


def get_weight_cards(wildcards):
    """Cards of all weights that the design evaluates."""
    evaluated = [job for job in study.jobs if job.init != "baseline"]
    names = [
        f"results/weights/{job.model}/{job.init}/seed{study.weight_seed(job.init, job.seed)}/weights.json"
        for job in evaluated
    ]
    return list(dict.fromkeys(names))


def get_reported_table(name):
    """A table that the report shows."""
    labels = {"table": name.replace("_", " ")}
    caption = "../report/tables.rst"
    return report(f"results/tables/{name}.csv", caption, "Tables", labels=labels)
