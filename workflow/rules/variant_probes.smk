# Scores of variants beyond the likelihood ratio: arms of networks and baselines through the same folds.
include: "variant_probes_lookups.smk"


rule probe_variants:
    input:
        weights=get_probed_weights,
        sequences="results/sequences/{task}.parquet",
    output:
        record="results/{analysis}/{task}/{model}/{init}/seed{seed}/record.json",
        predictions="results/{analysis}/{task}/{model}/{init}/seed{seed}/predictions.parquet",
    log:
        "logs/probe_variants/{analysis}/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/probe_variants/{analysis}/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        analysis=get_analyses("probe_variants"),
        model=get_constraint_but(study.outside),
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
        gpu=get_gpus_of_probed,
    params:
        recipe=get_recipe("probe_variants"),
        arm=get_probed_flags,
    message:
        "Probe variants of {wildcards.task} with {wildcards.model} ({wildcards.init}, seed {wildcards.seed})"
    shell:
        "python -m foundationless probe_variants {params.arm:q} --sequences {input.sequences:q}"
        " --analysis {wildcards.analysis} --task {wildcards.task} --model {wildcards.model} --init {wildcards.init}"
        " --seed {wildcards.seed}"
        " --record {output.record:q} --predictions {output.predictions:q} --threads {threads} 2> {log:q}"
