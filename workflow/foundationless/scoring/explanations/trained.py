"""From a weight directory and a sequence set to the record of an explanation: train, explain, write."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from foundationless.errors import UserError
from foundationless.evaluation import records
from foundationless.models.weights import load_weights
from foundationless.runtime.cards import read_card
from foundationless.runtime.files import atomic_path
from foundationless.runtime.usage import JobUsage
from foundationless.scoring.explanations.job import How, explain
from foundationless.scoring.explanations.motifs import Motifs
from foundationless.scoring.explanations.rollout import has_attention
from foundationless.training.compute import Compute
from foundationless.training.finetuning import train_chosen
from foundationless.training.sweep import Settings, chosen_rate


def run_job(
    *,
    weights: Path,
    sequences: Path,
    settings: Settings,
    compute: Compute,
    runs: Path,
    recipe: int,
    motifs: Motifs,
    how: How,
    identity: Mapping[str, Any],
    chosen: Path | None,
    record: Path,
    predictions: Path,
    energy: bool,
    checkpoint_seconds: float,
) -> None:
    """Train the classifier of the cell `identity`, explain it, and write predictions and record, the record last.

    `chosen`: the record of fine-tuning whose learning rate is taken (None: that of the settings, or the best of them).
    """
    usage = JobUsage(compute.device, energy=energy)
    if read_card(weights / "weights.json")["reading"] == "as_in_paper":
        raise UserError(f"{weights}: weights read as in the paper are not explained; take the published reading.")
    # Other methods explain every network; what has none of those asked for shall not train first.
    if list(how.methods) == ["rollout"] and not has_attention(load_weights(weights, "cpu")):
        raise UserError("--methods rollout: this network has none of them; add another.")
    settings = settings if chosen is None else chosen_rate(chosen, settings)
    trained = train_chosen(weights, sequences, settings, compute, runs, recipe, checkpoint_seconds)
    tokenizer = load_weights(weights, "cpu").tokenizer
    results, rows = explain(trained, tokenizer, motifs, how, replace(compute, precision="fp32"))
    named = {key: identity[key] for key in ("task", "model", "init", "seed")}
    with atomic_path(predictions) as part:
        rows.assign(**named).to_parquet(part, index=False)
    said = {"methods": list(how.methods), "steps": how.steps, "baseline": how.baseline, "sequences": how.sequences}
    said |= {"references": how.references, "reference_seed": how.seed} if how.baseline == "shuffled" else {}
    said |= {"between": list(motifs.between), "stranded": motifs.stranded, "explained_classes": list(motifs.classes)}
    # Rates that were chosen elsewhere differ between arms, whose settings must not: the selection has them.
    kept = {key: value for key, value in trained.settings.items() if chosen is None or key != "rates"}
    records.write_record(
        record,
        **identity,
        parameters=trained.parameters,
        settings=kept | {"explaining": said},
        results=results,
        selections=trained.selections,
        hashes=records.hash_files(predictions=predictions, sequences=sequences, weights=weights),
        cost=usage.cost(),
    )
