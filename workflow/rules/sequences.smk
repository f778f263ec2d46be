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
        mem_mb=get_memory_of_input,
        runtime=get_runtime,
    params:
        recipe=get_recipe("build_sequences"),
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
        mem_mb=get_memory_of_input,
        runtime=get_runtime,
    params:
        recipe=get_recipe("derive_sequences"),
        seed=config["seed"],
    message:
        "Derive {wildcards.derivation} of sequence set {wildcards.task}"
    shell:
        "python -m foundationless derive_sequences --sequences {input:q} --derivation {wildcards.derivation}"
        " --seed {params.seed} --output {output:q} 2> {log:q}"


rule audit_task:
    input:
        "results/sequences/{task}.parquet",
    output:
        audit="results/audit/{task}/audit.parquet",
        summary="results/audit/{task}/audit.json",
    log:
        "logs/audit_task/{task}.log",
    benchmark:
        "benchmarks/audit_task/{task}.tsv"
    wildcard_constraints:
        task=r"[A-Za-z0-9_]+",
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=get_memory_of_input,
        runtime=get_runtime,
    params:
        recipe=get_recipe("audit_task"),
    message:
        "Audit the splits of {wildcards.task} for leaks"
    shell:
        "python -m foundationless audit_task --task {wildcards.task} --sequences {input:q}"
        " --output {output.audit:q} --summary {output.summary:q} 2> {log:q}"


rule audit_overlap:
    input:
        expand("results/sequences/{task}.parquet", task=study.audited),
    output:
        "results/audit/overlap.csv",
    log:
        "logs/audit_overlap.log",
    benchmark:
        "benchmarks/audit_overlap.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=get_memory_of_input,
        runtime=get_runtime,
    params:
        recipe=get_recipe("audit_overlap"),
        names=list(study.audited),
    message:
        "Count the sequences that tasks share"
    shell:
        "python -m foundationless audit_overlap --sequences {input:q} --names {params.names} --output {output:q} 2> {log:q}"
