# Included last, for it speaks of every rule: what differs between clusters, and which jobs share a job there.
from snakemake.deployment.env_modules import EnvModules

from foundationless.allocation import FLOOR_MINUTES

ENVS = Path(workflow.basedir).parent / "envs"
IMAGE = str(ENVS / "foundationless.sif")
MODULES = [
    name
    for name in (ENVS / "modules.txt").read_text().split("\n")
    if name and not name.startswith("#")
]
DOWNLOADS = ("fetch", "fetch_region", "download_weights", "download_tokenizer")


# Nodes of a cluster often see no internet; the login node, where snakemake runs, does.
workflow.localrules(*DOWNLOADS)


def get_group(rulename):
    """A group for jobs that ask for the least time, if the profile's `group-components` has one for their rule."""

    def get(wildcards):
        if rulename not in workflow.group_settings.group_components:
            return None
        minutes = allocation.minutes(rulename, 1, get_gpus(rulename), **wildcards)
        return rulename if minutes <= FLOOR_MINUTES else None

    return get


for computing in workflow.rules:
    if computing.conda_env:
        computing.container_img = IMAGE
        computing.env_modules = EnvModules(*MODULES)
        if computing.name not in DOWNLOADS:
            computing.group = get_group(computing.name)
