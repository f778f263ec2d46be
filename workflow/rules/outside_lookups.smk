# Where the files of arms from outside lie, and which models they are not.
def get_outside(key, wildcards):
    """The file of an arm that another program computed."""
    return study.outside_file(key, wildcards.model, wildcards.task, wildcards.init, int(wildcards.seed))


def get_outside_card(key, wildcards):
    """The card beside it: JSON, or YAML where that is there."""
    cards = [get_outside(key, wildcards).removesuffix("parquet") + ending for ending in ("json", "yaml", "yml")]
    return next((card for card in cards if os.path.isfile(card)), cards[0])


def get_constraint_but(names):
    """A pattern of all models but these."""
    others = "|".join(map(re.escape, names))
    return f"(?!(?:{others})/){MODEL}" if names else MODEL


def say_what_is_not_there():
    """How many files are not there yet, the first of them, and what it is computed from: sequences come before."""
    missing = [path for path in study.outside_files if not os.path.isfile(path)]
    if missing:
        how = f"`python -m foundationless export_sequences --task {study.outside_files[missing[0]]} --output exports`"
        print(
            f"foundationless: files from outside that are not there yet: {len(missing)}, the first {missing[0]}; {how} "
            "writes what it is computed from.",
            file=sys.stderr,
        )


if is_main_process():
    say_what_is_not_there()
