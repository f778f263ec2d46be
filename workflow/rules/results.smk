rule summarise_task:
    input:
        records=get_job_files("record.json"),
        predictions=get_job_files("predictions.parquet"),
        audit=get_audit,
    output:
        scores="results/{analysis}/{task}/scores.csv",
        comparisons="results/{analysis}/{task}/comparisons.csv",
        effects="results/{analysis}/{task}/effects.csv",
        records="results/{analysis}/{task}/records.parquet",
    log:
        "logs/summarise_task/{analysis}/{task}.log",
    benchmark:
        "benchmarks/summarise_task/{analysis}/{task}.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=get_memory_of_input,  # predictions as one-hot confusion cells
        runtime=get_runtime,
    params:
        recipe=plan.RECIPES["summarise_task"],
        directory=subpath(output.scores, parent=True),
        jobs=get_job_names,  # the shell writes out their paths: one argument may have 128 KiB, and there are thousands
        metric=get_metric,
        statistics=config["statistics"],
        audit=get_audit_flags,
        baselines=list(config["baselines"]),
        seed=config["seed"],
    message:
        "Summarise {wildcards.analysis} on {wildcards.task}"
    shell:
        "python -m foundationless summarise_task --analysis {wildcards.analysis} --task {wildcards.task}"
        " --metric {params.metric} --records $(printf '{params.directory}/%s/record.json ' {params.jobs})"
        " --predictions $(printf '{params.directory}/%s/predictions.parquet ' {params.jobs})"
        " --baselines {params.baselines} --resamples {params.statistics[resamples]}"
        " --margin {params.statistics[margin]} --seed {params.seed} {params.audit:q} --scores {output.scores:q}"
        " --comparisons {output.comparisons:q} --effects {output.effects:q} --flat {output.records:q} 2> {log:q}"


rule collect_tables:
    input:
        scores=get_summaries(name="scores.csv"),
        comparisons=get_summaries(name="comparisons.csv"),
        effects=get_summaries(name="effects.csv"),
        records=get_summaries(name="records.parquet"),
        pretraining=get_pretraining_records,
        weights=get_weight_cards,
        maps=get_predictions("clustering"),
        mutagenesis=get_predictions("mutagenesis"),
        audits=expand("results/audit/{task}/audit.json", task=study.audited),
        overlap="results/audit/overlap.csv" if study.audited else [],
        corpora=expand("results/audit/{name}.json", name=get_corpus_audits()),
        reported="resources/lists/reported.tsv",
        tasks=config["tables"]["tasks"],
    output:
        scores=get_reported_table("scores"),
        comparisons=get_reported_table("comparisons"),
        across=get_reported_table("across_tasks"),
        records="results/tables/records.parquet",
        cost="results/tables/cost.csv",
    log:
        "logs/collect_tables.log",
    benchmark:
        "benchmarks/collect_tables.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=plan.RECIPES["collect_tables"],
        summaries=["/".join(names) for names in study.summaries],
        weights=get_weight_names(),
        models=study.describe_models(),
        margin=config["statistics"]["margin"],
        protocol=config["protocol"],
        directory=subpath(output.records, parent=True),
    message:
        "Collect tables"
    shell:
        "python -m foundationless collect_tables --scores $(printf 'results/%s/scores.csv ' {params.summaries})"
        " --comparisons $(printf 'results/%s/comparisons.csv ' {params.summaries})"
        " --effects $(printf 'results/%s/effects.csv ' {params.summaries})"
        " --records $(printf 'results/%s/records.parquet ' {params.summaries}) --pretraining {input.pretraining:q}"
        " --weights $(for name in {params.weights}; do echo results/weights/$name/weights.json; done)"
        " --maps {input.maps:q} --mutagenesis {input.mutagenesis:q}"
        " --audits {input.audits:q} --overlap {input.overlap:q}"
        " --corpora {input.corpora:q} --benchmarks benchmarks"
        " --reported {input.reported:q} --protocol {params.protocol}"
        " --tasks {input.tasks:q} --models {params.models:q} --margin {params.margin}"
        " --output {params.directory:q} 2> {log:q}"
