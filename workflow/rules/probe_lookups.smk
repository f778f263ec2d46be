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
