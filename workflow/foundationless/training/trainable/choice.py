"""Which weights of a model a fine-tuning job trains, and how it is held in memory, by the job's settings."""

from foundationless.models.contract import GenomicModel
from foundationless.runtime.log import tell
from foundationless.training.sweep import Settings
from foundationless.training.trainable.layers import Layers, freeze_below, read_layers


def choose_trained(model: GenomicModel, settings: Settings, seed: int) -> Layers:
    """Freeze and adapt a model as the settings say; its depths, where one of them reads them.

    `seed`: of adapters. A model without blocks, with too few, or without linear maps is a `UserError`.
    """
    last = int(settings.trainable.removeprefix("last_")) if settings.trainable.startswith("last_") else 0
    layers = Layers()
    if last or settings.layer_rates != 1 or settings.unfreeze:
        read = read_layers(model)
        layers = Layers(read.blocks, read.tail, settings.layer_rates, settings.unfreeze)
    if never := layers.unreached(settings.epochs):
        tell(f"unfreezing: {settings.epochs} epochs do not come to the lowest {never} of {layers.top + 1} depths")
    if settings.lora_rank:
        from foundationless.training.trainable.lora import add_adapters

        rank, alpha, dropout = settings.lora_rank, settings.lora_alpha, settings.lora_dropout
        add_adapters(model, rank, alpha, dropout, seed, settings.lora_targets)
    elif settings.trainable != "all":
        freeze_below(model, layers, last)
    return layers


def save_memory(model: GenomicModel, settings: Settings) -> None:
    """Hold a model that is on its device, and has its frozen weights, as the settings say."""
    from foundationless.training.trainable.saving import lower_frozen, recompute_blocks

    if settings.weight_precision == "bf16":
        tell(f"{lower_frozen(model):,} frozen numbers are kept in bfloat16, all others in float32")
    if settings.gradient_checkpointing:
        recompute_blocks(model)
