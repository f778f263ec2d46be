# What jobs ask of a cluster, within what its table of partitions (profiles/slurm/partitions.yaml) says that it has.


@functools.cache
def get_partitions():
    """Limits of the partitions in the profile's table; none where jobs run here. A broken table is one sentence."""
    table = get_partition_table()
    if not table:
        return []
    try:
        # YAML takes unquoted 6:00:00 for the number 21600, and that for minutes.
        for line in Path(table).read_text().splitlines():
            if time := re.match(r"[^#]*\bmax_runtime:\s*([1-9]\d*(:[0-5]?\d)+)\s*([#,}]|$)", line):
                raise ValueError(f"put quotes around {time[1]}, or write 90m, 6h, 2d")
        limits = read_partitions(table)
        for key, value in (item for limit in limits for item in vars(limit).items()):
            if key.startswith("max_") and not isinstance(value, int | float):
                raise ValueError(f"{key}: '{value}' is no number; memory is in MiB")
        if not limits:
            raise ValueError("it names no partition")
        return limits
    except Exception as error:
        why = " ".join(str(error).split()).replace("PartitionLimits.__init__() ", "")
        print(
            f"foundationless: error: {table}: not a table of partitions ({why}); see profiles/README.md.",
            file=sys.stderr,
        )
        sys.exit(2)


def get_gpus(rulename):
    """GPUs of a rule where the command line or a profile decides them with `set-resources`."""
    gpu, gres = (get_set_resource(rulename, name) for name in ("gpu", "gres"))
    if said := re.search(r"\bgpu:(?:[^:,]+:)?(\d+)", str(gres)):
        return int(said[1])
    return None if gpu is None else int(gpu)


def get_fitting(rulename, wildcards, memory=0):
    """Limits of the partitions that could take a job, or all if none could."""
    gpus = get_gpus(rulename)
    gpus = allocation.gpus(rulename, **wildcards) if gpus is None else gpus
    known = get_partitions()
    if gpus:
        kind = [each for each in known if each.max_gpu >= gpus] or known
    else:
        kind = [each for each in known if not each.max_gpu] or known
    return [each for each in kind if each.max_mem_mb >= memory] or kind


def get_memory(wildcards, rulename, attempt, input_mb=0.0):
    """MiB: libraries, weights, sequences and what is computed with; a retry asks for twice as much."""
    asked = allocation.memory(rulename, attempt, get_gpus(rulename), input_mb, **wildcards)
    most = max((each.max_mem_mb for each in get_fitting(rulename, wildcards)), default=asked)
    return int(min(asked, most))


def get_memory_of_input(wildcards, input, rulename, attempt):
    """MiB: the same, and at least what the size of the input files asks for."""
    return get_memory(wildcards, rulename, attempt, input.size_mb)


def get_runtime(wildcards, rulename, attempt):
    """Minutes: three times the estimated work; a retry asks for half as much again, as long jobs are resumed."""
    asked = allocation.minutes(rulename, attempt, get_gpus(rulename), **wildcards)
    fitting = get_fitting(rulename, wildcards, get_memory(wildcards, rulename, attempt))
    most = max((each.max_runtime for each in fitting), default=float("inf"))
    if is_grouped(rulename, wildcards):  # a group asks for the sum
        most /= get_group_size(rulename)
    return max(1, int(min(asked, most)))


def is_grouped(rulename, wildcards):
    """Whether a job asks for the least time, and the profile's `group-components` has groups for its rule."""
    if get_group_size(rulename) is None:
        return False
    minutes = allocation.minutes(rulename, 1, get_gpus(rulename), **wildcards)
    return minutes <= FLOOR_MINUTES
