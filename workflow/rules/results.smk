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
        mem_mb=lambda w, input: 2000 + 20 * input.size_mb,  # predictions as one-hot confusion cells
        runtime=60,
    params:
        recipe=plan.RECIPES["summarise_task"],
        metric=get_metric,
        statistics=config["statistics"],
        audit=get_audit_flags,
        baselines=list(config["baselines"]),
        seed=config["seed"],
    message:
        "Summarise {wildcards.analysis} on {wildcards.task}"
    shell:
        "python -m foundationless summarise_task --analysis {wildcards.analysis} --task {wildcards.task}"
        " --metric {params.metric} --records {input.records:q} --predictions {input.predictions:q}"
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
        maps=get_maps,
        mutagenesis=get_substitutions,
        audits=expand("results/audit/{task}/audit.json", task=study.audited),
        overlap="results/audit/overlap.csv" if study.audited else [],
        reported="resources/lists/reported.tsv",
        tasks=config["tables"]["tasks"],
    output:
        scores=get_reported_table("scores"),
        comparisons=get_reported_table("comparisons"),
        across=get_reported_table("across_tasks"),
        records="results/tables/records.parquet",
    log:
        "logs/collect_tables.log",
    benchmark:
        "benchmarks/collect_tables.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        recipe=plan.RECIPES["collect_tables"],
        models=study.describe_models(),
        margin=config["statistics"]["margin"],
        protocol=config["protocol"],
        directory=subpath(output.records, parent=True),
    message:
        "Collect tables"
    shell:
        "python -m foundationless collect_tables --scores {input.scores:q} --comparisons {input.comparisons:q}"
        " --effects {input.effects:q} --records {input.records:q} --pretraining {input.pretraining:q}"
        " --weights {input.weights:q} --maps {input.maps:q} --mutagenesis {input.mutagenesis:q}"
        " --audits {input.audits:q} --overlap {input.overlap:q}"
        " --reported {input.reported:q} --protocol {params.protocol}"
        " --tasks {input.tasks:q} --models {params.models:q} --margin {params.margin}"
        " --output {params.directory:q} 2> {log:q}"


rule draw_figure:
    input:
        "results/tables/records.parquet",
    output:
        figure="results/figures/{figure}.pdf",
        picture=report(
            "results/figures/{figure}.png",
            "../report/figure.rst",
            "Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        "logs/draw_figure/{figure}.log",
    benchmark:
        "benchmarks/draw_figure/{figure}.tsv"
    wildcard_constraints:
        figure="|".join(plan.FIGURES),
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        recipe=plan.RECIPES["draw_figure"],
        tables=subpath(input[0], parent=True),
        title=config["title"],
    message:
        "Draw {wildcards.figure}"
    shell:
        "python -m foundationless draw_figure --figure {wildcards.figure} --tables {params.tables:q}"
        " --study {params.title:q} --output {output.figure:q} 2> {log:q}"


rule bind_figures:
    input:
        figures=expand("results/figures/{figure}.pdf", figure=plan.FIGURES),
        records="results/tables/records.parquet",
    output:
        report(
            "results/figures/all.pdf",
            caption="../report/all.rst",
            category="Figures",
            labels={"figure": "all"},
        ),
    log:
        "logs/bind_figures.log",
    benchmark:
        "benchmarks/bind_figures.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        recipe=plan.RECIPES["bind_figures"],
        tables=subpath(input.records, parent=True),
        title=config["title"],
        notes=config["notes"],
    message:
        "Bind all figures behind a cover page"
    shell:
        "python -m foundationless bind_figures --figures {input.figures:q} --tables {params.tables:q}"
        " --study {params.title:q} --notes {params.notes:q} --output {output:q} 2> {log:q}"
