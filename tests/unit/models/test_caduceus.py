"""Caduceus: the selective scan against a plain loop, exact equivariance, strict configurations, other tokenizers."""

import pytest
import torch

from foundationless.errors import UserError
from foundationless.models.architectures.scan import selective_scan as scan
from foundationless.models.architectures.scan.cpu_threads import side_by_side
from foundationless.models.architectures.scan.selective_scan import selective_scan
from foundationless.models.registry import family_class
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import initialise, retokenized
from support.networks import TINY

CONFIG = TINY["caduceus"] | dict(
    d_model=12, n_layer=3, bidirectional_strategy="add", bidirectional_weight_tie=True, residual_in_fp32=False,
    ssm_cfg=dict(d_state=5, d_conv=3),
)  # fmt: skip


def loop(x, delta, A, B, C, reverse=False):
    """The recurrence, one token at a time."""
    if reverse:
        return loop(x.flip(1), delta.flip(1), A, B.flip(1), C.flip(1)).flip(1)
    h, y = torch.zeros(len(x), *A.shape, dtype=A.dtype), []
    for t in range(x.shape[1]):
        h = torch.exp(delta[:, t, :, None] * A) * h + delta[:, t, :, None] * x[:, t, :, None] * B[:, t, None]
        y.append((h * C[:, t, None]).sum(-1))
    return torch.stack(y, dim=1)


def arguments(batch, tokens, channels, states, dtype=torch.float64):
    generator = torch.Generator().manual_seed(tokens)
    x, delta = (torch.randn(batch, tokens, channels, generator=generator, dtype=dtype) for _ in range(2))
    A = -torch.randn(channels, states, generator=generator, dtype=dtype).exp()
    B, C = (torch.randn(batch, tokens, states, generator=generator, dtype=dtype) for _ in range(2))
    return [x, 0.3 * delta.exp(), A, B, C]


@pytest.fixture(params=["one chunk", "chunks of 3", "logarithmic depth", "logarithmic depth, chunks of 5"])
def layout(request, monkeypatch):
    """The ways in which a scan is cut up; the logarithmic one is that of GPUs."""
    made = scan._plan

    def plan(x, A, least_steps):
        groups, steps, _ = made(x, A, least_steps)
        if "of" in request.param:
            groups = [slice(start, min(start + 2, len(x))) for start in range(0, len(x), 2)]
            steps = min(int(request.param[-1]), x.shape[1])
        return scan._Plan(groups, steps, "depth" in request.param)

    monkeypatch.setattr(scan, "_plan", plan)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 3, 2), (1, 2, 1, 1), (3, 17, 5, 4), (2, 8, 6, 1)])
def test_scan(layout, shape, reverse):
    values = [value.requires_grad_() for value in arguments(*shape)]
    y, expected = selective_scan(*values, reverse), loop(*values, reverse)
    torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-12)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)
    found, slopes = (torch.autograd.grad(out, values, weights) for out in (y, expected))
    for one, other in zip(found, slopes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)
    with torch.no_grad():
        assert torch.equal(selective_scan(*values, reverse), y)


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_gradients_numerically(layout, reverse):
    values = [value.requires_grad_() for value in arguments(2, 7, 3, 2)]
    assert torch.autograd.gradcheck(lambda *v: selective_scan(*v, reverse), values)


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_continues_from_a_state(reverse):
    x, delta, A, B, C = arguments(2, 11, 4, 3)
    state = torch.zeros(2, 3, 4, dtype=x.dtype)
    pieces = [slice(0, 4), slice(4, 5), slice(5, 11)]
    parts = {
        p.start: selective_scan(x[:, p], delta[:, p], A, B[:, p], C[:, p], reverse, state)
        for p in (reversed(pieces) if reverse else pieces)
    }
    torch.testing.assert_close(torch.cat([parts[p.start] for p in pieces], 1), loop(x, delta, A, B, C, reverse))
    with pytest.raises(ValueError, match="state 0"):
        selective_scan(x.requires_grad_(), delta, A, B, C, reverse, state)


def test_scan_is_float32_under_autocast():
    values = [value.requires_grad_() for value in arguments(2, 9, 4, 3, torch.float32)]
    plain = selective_scan(*values)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(selective_scan(*values), plain)
        with torch.no_grad():
            assert torch.equal(selective_scan(*values), plain)
    half = [value.detach().bfloat16() if i != 2 else value for i, value in enumerate(values)]
    assert selective_scan(*half).dtype == torch.float32


class _Largest(torch.overrides.TorchFunctionMode):
    """Elements of the largest tensor that any operation returned."""

    elements = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else (result,):
            if isinstance(value, torch.Tensor):
                self.elements = max(self.elements, value.untyped_storage().nbytes() // value.element_size())
        return result


@pytest.mark.parametrize("gradients", [False, True])
def test_scan_never_holds_all_states(gradients):
    values = arguments(1, 20000, 24, 16, torch.float32)
    for value in values:
        value.requires_grad_(gradients)
    everything = 20000 * 24 * 16
    with _Largest() as largest:
        y = selective_scan(*values)
        if gradients:
            y.sum().backward()
    assert 20000 * 24 <= largest.elements < everything / 4


def tiny(seed=1, **changes):
    """A tiny model, loud enough for differences to show."""
    model = initialise("caduceus", {**CONFIG, **changes}, seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(3)
    return model


def tokens(*shape):
    return torch.randint(6, 12, shape, generator=torch.Generator().manual_seed(shape[-1]))


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("shape", [(1, 1), (1, 8), (2, 37), (3, 64)])
@pytest.mark.parametrize("autocast", [False, True])
def test_equivariance_is_exact(fused, shape, autocast):
    model, ids = tiny(fused_add_norm=fused), tokens(*shape)
    complement = model.lm_head.complement_map
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients), torch.autocast("cpu", torch.bfloat16, autocast):
            (hidden, logits), (reverse, relogits) = model(ids), model(complement[ids].flip(1))
            states, restates = model.hidden_states(ids), model.hidden_states(complement[ids].flip(1))
        assert torch.equal(reverse, hidden.flip(1, 2)) and torch.equal(relogits, logits.flip(1)[..., complement])
        assert all(torch.equal(b, a.flip(1, 2)) for a, b in zip(states, restates, strict=True))
        assert (hidden - hidden.flip(1, 2)).abs().max() > 0.1


def test_gradients_are_equivariant_and_those_of_single_tokens():
    """A gradient at one strand is that at the other; a numerical slope agrees, in float64."""
    model, ids = tiny().double(), tokens(2, 21)
    rc = model.lm_head.complement_map[ids].flip(1)
    weights = torch.randn(2, 21, 24, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    parameters = list(model.parameters())
    one = torch.autograd.grad((model.encode(ids) * weights).sum(), parameters)
    other = torch.autograd.grad((model.encode(rc) * weights.flip(1, 2)).sum(), parameters)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
    for parameter, slope in zip(parameters, one, strict=True):
        at, step = int(slope.abs().argmax()), 1e-6
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.view(-1)[at] += sign * step
                values.append((model.encode(ids) * weights).sum())
                parameter.view(-1)[at] -= sign * step
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(float(slope.reshape(-1)[at]), rel=1e-4)


@torch.no_grad()
def test_long_inputs_go_through_in_pieces(monkeypatch):
    """Pieces shorter than the convolution's reach and longer ones give what the whole gives."""
    model, ids = tiny().double(), tokens(2, 41)
    whole = model.encode(ids)
    for piece in (2, 8, 30):
        monkeypatch.setattr("foundationless.models.architectures.scan.mamba._CPU_PIECE", piece)
        torch.testing.assert_close(model.encode(ids), whole, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("autocast", [False, True])
def test_parts_side_by_side_are_as_one_after_the_other(autocast):
    """Values, autocast, inference mode and thread counts are those of the caller; errors reach it."""
    model, ids, before = tiny(), tokens(4, 33), torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, autocast):
                results.append(model(ids)[1])
            assert torch.get_num_threads() == threads and results[-1].is_inference()
            with torch.no_grad(), side_by_side(2, ids.device) as both:
                assert list(both(lambda part: (part, torch.get_num_threads()), "ab")) == [
                    ("a", max(1, threads // 2)), ("b", max(1, threads // 2))
                ]  # fmt: skip
                with pytest.raises(ZeroDivisionError):
                    list(both(lambda part: 1 / part, [1, 0]))
        assert results[0].dtype == (torch.bfloat16 if autocast else torch.float32)
        assert torch.equal(results[1], results[0])  # one thread for each part in both
        torch.testing.assert_close(results[2], results[0], atol=0.2 if autocast else 1e-4, rtol=0)
    finally:
        torch.set_num_threads(before)


def test_every_token_sees_every_other():
    model, ids = tiny(), tokens(1, 40)
    changed = ids.clone()
    changed[0, 20] = 7 if ids[0, 20] != 7 else 8
    with torch.no_grad():
        difference = (model.encode(ids) - model.encode(changed)).abs().amax(-1)[0]
    assert (difference > 0.01).all()


def test_the_two_forms_and_the_study():
    fused, unfused = tiny(), tiny(fused_add_norm=False)
    paper = initialise("caduceus", CONFIG, 1, reading="as_in_paper")
    ids = tokens(1, 30)
    with torch.no_grad():
        assert (fused.encode(ids) - unfused.encode(ids)).abs().max() > 0.1
        assert (len(fused.hidden_states(ids)), len(unfused.hidden_states(ids))) == (4, 3)
        assert torch.equal(paper.encode(ids), paper.hidden_states(ids)[-1])
        assert not paper.fused and paper.encode(ids).shape == (1, 30, 24) == paper(ids)[0].shape
        assert not torch.equal(paper.encode(ids), paper(ids)[0])
        torch.testing.assert_close(fused.project(fused.encode(ids)), fused(ids)[1])


def test_bfloat16_autocast_stays_close():
    model, ids = initialise("caduceus", {**CONFIG, "d_model": 64}, 0), tokens(2, 200)
    with torch.no_grad():
        exact = model.encode(ids)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = model.encode(ids)
    assert half.dtype == torch.float32
    assert ((half - exact).norm() / exact.norm()) < 0.02


def test_adapters_reach_every_projection():
    """A module put in the place of a linear layer is what the model calls (as low-rank adapters are)."""

    class Adapted(torch.nn.Module):
        def __init__(self, base):
            super().__init__()
            self.base, self.calls = base, 0

        def forward(self, x):
            self.calls += 1
            return self.base(x)

    model = tiny()
    mixer = model.caduceus.backbone.layers[0].mixer.submodule
    adapted = []
    for direction, name in [
        (mixer.mamba_fwd, "in_proj"), (mixer.mamba_fwd, "out_proj"), (mixer.mamba_fwd, "x_proj"),
        (mixer.mamba_rev, "x_proj"), (mixer.mamba_fwd, "dt_proj"), (mixer.mamba_rev, "dt_proj"),
    ]:  # fmt: skip
        setattr(direction, name, Adapted(getattr(direction, name)))
        adapted.append(getattr(direction, name))
    model(tokens(1, 12))
    assert [module.calls for module in adapted] == [2] * 6  # once for each strand


def test_shapes_follow_the_configuration():
    ssm = dict(d_state=7, d_conv=5, expand=3, dt_rank=4)
    model = initialise("caduceus", {**CONFIG, "d_model": 20, "ssm_cfg": ssm, "vocab_size": 12}, 0)
    layer = {name: tensor for name, tensor in model.state_dict().items() if "layers.2" in name}
    shapes = {name.split("mamba_rev.")[-1]: tuple(tensor.shape) for name, tensor in layer.items()}
    assert shapes["A_log"] == (60, 7) and shapes["conv1d.weight"] == (60, 1, 5) and shapes["x_proj.weight"] == (18, 60)
    assert shapes["dt_proj.weight"] == (60, 4) and shapes["in_proj.weight"] == (120, 20)
    assert model.vocabulary_size == 16 and model(tokens(1, 9))[1].shape == (1, 9, 16)


def test_another_tokenizer_brings_its_complements():
    tokenizer = load_tokenizer("character")
    config = retokenized("caduceus", CONFIG, tokenizer)
    model = initialise("caduceus", config, 0)
    assert model.vocabulary_size == 16 >= tokenizer.size
    sequence, complement = "ACGTTGCAANGT", "ACNTTGCAACGT"
    ids, rc = (torch.from_numpy(tokenizer.encode(s, special=False))[None] for s in (sequence, complement))
    assert torch.equal(model.lm_head.complement_map[ids].flip(1), rc)
    with torch.no_grad():
        assert torch.equal(model.encode(rc), model.encode(ids).flip(1, 2))
    special = sorted(tokenizer.special_ids | {tokenizer.unknown_id, tokenizer.base_ids["N"]})
    assert model.lm_head.complement_map[special].tolist() == special
    with pytest.raises(UserError, match="character tokenizer"):
        retokenized("caduceus", CONFIG, load_tokenizer("nt_v1"))
    assert family_class("caduceus").check_config(config) == config
