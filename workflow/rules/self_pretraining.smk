rule pretrain_self:
    input:
        tensors="results/weights/{model}/random/seed{seed}/model.safetensors",
        weights="results/weights/{model}/random/seed{seed}/weights.json",
        sequences="results/sequences/{task}.parquet",
    output:
        card="results/weights/{model}/{init}/{task}/seed{seed}/weights.json",
        config="results/weights/{model}/{init}/{task}/seed{seed}/config.json",
        tensors="results/weights/{model}/{init}/{task}/seed{seed}/model.safetensors",
        record="results/pretrain/{model}/{init}/{task}/seed{seed}/record.json",
        losses="results/pretrain/{model}/{init}/{task}/seed{seed}/losses.tsv",
    log:
        "logs/pretrain_self/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/pretrain_self/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        init=vocabulary.SELF,
        model=get_constraint(study.networks),
    priority: 10
    conda:
        "../../envs/compute.yaml"
    threads: get_processes
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
        gpu=get_processes,
    params:
        recipe=get_recipe("pretrain_self"),
        weights=subpath(input.weights, parent=True),
        directory=subpath(output.card, parent=True),
        checkpoints=subpath(output.record, parent=True),
        settings=get_pretraining_flags,
        launcher=get_launcher,
    message:
        "Pretrain {wildcards.model} on the training sequences of {wildcards.task}"
    shell:
        "{params.launcher:q} python -m foundationless pretrain_self --weights {params.weights:q}"
        " --sequences {input.sequences:q} --task {wildcards.task} {params.settings:q} --model {wildcards.model}"
        " --seed {wildcards.seed} --checkpoints {params.checkpoints:q}/checkpoints --output {params.directory:q}"
        " --record {output.record:q} --losses {output.losses:q} --threads {threads} 2> {log:q}"
