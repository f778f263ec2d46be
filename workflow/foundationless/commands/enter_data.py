"""Put data of one's own on trial: look at the files, write a study of them, and print the name of its file.

Data are a table (CSV, TSV, Parquet, Excel) with a sequence and a label in each row; a directory, or several files
between commas, with one FASTA a class; intervals (BED6, the name is the class) or variants (VCF, an INFO field is the
class) with a genome. A label is a class, numbers that were measured, or zeros and ones of several tracks (columns
between commas): it is seen from the cells, and --kind says otherwise. What the files hold is said in plain words, and
what cannot be used is refused in one sentence. The study compares small models that are pretrained here, or the one of
--model, with their random selves, networks without pretraining and baselines that cost nothing. Without a split of its
own the set is split so that nothing near to a test row is learned from: by --group, by chromosome, or by similarity;
what a random split would have flattered is told. Nothing is downloaded unless --model is of the hub. The same command
goes on with a trial that was interrupted.
"""

import argparse
from pathlib import Path

from foundationless.commands._price import find_device, state_price
from foundationless.commands.enter_model import TRIALS
from foundationless.errors import UserError

BASE = Path("config", "own.yaml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    add = parser.add_argument
    add("--data", required=True, help="the file; a directory of FASTA files, or several between commas")
    add("--label", default="", help="column of the label, or several between commas; of a VCF its INFO field")
    add("--kind", default="", help="of the labels: classes, values or tracks (default: as they look)")
    add("--sequence", default="", help="column of the sequence (default: the one that holds DNA)")
    add("--group", default="", help="column of what must stay on one side of the split: a gene, a patient, a plate")
    add("--split", default="", help="column of the split: train, validation, test (default: a split is made)")
    add("--genome", type=Path, help="FASTA of the genome, for a BED or a VCF")
    add("--model", default="", help="a published model instead of small ones: OWNER/NAME on the hub, or a directory")
    add("--revision", help="of --model: full commit hash on the hub (default: what its main branch is now)")
    add("--family", help="of --model: architecture family (default: the one that its config.json speaks of)")
    add("--tokenizer", help="of --model: its tokenizer (default: the family's, or its own)")
    add("--mirror", type=Path, help="directory laid out as host/path that is looked at before the network")
    add("--name", default="", help="name of the set in paths (default: made of the file's)")
    add("--study", type=Path, default=BASE, help=f"the study to put it into (default {BASE})")
    add("--output", type=Path, help=f"study to write (default {TRIALS / 'NAME.yaml'})")
    add("--yes", action="store_true", help="do not ask (without a terminal nobody is asked)")


def run(arguments: argparse.Namespace) -> None:
    """Look, write, say what it costs, and ask."""
    from foundationless.runtime.log import agreed, tell
    from foundationless.study.own.keep import keep_study, read_base
    from foundationless.tasks.own.found import Given
    from foundationless.tasks.own.look import find_files, look
    from foundationless.tasks.own.study import name_of, own_study

    given, base = arguments, read_base(arguments.study)
    files = find_files(given.data)
    name = given.name or name_of(files)
    found = look(
        Given(files, given.label, given.sequence, given.group, given.split, given.genome, given.kind), base["seed"]
    )
    for sentence in found.sentences:
        tell(sentence)
    study = own_study(base, name, files[0].stem if len(files) == 1 else name, found)
    if given.model:
        from foundationless.models.onboarding import join_study

        study = join_study(study, given.model, given)
    study["mirror"] = str(given.mirror) if given.mirror else study["mirror"]
    output = given.output or TRIALS / f"{name}.yaml"
    keep_study(study, output, "enter_data")
    price = state_price(output, find_device()[0], {task: found.sizes for task in study["tasks"]})
    tell(price.partition(" Power of its verdict")[0])
    if not given.yes and not agreed("Start it?"):
        raise UserError(f"not started; the study is {output}: `snakemake --configfile {output}` runs it.")
    print(output)
