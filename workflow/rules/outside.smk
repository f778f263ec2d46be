# Arms that another program computed: their files take the place of an embedding, or of the scores of variants.
include: "outside_lookups.smk"


# A baseline from outside is probed; what is counted here is fitted.
ruleorder: fit_baseline > probe


rule import_vectors:
    input:
        vectors=lambda w: get_outside("vectors", w),
        card=lambda w: get_outside_card("vectors", w),
        sequences="results/sequences/{task}.parquet",
    output:
        "results/embeddings/{task}/{model}/{init}/seed{seed}/embeddings.parquet",
    log:
        "logs/import_vectors/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/import_vectors/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        task=r"[A-Za-z0-9_]+",
        model=get_constraint(study.outside),
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory_of_input,
        runtime=get_runtime,
    params:
        recipe=get_recipe("import_vectors"),
        poolings=lambda w: study.poolings(w.task, w.model),
    message:
        "Import vectors of {wildcards.task} by {wildcards.model} ({wildcards.init}, seed {wildcards.seed})"
    shell:
        "python -m foundationless import_vectors --vectors {input.vectors:q} --card {input.card:q}"
        " --sequences {input.sequences:q} --poolings {params.poolings} --task {wildcards.task} --model {wildcards.model}"
        " --init {wildcards.init} --seed {wildcards.seed} --output {output:q} 2> {log:q}"


rule import_scores:
    input:
        scores=lambda w: get_outside("scores", w),
        card=lambda w: get_outside_card("scores", w),
        sequences="results/sequences/{task}.parquet",
    output:
        record="results/{analysis}/{task}/{model}/{init}/seed{seed}/record.json",
        predictions="results/{analysis}/{task}/{model}/{init}/seed{seed}/predictions.parquet",
    log:
        "logs/import_scores/{analysis}/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/import_scores/{analysis}/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        analysis="|".join([get_analyses("score_likelihood"), get_analyses("probe_variants")]),
        model=get_constraint(study.outside),
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("import_scores"),
    message:
        "Import scores of {wildcards.task} by {wildcards.model} ({wildcards.init}, seed {wildcards.seed})"
    shell:
        "python -m foundationless import_scores --scores {input.scores:q} --card {input.card:q}"
        " --sequences {input.sequences:q} --analysis {wildcards.analysis} --task {wildcards.task}"
        " --model {wildcards.model} --init {wildcards.init} --seed {wildcards.seed}"
        " --record {output.record:q} --predictions {output.predictions:q} 2> {log:q}"
