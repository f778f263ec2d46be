"""Weights between random and pretrained: what of a pretrained model is it that helps?

`embedding`: the pretrained table of token embeddings (and a vocabulary head that is tied to it), all else as at random
initialisation. `permuted`: every pretrained parameter with its values permuted within the tensor, so that it keeps its
distribution and loses its structure; a tensor of several names is permuted once, and what is stored but never trained
(buffers: positions, complement maps) stays. `copy`: the pretrained weights as they are, to show that the comparison
of an arm with itself finds nothing.
"""

import numpy as np
import torch

from foundationless.errors import UserError
from foundationless.models.contract import GenomicModel
from foundationless.models.weights import Weights


def derive(init: str, pretrained: Weights, random: Weights, seed: int) -> GenomicModel:
    """The control model `init`; it is made in place, of the random model (`embedding`) or the pretrained one.

    `random` are the weights of `seed`, which also decides the permutation: same seed, same bytes. `UserError` where the
    two weights are not of one architecture, or the architecture has no table of embeddings.
    """
    _check_pair(pretrained, random, seed)
    if init == "embedding":
        names = random.model.embedding_names()
        if not names:
            raise UserError(f"family '{random.card['family']}': no table of token embeddings to take over.")
        source, target = pretrained.model.state_dict(), random.model.state_dict()
        for name in names:
            target[name].copy_(source[name])
        return random.model
    if init == "copy":
        return pretrained.model
    generator = np.random.default_rng(seed)
    with torch.no_grad():
        for _, parameter in sorted(pretrained.model.named_parameters()):
            values = generator.permutation(parameter.detach().numpy().ravel())
            parameter.copy_(torch.from_numpy(values).view_as(parameter))
    return pretrained.model


def _check_pair(pretrained: Weights, random: Weights, seed: int) -> None:
    for weights, init in ((pretrained, "pretrained"), (random, "random")):
        if weights.card["init"] != init:
            raise UserError(f"--{init}: these weights are of init '{weights.card['init']}'; give {init} ones.")
    if random.card["seed"] != seed:
        raise UserError(f"--seed {seed}: the random weights are of seed {random.card['seed']}; give those of {seed}.")
    pairs = [(f"'{key}'", pretrained.card[key], random.card[key]) for key in ("family", "tokenizer")]
    pairs.append(("'reading'", pretrained.model.reading, random.model.reading))
    ours, theirs = (weights.model.settings(weights.model.config) for weights in (pretrained, random))
    # A published configuration may state more, and how its model was once initialised is of no account.
    stated = sorted(ours.keys() & theirs.keys() - {"initializer_range"})
    pairs += [(f"'{key}'", ours[key], theirs[key]) for key in stated]
    first, second = (
        {name: list(tensor.shape) for name, tensor in weights.model.state_dict().items()}
        for weights in (pretrained, random)
    )
    pairs += [(f"tensor '{name}'", first.get(name), second.get(name)) for name in first | second]
    for what, one, other in pairs:
        if one != other:
            raise UserError(
                f"{what} is {one!r} in the pretrained and {other!r} in the random weights; both must be of one "
                "architecture."
            )
