# Networks that read single cells: their vocabularies and their pretraining.
include: "cells_lookups.smk"


rule build_vocabulary:
    input:
        cells=get_cell_files,
        keep=get_kept_genes,
    output:
        "resources/tokenizers/{model}/vocabulary.json",
    log:
        "logs/build_vocabulary/{model}.log",
    benchmark:
        "benchmarks/build_vocabulary/{model}.tsv"
    wildcard_constraints:
        model=get_constraint(study.networks_from("cells")),
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory_of_input,
        runtime=get_runtime,
    params:
        recipe=get_recipe("build_vocabulary"),
        vocabulary=get_vocabulary_flags,
    message:
        "Build the vocabulary of genes of {wildcards.model}"
    shell:
        "python -m foundationless build_vocabulary --cells {input.cells:q} --keep {input.keep:q}"
        " {params.vocabulary} --output {output:q} 2> {log:q}"


rule pretrain_cells:
    input:
        tensors="results/weights/{model}/random/seed{seed}/model.safetensors",
        weights="results/weights/{model}/random/seed{seed}/weights.json",
        cells=get_cell_files,
    output:
        card="results/weights/{model}/pretrained/seed{seed}/weights.json",
        config="results/weights/{model}/pretrained/seed{seed}/config.json",
        tensors="results/weights/{model}/pretrained/seed{seed}/model.safetensors",
        record="results/pretrain/{model}/seed{seed}/record.json",
        losses="results/pretrain/{model}/seed{seed}/losses.tsv",
    log:
        "logs/pretrain_cells/{model}/seed{seed}.log",
    benchmark:
        "benchmarks/pretrain_cells/{model}/seed{seed}.tsv"
    wildcard_constraints:
        model=get_constraint(study.networks_from("cells")),
    priority: 10
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory_of_input,
        runtime=get_runtime,
        gpu=1,
    params:
        recipe=get_recipe("pretrain_cells"),
        weights=subpath(input.weights, parent=True),
        directory=subpath(output.card, parent=True),
        checkpoints=subpath(output.record, parent=True),
        settings=get_cell_pretraining_flags,
    message:
        "Pretrain {wildcards.model} on cells"
    shell:
        "python -m foundationless pretrain_cells --weights {params.weights:q} --cells {input.cells:q}"
        " {params.settings} --model {wildcards.model} --seed {wildcards.seed}"
        " --checkpoints {params.checkpoints:q}/checkpoints --output {params.directory:q}"
        " --record {output.record:q} --losses {output.losses:q} --threads {threads} 2> {log:q}"
