# Effects of gene perturbations: screens, embeddings of genes, and what predicts them.
include: "effects_lookups.smk"
include: "effects_finetuning.smk"


rule simulate_effects:
    input:
        genes="resources/simulated/genes.gtf",
    output:
        effects="resources/simulated/effects.h5ad",
        useful="resources/simulated/useful.tsv",
        useless="resources/simulated/useless.tsv",
        interactions="resources/simulated/interactions.tsv",
    log:
        "logs/simulate_effects.log",
    benchmark:
        "benchmarks/simulate_effects.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("simulate_effects"),
        seed=config["seed"],
        directory=subpath(output.effects, parent=True),
    message:
        "Simulate a screen of gene perturbations, and embeddings of its genes"
    shell:
        "python -m foundationless simulate_effects --genes {input.genes:q} --seed {params.seed}"
        " --output {params.directory:q} 2> {log:q}"


rule build_effects:
    input:
        get_task_files,
    output:
        "results/effects/{task}.parquet",
    log:
        "logs/build_effects/{task}.log",
    benchmark:
        "benchmarks/build_effects/{task}.tsv"
    wildcard_constraints:
        task=r"[A-Za-z0-9_]+",
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=get_memory_of_input,
        runtime=get_runtime,
    params:
        recipe=get_recipe("build_effects"),
        seed=config["seed"],
        reader=get_reader_flags,
    message:
        "Build the effects of {wildcards.task}"
    shell:
        "python -m foundationless build_effects {params.reader:q} --seed {params.seed} --output {output:q} 2> {log:q}"


rule import_genes:
    input:
        files=get_vector_files,
        screens=get_vector_screens,
        names=get_vector_names,
    output:
        "results/genes/{model}/pretrained/seed0/genes.parquet",
    log:
        "logs/import_genes/{model}.log",
    benchmark:
        "benchmarks/import_genes/{model}.tsv"
    wildcard_constraints:
        model=get_constraint(study.gene_tables),
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=get_memory_of_input,
        runtime=get_runtime,
    params:
        recipe=get_recipe("import_genes"),
        vectors=get_vector_flags,
        seed=config["seed"],
    message:
        "Import the embedding of genes {wildcards.model}"
    shell:
        "python -m foundationless import_genes --input {input.files:q} {params.vectors:q} --seed {params.seed}"
        " --effects {input.screens:q}"
        " --output {output:q} 2> {log:q}"


rule embed_genes:
    input:
        unpack(get_embedded_genes),
    output:
        "results/genes/{model}/{init}/seed{seed}/genes.parquet",
    log:
        "logs/embed_genes/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/embed_genes/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        model=get_constraint_but(study.gene_tables),
        init="pretrained|random",
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("embed_genes"),
        what=get_embedded_flags,
    message:
        "Read the embedding of genes of {wildcards.model} ({wildcards.init}, seed {wildcards.seed})"
    shell:
        "python -m foundationless embed_genes {params.what:q} --output {output:q} 2> {log:q}"


rule predict_effects:
    input:
        effects=get_effects,
        genes=get_genes,
        names=get_names,
    output:
        record="results/{analysis}/{task}/{model}/{init}/seed{seed}/record.json",
        predictions="results/{analysis}/{task}/{model}/{init}/seed{seed}/predictions.parquet",
    log:
        "logs/predict_effects/{analysis}/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/predict_effects/{analysis}/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        analysis="|".join([get_analyses("predict_effects"), get_analyses("finetune_effects")]),
        init=EFFECT_ARMS,
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory_of_input,
        runtime=get_runtime,
    params:
        recipe=get_recipe("predict_effects"),
        what=get_effect_flags,
        splits=get_split_flags,
    message:
        "Predict effects of {wildcards.task} by {wildcards.model} ({wildcards.init}, seed {wildcards.seed})"
    shell:
        "python -m foundationless predict_effects --effects {input.effects:q} {params.what:q} {params.splits}"
        " --analysis {wildcards.analysis} --task {wildcards.task} --model {wildcards.model} --init {wildcards.init}"
        " --seed {wildcards.seed} --record {output.record:q} --predictions {output.predictions:q} 2> {log:q}"
