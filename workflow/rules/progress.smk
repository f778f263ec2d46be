TARGET_OF = {analysis: target for target, names in vocabulary.TARGETS.items() for analysis in names}

# Jobs have none of this: they are started with --no-hooks, and lock nothing.
if is_main_process():
    filter_log(status.LockWords(), progress.Abridged())


def get_target(path):
    """The named target that an output belongs to; what several of them share is `shared`."""
    top, *below = Path(path).parts
    return TARGET_OF.get(below[0], "shared") if top == "results" else "shared"


def get_jobs_of_targets():
    """Every job of the run, targets in their own order."""
    order = [*vocabulary.TARGETS, "shared"]
    return sorted(get_planned_jobs(get_target), key=lambda job: order.index(job.target))


onstart:
    start_progress(get_jobs_of_targets)
    mend_timers()
    start_worker()


onsuccess:
    progress.finish(success=True)
    if look := study_looks.last_look(study, Path("results")):
        print(look["sentence"], file=sys.stderr)


onerror:
    progress.finish(success=False)
