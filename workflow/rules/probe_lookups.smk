# What the rules that train classifiers on features are told beside probes and poolings.


def get_tree_flags(wildcards):
    settings = study.probing(wildcards.analysis)
    keys = ["rounds", "depth", "eta", "colsample", "early_stopping"]
    if study.labels(wildcards.task) == vocabulary.CLASSES and settings.get("class_weights", "none") != "none":
        keys.append("class_weights")
    if settings.get("choice", "validation") != "validation":
        keys.append("choice")
    flags = [word for key in keys for word in (f"--{key.replace('_', '-')}", str(settings[key]))]
    return flags + get_drawn_flags(wildcards)


def get_drawn_flags(wildcards):
    """A few training rows, drawn many times; known sites to which others are near."""
    if not (drawn := study.drawn(wildcards.analysis)):
        return []
    flags = ["--shots", *drawn["numbers"], "--draws", drawn["draws"], "--draw-seed", config["seed"]]
    flags += ["--retrieve", drawn["by"]] if "by" in drawn else []
    return [str(flag) for flag in flags] + (["--site", shlex.quote(drawn["site"])] if drawn.get("site") else [])


def get_rate_flags(wildcards):
    """The one learning rate of networks that few rows train: the record of another analysis says it, or the study."""
    if record := get_chosen(wildcards):
        said = [getattr(wildcards, name) for name in ("analysis", "task", "model", "init")]
        other = study.rate_from(Cell(*said, int(wildcards.seed)))
        folds = study.finetuning(other.task, other.analysis, other.model)["folds"]
        return ["--chosen", *record, *(["--chosen-folds", *map(str, folds)] if folds else [])]
    return ["--learning-rate", str(study.drawn(wildcards.analysis)["learning_rate"])]
