# What explanations are held against: motifs that were planted, or that a study names.


def get_motifs(wildcards):
    """What the study says of the motifs of a task; nothing where they were planted."""
    said = study.explaining(wildcards.analysis).get("motifs", {})
    return said.get(names.parse_task(wildcards.task).base_task, {})


def get_motif_files(wildcards):
    """The file that says where motifs stand, or how they look."""
    said = get_motifs(wildcards)
    if "matrices" in said:
        return get_watched([said["matrices"]])
    planted = [] if said else [study.planted(wildcards.task)]
    return ["resources/simulated/truth.tsv"] if planted == ["truth"] else []


def get_motif_flags(wildcards):
    said = get_motifs(wildcards)
    if not said:
        planted = study.planted(wildcards.task)
        words = ["--words", planted, "--simulation-seed", str(config["seed"])]
        return ["--truth", *get_motif_files(wildcards)] if planted == "truth" else words
    patterns = [f"{name}={pattern}" for name, pattern in said.get("patterns", {}).items()]
    flags = ["--patterns", *patterns] if patterns else ["--matrices", get_source(said["matrices"])]
    for key in ("names", "threshold", "between", "classes"):
        values = said.get(key, [])
        flags += [f"--{key}", *map(str, values if isinstance(values, list) else [values])] if key in said else []
    return [*flags, *(["--stranded"] if said.get("stranded") else [])]


def get_explaining_flags(wildcards):
    said = study.explaining(wildcards.analysis)
    flags = ["--methods", *said["methods"], "--explained", str(said["sequences"])]
    flags += ["--steps", str(said["steps"]), "--baseline", said["baseline"]]
    drawn = ["--references", str(said["references"]), "--reference-seed", str(config["seed"])]
    return [*flags, *(drawn if said["baseline"] == "shuffled" else [])]


def get_chosen(wildcards):
    """The record of fine-tuning whose learning rate is taken, if any."""
    said = [getattr(wildcards, name) for name in ("analysis", "task", "model", "init")]
    other = study.rate_from(Cell(*said, int(wildcards.seed)))
    return [get_cell_path(other, "record.json")] if other else []


def get_chosen_flags(wildcards):
    record = get_chosen(wildcards)
    return ["--chosen", *record] if record else []
