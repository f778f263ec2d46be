# Included last, for it speaks of every rule: what differs between clusters, and which jobs share a job there.
from snakemake.deployment.env_modules import EnvModules

ENVS = Path(workflow.basedir).parent / "envs"
IMAGE = str(ENVS / "foundationless.sif")
MODULES = [
    name
    for name in (ENVS / "modules.txt").read_text().split("\n")
    if name and not name.startswith("#")
]
DOWNLOADS = ("fetch", "fetch_region", "download_weights", "download_tokenizer")


# Nodes of a cluster often see no internet; the login node, where snakemake runs, does.
if not FROM_RECORDS:
    workflow.localrules(*DOWNLOADS)


def get_cause(wildcards):
    """What a job waits for and its like may not, so that what fails or takes long holds nothing else back."""
    names = dict(wildcards)
    init, entry = names.get("init"), names.get("model", "all").split(".")[0]
    if init == "random" or not {"init", "task"} & set(names):
        return f"{entry}_{init or 'any'}"  # a tokenizer
    if init and init != "baseline":
        return f"{names['model']}_{init}"  # weights
    if "analysis" in names and not init:
        return names["analysis"]  # records
    return study.tasks[names["task"].split(".")[0]]["suite"]  # files


def get_group(rulename):
    """A group for those jobs that ask for the least time, of as many as `group-components` says."""

    def get(wildcards):
        if not is_grouped(rulename, wildcards):
            return None
        group = f"{rulename}_wildcards_{get_cause(wildcards)}"
        # As Snakemake does with `group: "{rule}_{model}"`, which could not be left out for a long job.
        workflow.parent_groupids[group] = rulename
        return group

    return get


for computing in workflow.rules:
    if computing.conda_env:
        computing.container_img = IMAGE
        computing.env_modules = EnvModules(*MODULES)
        if computing.name not in DOWNLOADS:
            computing.group = get_group(computing.name)
