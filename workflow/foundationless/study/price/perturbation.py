"""The work of jobs about gene perturbations: screens, embeddings of genes, predicted effects. Standard library only.

A screen's size stands among those of tasks (`resources/lists/task_sizes.tsv`): perturbations as rows, of which `test`
are held out in a split, and read-out genes as length.
"""

from collections.abc import Mapping

from foundationless.study.plan import Model, Plan

RULES = (
    "simulate_effects", "build_effects", "import_genes", "embed_genes", "predict_effects", "finetune_effects",
    "build_vocabulary", "pretrain_cells",
)  # fmt: skip
BYTES = 4e7  # of a file of counts, compressed, that are normalised and averaged in a second
SCORED = 2e-8  # seconds of a perturbation and gene that are predicted and scored, every candidate
FIXED = {"simulate_effects": 0.1, "import_genes": 2.0, "embed_genes": 0.1, "build_vocabulary": 0.5}  # seconds
FILES = 0.15  # seconds of reading a screen and writing a record
MASKED = 0.15  # of the genes that Geneformer reads
READ = 512  # genes of a cell that pretraining reads, where a model says nothing
TOKENS, STUDIED = 1536, 100  # of fine-tuning, as the second paper did it: genes of a pass, and cells of a condition


def seconds(plan: Plan, rows: Mapping[str, float], rule: str, analysis: str, task: str, model: Model | None) -> float:
    """Seconds of a job after its start, on a core; `rows`: the size of its screen, if it reads one."""
    if rule == "build_effects":
        sources = plan.sources(task).values()
        read = sum(float(plan.datasets[name].get("bytes") or 0) for name in sources if name in plan.datasets)
        return 0.1 + read / BYTES
    if rule == "predict_effects":
        settings = plan.perturbation(analysis)
        profiles = rows["train"] * rows["length"] * len(settings["splits"])
        candidates = len(settings["dims"]) * len(settings["strengths"]) * (1 + settings["inner_folds"])
        if model is not None and model.is_baseline:
            candidates = 1 + settings["inner_folds"]
        elif model is not None and model.reading == "as_in_paper":  # which chooses nothing
            candidates = 1
        return float(FILES + SCORED * profiles * candidates)
    return FIXED[rule]


def passes(plan: Plan, rows: Mapping[str, float], rule: str, model: Model) -> tuple[float, float]:
    """(Batches, tokens of a batch) of forward and backward passes of a network that reads cells."""
    if rule == "pretrain_cells":
        settings = plan.pretraining(model.name)
        corpus = str((model.entry.get("pretrained") or {}).get("corpus"))
        known = plan.config.get("cells", {}).get(corpus, {}).get("genes", READ)
        longest = min(float(model.entry.get("max_tokens") or READ), known)
        return float(settings["steps"]), settings["batch_size"] * longest
    asked = plan.perturbation("finetuned")
    tuning = plan.config["finetuning"] | plan.config["analyses"].get("finetuned", {}).get("finetuning", {})
    runs = len(asked["splits"]) * len(tuning["learning_rates"])
    genes = min(asked.get("sampled_genes", TOKENS) or rows["length"], rows["length"])
    pairs = rows["train"] * min(STUDIED, asked.get("pairs") or STUDIED)
    return runs * tuning["epochs"] * pairs / tuning["batch_size"], tuning["batch_size"] * genes
