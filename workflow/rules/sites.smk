# Included last, for it speaks of every rule: what differs between clusters, and which jobs share a job there.
ENVS = Path(workflow.basedir).parent / "envs"
IMAGE = str(ENVS / "foundationless.sif")
MODULES = [name for name in (ENVS / "modules.txt").read_text().split("\n") if name and not name.startswith("#")]
DOWNLOADS = ("fetch", "fetch_region", "download_weights", "download_tokenizer", "download_own_tokenizer")


# Nodes of a cluster often see no internet; the login node, where snakemake runs, does.
if not FROM_RECORDS:
    keep_local(*DOWNLOADS)


def get_cause(wildcards):
    """What a job waits for and its like may not, so that what fails or takes long holds nothing else back."""
    said = dict(wildcards)
    init, base = said.get("init"), names.parse_model(said.get("model", "all")).base
    if init == "random" or not {"init", "task"} & set(said):
        return f"{base}_{init or 'any'}"  # a tokenizer
    if init and init != "baseline":
        return f"{said['model']}_{init}"  # weights
    if "analysis" in said and not init:
        return said["analysis"]  # records
    return study.task(said["task"])["suite"]  # files


def get_group(rulename):
    """A group for those jobs that ask for the least time, of as many as `group-components` says."""

    def get(wildcards):
        if not is_grouped(rulename, wildcards):
            return None
        group = f"{rulename}_wildcards_{get_cause(wildcards)}"
        keep_group(group, rulename)
        return group

    return None if rulename in DOWNLOADS else get


def get_environment(given):
    """The file of an environment, whose whole path Snakemake formats."""
    path = str(ENVS / Path(given).name)
    return escape_braces(path) if escape_braces(path) != path else given


set_software(IMAGE, get_environment, MODULES, get_group)
