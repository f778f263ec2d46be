rule probe_structure:
    input:
        embeddings=get_embeddings,
        sequences=get_sequences,
    output:
        record="results/{analysis}/{task}/{model}/{init}/seed{seed}/record.json",
        predictions="results/{analysis}/{task}/{model}/{init}/seed{seed}/predictions.parquet",
    log:
        "logs/probe_structure/{analysis}/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/probe_structure/{analysis}/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        analysis=get_analyses("probe_structure"),
        init=NETWORK_ARMS,
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("probe_structure"),
        poolings=lambda w: study.poolings(names.parse_task(w.task).base_task, w.model) + get_kept_layers(w),
        draws=config["seed"],
    message:
        "Ask what {wildcards.model} ({wildcards.init}, seed {wildcards.seed}) knows of the sequences of {wildcards.task}"
    shell:
        "python -m foundationless probe_structure --embeddings {input.embeddings:q} --sequences {input.sequences:q}"
        " --poolings {params.poolings} --draw-seed {params.draws} --analysis {wildcards.analysis} --task {wildcards.task}"
        " --model {wildcards.model} --init {wildcards.init} --seed {wildcards.seed}"
        " --record {output.record:q} --predictions {output.predictions:q} --threads {threads} 2> {log:q}"
