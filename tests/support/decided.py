"""A tiny study with looks that decides for a known reason: its pretrained arm cannot see the sequence."""

from safetensors.torch import save_file

from foundationless.models.weights import initialise
from foundationless.runtime.files import sha256, write_json
from foundationless.study.config import read_yaml
from support import ROOT
from support.studies import write_study

STEM = "hyenadna.demo"
BLIND, TWIN = "hyenadna.blind", "hyenadna.twin"


def publish(directory, config, *, blind):
    """A checkpoint as a lab would publish it: a random initialisation, whose letters are all alike if it is `blind`."""
    directory.mkdir(parents=True)
    state = initialise("hyenadna", config, 99).published_state()
    for name, tensor in state.items():
        if blind and "word_embeddings" in name:
            state[name] = tensor * 0
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, directory / "model.safetensors")
    write_json(directory / "config.json", dict(config))


def write_decided(directory, name="decided.yaml", *, models=(BLIND,), test=168, **changes):
    """The study in a checkout: frozen features of one task of nine classes, against those of random networks.

    `models`: BLIND must lose; TWIN is one more random network, about which nothing can be said for long. `test`: items.
    """
    demo = read_yaml(ROOT / "config/config.yaml")
    size = demo["models"][STEM]["config"]
    full = {**read_yaml(ROOT / "config/models.yaml")["hyenadna"]["config"], **size}
    entries = {}
    for model in models:
        path = f"checkpoints/{model.partition('.')[2]}"
        if not (directory / path).exists():
            publish(directory / path, full, blind=model == BLIND)
        source = {"source": "local", "path": path, "sha256": sha256(directory / path / "model.safetensors")}
        entries[model] = {"label": model, "config": size, "pretrained": source}
    return write_study(
        directory / name,
        models=entries,
        baselines={"length_gc": {}},
        limits=demo["limits"] | {"sim_biotype": {"test": test}},
        statistics=demo["statistics"] | {"resamples": 200},
        analyses={"biotype": {"tasks": ["sim_biotype"]}},
        **{"seeds": {"from": 3, "to": 5}, **changes},
    )
