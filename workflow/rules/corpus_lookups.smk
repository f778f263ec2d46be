def get_corpus(wildcards):
    """The corpus that is named, or that a model is pretrained on."""
    name = getattr(wildcards, "corpus", None)
    entry = {} if name else study.model(wildcards.model).entry["pretrained"]
    return study.config["corpora"][name or entry["corpus"]]


def get_corpus_files(wildcards):
    return [f"resources/genomes/{genome}.fa" for genome in get_corpus(wildcards)["genomes"]]


def get_variant_files(wildcards):
    """VCFs of the corpus's people, if it has any."""
    people = get_corpus(wildcards).get("people", {})
    return [get_source(source) for source in people.get("vcf", [])]


def get_people_files(wildcards):
    """Those, their indices where the ledger has them, and the table of people."""
    people = get_corpus(wildcards).get("people", {})
    known = {f"resources/datasets/{file}" for file in study.files}
    files = get_variant_files(wildcards)
    files += [f"{file}{end}" for file in files for end in (".tbi", ".csi")]
    files = [file for file in files if file in known or not file.endswith((".tbi", ".csi"))]
    return [*files, get_source(people["panel"])] if "panel" in people else files


def get_left_out_flags(wildcards):
    corpus = get_corpus(wildcards)
    return ["--exclude", *corpus["exclude"], "--holdout", *corpus["holdout"]]


def get_reference_flags(wildcards):
    flags = get_left_out_flags(wildcards)
    for path in get_corpus_files(wildcards):
        flags += ["--genome", path]
    return flags


def get_corpus_flags(wildcards):
    corpus = get_corpus(wildcards)
    flags = get_reference_flags(wildcards)
    for path in get_variant_files(wildcards):
        flags += ["--vcf", path]
    people = corpus.get("people", {})
    if "panel" in people:
        flags += ["--panel", get_source(people["panel"])]
        flags += ["--people-per-superpopulation", str(people["per_superpopulation"])]
    return [*flags, "--people", *people["samples"]] if "samples" in people else flags


def is_of_shuffled(wildcards):
    """Whether a control reads shuffled genomes, which people's variants are not of; a step reads what its model does."""
    return wildcards.init in vocabulary.OTHER_CORPORA


def get_control_corpus_files(wildcards):
    if not is_of_shuffled(wildcards):
        return get_corpus_files(wildcards)
    name = study.model(wildcards.model).entry["pretrained"]["corpus"]
    return [f"resources/shuffled/{name}/{genome}.fa" for genome in get_corpus(wildcards)["genomes"]]


def get_control_people_files(wildcards):
    return [] if is_of_shuffled(wildcards) else get_people_files(wildcards)


def get_control_corpus_flags(wildcards):
    if not is_of_shuffled(wildcards):
        return get_corpus_flags(wildcards)
    genomes = [word for path in get_control_corpus_files(wildcards) for word in ("--genome", path)]
    return [*get_left_out_flags(wildcards), *genomes]


def get_markov_corpus(wildcards):
    """What Markov models are fitted to, beside the pretrained arm; None: training rows."""
    name = study.markov_corpus(wildcards.model) if wildcards.init == "pretrained" else None
    return SimpleNamespace(corpus=name) if name else None


def get_markov_files(wildcards):
    corpus = get_markov_corpus(wildcards)
    return get_corpus_files(corpus) if corpus else []


def get_markov_flags(wildcards):
    """The pretrained arm has them beside it, once."""
    corpus = get_markov_corpus(wildcards)
    flags = get_reference_flags(corpus) if corpus else []
    return ["--markov", *flags] if wildcards.init == "pretrained" else []


def get_pretraining_flags(wildcards):
    flags = []
    settings = study.pretraining(wildcards.model, getattr(wildcards, "init", "pretrained"))
    if settings.pop("shard", False):
        flags += ["--shard"]
    for key, value in settings.items():
        if key != "processes":
            values = value if isinstance(value, list) else [value]
            flags += [f"--{key.replace('_', '-')}", *map(str, values)]
    return flags


def get_processes(wildcards):
    return study.pretraining(wildcards.model).get("processes", 1)


def get_launcher(wildcards):
    """What starts several processes, before the command itself; one process needs nothing."""
    torchrun = ["python", "-m", "torch.distributed.run", "--standalone"]
    count = get_processes(wildcards)
    # torchrun passes on what it handles alone: without SIGUSR1 its workers would not hear of the time limit
    signals = ["--signals-to-handle", "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"]
    each = ["--nproc-per-node", str(count), *signals, "--no-python"]
    return [*torchrun, *each] if count > 1 else []


def get_legs(wildcards):
    return allocation.shares.pretraining(wildcards.model).legs


def get_leg_path(wildcards, leg):
    """What a leg leaves; the last one is the rule `pretrain` itself, and leg -1 is the start."""
    return [f"results/pretrain/{wildcards.model}/seed{wildcards.seed}/legs/leg{leg}.json"] if leg >= 0 else []


def get_last_leg(wildcards):
    return get_leg_path(wildcards, get_legs(wildcards) - 2)


def get_leg_before(wildcards):
    return get_leg_path(wildcards, int(wildcards.leg) - 1)


def get_leg_end(wildcards):
    """The step after which a leg ends."""
    return shares.reached(study.pretraining(wildcards.model)["steps"], get_legs(wildcards), int(wildcards.leg))
