if study.looks:

    include: "looks.smk"


rule summarise_analysis:
    input:
        records=lambda w: get_files("record.json", w.analysis),
        predictions=lambda w: get_files("predictions.parquet", w.analysis),
        audits=get_audit_rows,
    output:
        scores="results/{analysis}/scores.csv",
        comparisons="results/{analysis}/comparisons.csv",
        notes="results/{analysis}/notes.csv",
        records="results/{analysis}/records.parquet",
        diagnostics=expand("results/{{analysis}}/{name}.csv", name=DIAGNOSTICS),
    log:
        "logs/summarise_analysis/{analysis}.log",
    benchmark:
        "benchmarks/summarise_analysis/{analysis}.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: get_processes_of_tasks
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("summarise_analysis"),
        directory=subpath(output.scores, parent=True),
        cells=get_cells,  # not the paths: one argument may have 128 KiB, and there are thousands
        resamples=config["statistics"]["resamples"],
        margins=get_margins(),
        audited=get_audited,
        baselines=list(config["baselines"]),
        partial=get_summary_flags,
        seed=config["seed"],
    message:
        "Summarise {wildcards.analysis}"
    shell:
        "python -m foundationless summarise_analysis --analysis {wildcards.analysis} --directory {params.directory:q}"
        " --cells {params.cells:q} --audits results/audit --audited {params.audited} {params.partial}"
        " --baselines {params.baselines} --resamples {params.resamples}"
        " --margins {params.margins:q} --seed {params.seed} --processes {threads}"
        " --output {params.directory:q} 2> {log:q}"


rule collect_tables:
    input:
        scores=get_summaries(name="scores.csv"),
        comparisons=get_summaries(name="comparisons.csv"),
        notes=get_summaries(name="notes.csv"),
        records=get_summaries(name="records.parquet"),
        diagnostics=[get_summaries(name=f"{name}.csv") for name in DIAGNOSTICS],
        pretraining=get_pretraining_records,
        weights=get_weight_cards,
        maps=when_known(get_files, "predictions.parquet", "clustering"),
        mutagenesis=when_known(get_files, "predictions.parquet", "mutagenesis"),
        structure=when_known(get_files, "predictions.parquet", "structure"),
        explanations=when_known(get_files, "predictions.parquet", "explanations"),
        importances=when_known(get_importances),
        audits=get_present(expand("results/audit/{task}/audit.json", task=study.audited)),
        overlap=get_overlap(),
        corpora=get_corpus_audits(),
        looks=get_look_files_so_far,
        reported="resources/lists/reported.tsv",
        reported_effects=get_second_paper("reported_perturbation.tsv"),
        reported_rows=get_second_paper(*(f"perturbation_rows/{name}.tsv" for name in ("doubles", "unseen", "borrowed"))),
        tasks=config["tables"]["tasks"],
    output:
        tables=[get_reported_table(name) for name in REPORTED_TABLES],
        records="results/tables/records.parquet",
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
        recipe=get_recipe("collect_tables"),
        weights=when_known(get_weight_names),
        models=lambda w: study.describe_models(),
        selection=config["selection"],
        resamples=config["statistics"]["resamples"],
        seed=config["seed"],
        directory=subpath(output.records, parent=True),
        own=get_own_task_flags,
    message:
        "Collect tables"
    shell:
        "python -m foundationless collect_tables --scores {input.scores:q} --comparisons {input.comparisons:q}"
        " --notes {input.notes:q} --records {input.records:q} --diagnostics {input.diagnostics:q}"
        " --pretraining {input.pretraining:q}"
        " --weights $(for name in {params.weights}; do echo results/weights/$name/weights.json; done)"
        " --maps {input.maps:q} --mutagenesis {input.mutagenesis:q} --explanations {input.explanations:q}"
        " --structure {input.structure:q} --importances results"
        " --audits {input.audits:q} --overlap {input.overlap:q}"
        " --corpora {input.corpora:q} --looks {input.looks:q} --benchmarks benchmarks"
        " --reported {input.reported:q} --reported-effects {input.reported_effects:q}"
        " --reported-rows {input.reported_rows:q} --selection {params.selection}"
        " --resamples {params.resamples} --seed {params.seed}"
        " --tasks {input.tasks:q} {params.own:q} --models {params.models:q}"
        " --output {params.directory:q} 2> {log:q}"


rule write_verdict:
    input:
        rules.collect_tables.output,
        own=get_recommendations,
    output:
        "results/verdict.json",
    log:
        "logs/write_verdict.log",
    benchmark:
        "benchmarks/write_verdict.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("write_verdict"),
        tables=subpath(input[0], parent=True),
        study=config["study"],
        title=lambda w: config["title"],
        truth=json.dumps(study.truths),
    message:
        "Write the verdict"
    shell:
        "python -m foundationless write_verdict --tables {params.tables:q} --study {params.study}"
        " --title {params.title:q} --truth {params.truth:q} --own {input.own:q} --output {output:q} 2> {log:q}"
