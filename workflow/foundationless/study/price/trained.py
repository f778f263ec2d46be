"""What fine-tuning trains, by a study's settings, and what that does to its work. Standard library only."""

from collections.abc import Mapping
from typing import Any


def trained_as(settings: Mapping[str, Any]) -> str:
    """What a fine-tuning trains: all, head, last_N or lora."""
    return str(settings.get("trainable", "lora" if settings["lora"]["rank"] else "all"))


def graph_blocks(settings: Mapping[str, Any], depth: float, epoch: int) -> float:
    """Blocks, from the last one down, that have a backward pass in the epoch after so many."""
    trained = trained_as(settings)
    most = 0.0 if trained == "head" else depth
    if trained.startswith("last_"):
        most = min(depth, float(trained.removeprefix("last_")))
    every = settings.get("unfreeze", 0)
    return min(most, epoch // every) if every else most


def forward_passes(settings: Mapping[str, Any], depth: float) -> float:
    """Work of training by that of a forward pass, on average over the epochs: 3 where every weight is trained.

    Gradients of what blocks read, and of their weights, cost a forward pass each; adapters' weights next to nothing;
    blocks that are computed again one more.
    """
    epochs = range(settings["epochs"]) if settings.get("unfreeze") else range(1)
    shares = [graph_blocks(settings, depth, epoch) / max(depth, 1) for epoch in epochs]
    share = sum(shares) / len(shares)
    weights = 0.0 if trained_as(settings) == "lora" else share
    return 1 + share + weights + (share if settings.get("gradient_checkpointing") else 0.0)
