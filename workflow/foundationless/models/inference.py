"""The forward pass of a network over many inputs: batches by token budget, sorted by length."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foundationless.errors import UserError
from foundationless.models.batching import collate, token_batches
from foundationless.models.contract import GenomicModel
from foundationless.models.weights import Weights
from foundationless.runtime.log import progress, tell

# rows, ids, mask, and the hidden states: a tensor, or a list of them where `every` state is asked for
Handle = Callable[[np.ndarray, Tensor, Tensor, Any], Callable[[], None] | None]
States = Callable[[Tensor, Tensor | None], Any]  # ids and mask to those

# Numbers of a batch's hidden states (tokens × width) beyond which a CPU only gets slower: what its caches hold.
# Measured for widths 128 to 1280; batches of 16,384 tokens take 1.3 to 1.8 times as long.
CACHED = 1 << 19


def choose_device(name: str) -> torch.device:
    """Device for `auto` (CUDA if present), `cpu`, `cuda` or `cuda:N`; one that is not there is a `UserError`."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"--device {name}: no such device; use auto, cpu, cuda or cuda:N.") from None
    if device.type not in {"cpu", "cuda"}:
        raise UserError(f"--device {name}: this program runs on cpu and cuda; use auto, cpu, cuda or cuda:N.")
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise UserError(f"--device {name}: this machine has no such CUDA device; use --device cpu.")
    return device


def run_network(
    weights: Weights,
    inputs: Sequence[np.ndarray],
    handle: Handle,
    *,
    token_budget: int,
    device: str | torch.device,
    precision: str,
    label: str = "embedding",
    represent: bool = False,
    done: int = 0,
    after: Callable[[int], None] | None = None,
    every: bool = False,
) -> None:
    """Run token ids through the network in batches and hand every batch to `handle(rows, ids, mask, hidden)`.

    Memory: that of one batch's forward pass, whatever the number of inputs and their lengths.

    Args:
        weights: model and tokenizer; the model is moved to `device` and set to evaluation.
        inputs: token ids, each [tokens]; any integer type.
        handle: gets positions in `inputs`, their padded ids and padding mask [batch, tokens], and the hidden states
            [batch, tokens, width], in bfloat16 or float32 as the network leaves them; runs outside autocast. It may
            start copies to the host (`non_blocking`) and return a function that uses them: that one is called when
            they have arrived, the device being busy with the next batch already.
        token_budget: tokens of a batch, padding included; an input longer than that is a batch of its own. On a CPU
            at most what its caches hold. Halved, with a message, when CUDA memory is short.
        device: as `choose_device` understands it.
        precision: `fp32`, or `bf16` (autocast).
        label: name on the progress bar.
        represent: whether the states are to make embeddings of, and no vocabulary is predicted from them.
        done: how many inputs, in the order in which they run (longest first), were handled before and are left out; on
            a CPU the batches that follow are those of a run that began at 0.
        after: called with their number, `done` included, whenever a batch is finished.
        every: hand over the list of all states, the embedding first, instead of the last one; they take the memory of
            one state each.
    """
    passes = _Passes(weights, inputs, handle, choose_device(str(device)), _states(weights.model, represent, every))
    cuda, lengths = passes.place.type == "cuda", passes.lengths
    if (longest := int(lengths.max(initial=0))) > token_budget:
        tell(f"{label}: an input of {longest} tokens exceeds --token-budget {token_budget}; it runs by itself.")
    if not cuda:
        token_budget = min(token_budget, CACHED // passes.model.width)

    def finish(started: tuple[np.ndarray, Callable[[], None]] | None) -> None:
        """Use a batch's results, once they are on the host."""
        nonlocal done
        if started is not None:
            rows, use = started
            use()
            done += len(rows)
            if after is not None:
                after(done)

    order = passes.cut(np.arange(len(inputs)), token_budget)
    left = np.concatenate([np.zeros(0, dtype=np.int64), *order])[done:]
    waiting, started = deque(passes.cut(left, token_budget)), None
    with (
        progress(int(lengths[left].sum()), label, "tok", scale=True) as bar,
        # Autocast keeps its bfloat16 weights until it is left, hence one context around all batches; under
        # inference_mode it would keep none, hence no_grad.
        torch.no_grad(),
        torch.autocast(passes.place.type, torch.bfloat16, precision == "bf16"),
    ):
        while waiting:
            rows = waiting[0]
            try:
                use = passes.start(rows)
            except torch.cuda.OutOfMemoryError:
                token_budget = _halved(token_budget, lengths[rows], label)
                waiting = deque(passes.cut(np.concatenate(waiting), token_budget))
                continue
            waiting.popleft()
            finish(started)  # the device is busy with the next batch already
            started = rows, use
            bar.update(int(lengths[rows].sum()))
        finish(started)


def _halved(token_budget: int, lengths: np.ndarray, label: str) -> int:
    """A budget of half the tokens of a batch that was too large; `UserError` where it was one input."""
    if len(lengths) == 1:
        raise UserError(
            f"{label}: one input of {lengths[0]} tokens does not fit the GPU's memory; "
            "use --precision bf16, a smaller --max-tokens or --device cpu."
        ) from None
    torch.cuda.empty_cache()
    budget = max(1, min(token_budget, int(lengths.max()) * len(lengths)) // 2)
    tell(f"{label}: GPU memory is short; going on with --token-budget {budget}.")
    return budget


def _states(model: GenomicModel, represent: bool, every: bool) -> States:
    """What of the model gives the states that `run_network` hands over."""
    if every:
        return model.represent_every if represent else model.every_state
    return model.represent if represent else model.encode


class _Passes:
    """A network on its device, what it is given and what is done with its hidden states; see `run_network`."""

    def __init__(
        self, weights: Weights, inputs: Sequence[np.ndarray], handle: Handle, place: torch.device, states: States
    ) -> None:
        self.inputs, self.handle, self.place = inputs, handle, place
        self.model = weights.model.to(place).eval()
        self.states = states
        self.pad_id = weights.tokenizer.pad_id
        self.lengths = np.array([len(ids) for ids in inputs], dtype=np.int64)
        # Models that the paper gave no mask see padding as it read them, and it embedded sequences one by one.
        unmasked = self.model.reading == "as_in_paper" and not self.model.paper_masked
        self.equal = self.model.padding == "equal" or unmasked

    def cut(self, rows: np.ndarray, token_budget: int) -> list[np.ndarray]:
        """Rows in batches of at most so many tokens, longest first."""
        return [rows[batch] for batch in token_batches(self.lengths[rows], token_budget, self.equal)]

    def start(self, rows: np.ndarray) -> Callable[[], None]:
        """Put one batch through network and `handle`; what remains to be done once its results are on the host."""
        cuda = self.place.type == "cuda"
        ids, mask = collate([self.inputs[row] for row in rows], self.pad_id)
        if cuda:
            ids, mask = (part.pin_memory().to(self.place, non_blocking=True) for part in (ids, mask))
        # Attention without a mask is faster and needs no memory that grows with the square of the length.
        padded = self.model.padding == "mask" and self.lengths[rows[-1]] < self.lengths[rows[0]]
        hidden = self.states(ids, mask if padded else None)
        with torch.autocast(self.place.type, enabled=False):
            following = self.handle(rows, ids, mask, hidden)
        arrived = torch.cuda.current_stream(self.place).record_event() if cuda else None

        def use() -> None:
            if arrived is not None:
                arrived.synchronize()
            if following is not None:
                following()

        return use
