def get_job_names(wildcards):
    jobs = study.jobs_of(wildcards.analysis, wildcards.task)
    return [f"{job.model}/{job.init}/seed{job.seed}" for job in jobs]


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


def get_audit(wildcards):
    """The audit of a task's own splits; a derived set has others."""
    audited = wildcards.task in study.audited
    return f"results/audit/{wildcards.task}/audit.parquet" if audited else []


def get_audit_flags(wildcards, input):
    return ["--audit", input.audit] if input.audit else []


def get_predictions(analysis):
    """Predictions of every job of an analysis: of clustering its maps, of mutagenesis every substitution."""
    return [
        f"results/{job.analysis}/{job.task}/{job.model}/{job.init}/seed{job.seed}/predictions.parquet"
        for job in study.jobs
        if job.analysis == analysis
    ]


def get_corpus_audits():
    """Names of the audits of every task against every corpus that a model of the study was pretrained on."""
    models = [study.model(name) for name in study.networks_from("workflow")]
    corpora = dict.fromkeys(model.entry["pretrained"]["corpus"] for model in models)
    return [f"{task}/corpus_{corpus}" for task in study.audited for corpus in corpora]


def get_pretraining_records(wildcards):
    return [
        f"results/pretrain/{model}/seed0/record.json"
        for model in study.networks_from("workflow")
    ]


def get_weight_names():
    """All weights that the design evaluates."""
    evaluated = [job for job in study.jobs if job.init != "baseline"]
    names = [
        f"{job.model}/{job.init}/seed{study.weight_seed(job.init, job.seed)}"
        for job in evaluated
    ]
    return list(dict.fromkeys(names))


def get_weight_cards(wildcards):
    return [f"results/weights/{name}/weights.json" for name in get_weight_names()]


def get_reported_table(name):
    """A table that the report shows."""
    labels = {"table": name.replace("_", " ")}
    caption = "../report/tables.rst"
    return report(f"results/tables/{name}.csv", caption, "Tables", labels=labels)
