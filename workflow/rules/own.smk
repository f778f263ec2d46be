# Which arm to use for a set of one's own.
rule recommend_model:
    input:
        records=lambda w: get_contenders(w, "record.json"),
        predictions=lambda w: get_contenders(w, "predictions.parquet"),
        others=lambda w: get_other_contenders(w, "record.json"),
        others_predictions=lambda w: get_other_contenders(w, "predictions.parquet"),
        audit=lambda w: get_present([f"results/audit/{w.task}/audit.json"]),
        pretraining=get_pretraining_records,
    output:
        "results/recommendations/{task}.json",
    log:
        "logs/recommend_model/{task}.log",
    benchmark:
        "benchmarks/recommend_model/{task}.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("recommend_model"),
        label=lambda w: study.task(w.task)["label"],
        metric=lambda w: study.task(w.task)["metric"],
        directory=lambda w: f"results/{study.main_analysis}/{w.task}",
        cells=lambda w: [get_place(cell) for cell in get_contending_cells(w.task)],
        other=get_other_flags,
        partial="--partial" if FROM_RECORDS else "",
        resamples=config["statistics"]["resamples"],
        margins=get_margins(),
        seed=config["seed"],
    message:
        "Choose among all arms on {wildcards.task}"
    shell:
        "python -m foundationless recommend_model --task {wildcards.task} --label {params.label:q}"
        " --metric {params.metric} --directory {params.directory:q} --cells {params.cells:q} {params.other:q}"
        " --audit {input.audit:q} --pretraining {input.pretraining:q} {params.partial}"
        " --resamples {params.resamples} --margins {params.margins:q} --seed {params.seed} --output {output:q} 2> {log:q}"
