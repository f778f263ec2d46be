"""Put a published checkpoint on trial: write a study of this model alone, and print the name of its file.

The study is another one with the models that it names replaced by this one, pretrained and random, and with its
baselines; what is left out of it is said. Where a GPU is at hand (of this machine, or behind the profile that
SNAKEMAKE_PROFILE names) it is the standard trial, otherwise the mini study. Its price and its power are stated, and at
a terminal you are asked before its name is printed. What the model is comes first, and what it cannot do. Of the
checkpoint config.json, tokenizer files and the names and shapes of its tensors are read; its revision is pinned. A
private repository is read with HF_TOKEN, which is never written anywhere. A file that is there already and says the
same is left alone: the same command goes on with a trial that was interrupted.
"""

import argparse
from pathlib import Path

from foundationless.commands._price import find_device, state_price
from foundationless.errors import UserError

TRIALS = Path("config", "trials")
STANDARD, MINI = Path("config", "trial.yaml"), Path("config", "mini.yaml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--repository", help="OWNER/NAME on the hub")
    place.add_argument("--path", type=Path, help="directory of a checkpoint in published layout instead")
    add("--revision", help="full commit hash on the hub (default: what its main branch is now)")
    add("--family", help="architecture family (default: the one that its config.json speaks of)")
    add("--tokenizer", help="tokenizer of the checkpoint (default: the family's or, where ids differ, its own)")
    add("--name", help="name of the model: letters and digits (default: made of the repository's)")
    add("--label", help="its name in figures (default: the repository's)")
    add("--study", type=Path, help=f"the study to put it into (default {STANDARD} with a GPU, {MINI} without one)")
    add("--mirror", type=Path, help="directory laid out as host/path that is looked at before the network")
    add("--cache", type=Path, help="cache of downloaded files (default: the hub library's own)")
    add("--output", type=Path, help=f"study to write (default {TRIALS / 'NAME.yaml'})")
    add("--yes", action="store_true", help="do not ask (without a terminal nobody is asked)")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.models import onboarding
    from foundationless.runtime.log import agreed, tell
    from foundationless.study.own.keep import read_base

    device, place = find_device()
    base = arguments.study or (MINI if device == "cpu" else STANDARD)
    study = read_base(base)
    address = arguments.repository or str(arguments.path.resolve())
    name = arguments.name or onboarding.name_of(address)
    label = arguments.label or address.rpartition("/")[2]
    entry, first = onboarding.meet(address, arguments.path is not None, arguments, label)
    output = arguments.output or TRIALS / f"{name}.yaml"
    remarks = onboarding.write_trial(study, name, entry, arguments.mirror, output, first.has_head)
    for sentence in (*first.sentences, *remarks):
        tell(sentence)
    why = "as asked for" if arguments.study else f"because {place}"
    tell(f"{label} goes into the study {base}, {why}.")
    tell(state_price(output, device))
    if not arguments.yes and not agreed("Start it?"):
        raise UserError(f"not started; the study is {output}: `snakemake --configfile {output}` runs it.")
    print(output)
