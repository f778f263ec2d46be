"""Write tests/golden/official: numbers that the official packages give for small networks with seeded random weights.

    python tests/golden/make_official.py        in an environment with ai2-olmo==0.6.0 and gpn==0.9.0 (both of PyPI)

A set holds configurations, weights, token ids, hidden states and logits in float32 on a CPU, and of a wider network the
deviation and the greatest magnitude of every tensor that the official initialisation draws.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "workflow")]

from support.golden_data import write  # noqa: E402

OUTPUT = Path(__file__).parent / "official"
SEED = 1815
STILL = {"attention_dropout": 0.0, "residual_dropout": 0.0, "embedding_dropout": 0.0}
OLMO = {"d_model": 16, "n_heads": 4, "n_layers": 2, "vocab_size": 20, "embedding_size": 24, "max_sequence_length": 48}
# The switches of Omni-DNA are those of OLMo's first release; the others are held to the same numbers.
OLMO_SETS = {
    "first": {"rope": True, "include_bias": False, "layer_norm_with_affine": False, "weight_tying": False,
              "mlp_ratio": 4, "init_fn": "mitchell", "clip_qkv": 1.5},
    "rms": {"rope": True, "include_bias": False, "layer_norm_type": "rms", "attention_layer_norm": True,
            "n_kv_heads": 2, "mlp_hidden_size": 40, "rope_theta": 500, "norm_after": True, "init_fn": "full_megatron",
            "weight_tying": False, "layer_norm_eps": 1e-6},
    "positions": {"rope": False, "activation_type": "gelu", "mlp_ratio": 4, "init_fn": "normal"},
    "biased": {"rope": True, "mlp_ratio": 4, "bias_for_layer_norm": False, "attention_layer_norm": True,
               "multi_query_attention": True, "init_fn": "normal", "init_cutoff_factor": 2.0},
}  # fmt: skip
GPN = {"hidden_size": 16, "n_layers": 7, "kernel_size": 3, "vocab_size": 7, "dilation_max": 16, "dilation_cycle": 6}


def louder(network: torch.nn.Module) -> torch.nn.Module:
    """The network with weights at which states differ from each other, biases and norms included."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            noise = torch.randn_like(parameter)
            if parameter.ndim > 1:
                parameter.copy_(noise * 0.8 / parameter[0].numel() ** 0.5)
            else:
                parameter.add_(0.3 * noise) if "norm" in name or "ln" in name else parameter.copy_(0.3 * noise)
    return network.eval()


def numbers(network: torch.nn.Module, prefix: str = "") -> dict[str, np.ndarray]:
    return {prefix + name: tensor.numpy() for name, tensor in network.state_dict().items()}


def spreads(network: torch.nn.Module, prefix: str = "") -> dict[str, list[float]]:
    facts = {}
    for name, tensor in network.state_dict().items():
        facts[prefix + name] = [tensor.double().std(correction=0).item(), tensor.abs().max().item()]
    return facts


def olmo() -> None:
    from olmo.config import ModelConfig
    from olmo.model import OLMo

    files, texts = {}, {}
    for name, switches in OLMO_SETS.items():
        config = OLMO | STILL | switches
        torch.manual_seed(SEED)
        network = louder(OLMo(ModelConfig(**config, init_device="cpu")))
        ids = torch.randint(0, OLMO["vocab_size"], (2, 23))
        with torch.no_grad():
            answer = network(ids, output_hidden_states=True)
        outputs = {f"hidden_states.{i}": state.numpy() for i, state in enumerate(answer.hidden_states)}
        files[f"olmo/{name}/weights.safetensors"] = numbers(network, "model.")
        outputs |= {"input_ids": ids.numpy(), "logits": answer.logits.numpy()}
        files[f"olmo/{name}/outputs.safetensors"] = outputs
        texts[f"olmo/{name}/config.json"] = config | {"model_type": "hf_olmo"}
        wide = config | {"d_model": 128}
        texts[f"olmo/{name}/init.json"] = spreads(OLMo(ModelConfig(**wide, init_device="cpu")), "model.")
    write(OUTPUT / "olmo.npz.xz", files, texts)


def gpn() -> None:
    from gpn.ss.model import ConvNetConfig, ConvNetForMaskedLM

    torch.manual_seed(SEED)
    network = louder(ConvNetForMaskedLM(ConvNetConfig(**GPN)))
    ids = torch.randint(0, GPN["vocab_size"], (2, 67))
    with torch.no_grad():
        outputs = {
            "input_ids": ids.numpy(),
            "hidden_states.-1": network.model(input_ids=ids).last_hidden_state.numpy(),
            "logits": network(input_ids=ids).logits.numpy(),
        }
    files = {"gpn/a/weights.safetensors": numbers(network), "gpn/a/outputs.safetensors": outputs}
    wide = spreads(ConvNetForMaskedLM(ConvNetConfig(**GPN | {"hidden_size": 96})))
    texts = {"gpn/a/config.json": GPN | {"model_type": "ConvNet"}, "gpn/a/init.json": wide}
    write(OUTPUT / "gpn.npz.xz", files, texts)


if __name__ == "__main__":
    OUTPUT.mkdir(exist_ok=True)
    olmo()
    gpn()
    print(json.dumps({path.name: path.stat().st_size for path in OUTPUT.iterdir()}))
