def get_probed_weights(wildcards):
    """The weights of an arm; a baseline has none."""
    return [] if wildcards.init == "baseline" else get_weights(wildcards)


def get_gpus_of_probed(wildcards):
    return 0 if wildcards.init == "baseline" else 1


def get_probed_flags(wildcards, input):
    """What a network is read from and how, or which features a baseline has."""
    if wildcards.init == "baseline":
        return ["--options", json.dumps(study.model(wildcards.model).entry.get("options", {}), sort_keys=True)]
    flags = ["--weights", str(Path(input.weights).parent), "--poolings", *config["scoring"]["poolings"]]
    flags += ["--precision", get_precision("embedding")(wildcards), "--token-budget", str(EMBEDDING["token_budget"])]
    return flags + get_strand_flags(wildcards)
