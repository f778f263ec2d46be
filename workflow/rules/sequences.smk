rule build_sequences:
    input:
        get_task_files,
    output:
        "results/sequences/{task}.parquet",
    log:
        "logs/build_sequences/{task}.log",
    benchmark:
        "benchmarks/build_sequences/{task}.tsv"
    wildcard_constraints:
        task=r"[A-Za-z0-9_]+",
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, input: 2000 + 10 * input.size_mb,  # text parsed to Python strings
        runtime=60,
    params:
        recipe=plan.RECIPES["build_sequences"],
        seed=config["seed"],
        reader=get_reader_flags,
    message:
        "Build sequence set {wildcards.task}"
    shell:
        "python -m foundationless build_sequences {params.reader:q} --seed {params.seed} --output {output:q} 2> {log:q}"


rule derive_sequences:
    input:
        "results/sequences/{task}.parquet",
    output:
        "results/sequences/{task}.{derivation}.parquet",
    log:
        "logs/derive_sequences/{task}.{derivation}.log",
    benchmark:
        "benchmarks/derive_sequences/{task}.{derivation}.tsv"
    wildcard_constraints:
        task=r"[A-Za-z0-9_]+",
        derivation=r"[a-z0-9]+",
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, input: 1000 + 10 * input.size_mb,  # Parquet expands about ten-fold
        runtime=30,
    params:
        recipe=plan.RECIPES["derive_sequences"],
        seed=config["seed"],
    message:
        "Derive {wildcards.derivation} of sequence set {wildcards.task}"
    shell:
        "python -m foundationless derive_sequences --sequences {input:q} --derivation {wildcards.derivation}"
        " --seed {params.seed} --output {output:q} 2> {log:q}"
