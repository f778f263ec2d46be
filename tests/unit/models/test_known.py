"""A checkpoint proves itself: embeddings by transformers are the oracle, and what was tampered with is refused."""

import json
import math
import runpy

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from foundationless.errors import UserError
from foundationless.models import known as module
from foundationless.models.hub import import_checkpoint
from foundationless.models.known import TOLERANCE, find_known, prove, read_known
from foundationless.models.onboarding import check_embedding
from foundationless.runtime.files import sha256
from support import ROOT
from support.commands import call

LIST = ROOT / "resources" / "lists" / "known_embeddings.json"
REVISION = "0123456789abcdef0123456789abcdef01234567"
IDS = [7, 8, 9, 10, 11, 7, 8, 9, 10, 1]
CARD = {
    "model": "tiny", "family": "transformers", "tokenizer": "hyenadna", "init": "pretrained", "seed": None,
    "source": f"lab/tiny@{REVISION}",
}  # fmt: skip


@pytest.fixture
def checkpoint(tmp_path):
    """A tiny GPT-2 that transformers wrote, and the list with what transformers makes of a sequence."""
    torch.manual_seed(3)
    settings = transformers.GPT2Config(
        vocab_size=12, n_embd=24, n_layer=2, n_head=3, n_positions=64, bos_token_id=0, eos_token_id=1
    )
    network = transformers.GPT2LMHeadModel(settings).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(4)
        hidden = network.transformer(torch.tensor([IDS])).last_hidden_state[0].double()
    directory = tmp_path / "published"
    network.save_pretrained(directory)
    vector = hidden.mean(0)
    row = {
        "repository": "lab/tiny", "revision": REVISION, "sequence": "ACGTNACGT", "input_ids": IDS, "pooling": "mean",
        "files": {"model.safetensors": [(directory / "model.safetensors").stat().st_size,
                                        sha256(directory / "model.safetensors")]},
        "n": 24, "norm": vector.norm().item(), "values": vector[:16].tolist(),
    }  # fmt: skip
    path = tmp_path / "known.json"
    path.write_text(json.dumps([row]))
    return directory, path, row


def tamper(directory, name="transformer.h.1.mlp.c_fc.weight", factor=1.02):
    path = directory / "model.safetensors"
    tensors = load_file(path)
    tensors[name] = tensors[name] * factor
    save_file(tensors, path, metadata={"format": "pt"})


def test_it_agrees_and_says_so(checkpoint, tmp_path, capsys):
    directory, path, _ = checkpoint
    import_checkpoint(directory, tmp_path / "weights", CARD, known=read_known(path))
    proof = json.loads((tmp_path / "weights" / "weights.json").read_text())["known_embedding"]
    assert proof["agrees_to"] < 1e-6 and proof["repository"] == "lab/tiny" and proof["sequence"] == "ACGTNACGT"
    assert "agrees to" in capsys.readouterr().err
    for place in (directory, tmp_path / "weights"):
        said, facts = check_embedding(place, read_known(path), "transformers")
        assert "agrees to" in said and facts["agrees_to"] < 1e-6


def test_a_text_without_ids(checkpoint, tmp_path):
    """Read by the tokenizer, special tokens and all."""
    directory, path, row = checkpoint
    path.write_text(json.dumps([row | {"input_ids": None}]))
    import_checkpoint(directory, tmp_path / "weights", CARD, known=read_known(path))
    assert check_embedding(tmp_path / "weights", read_known(path))[1]["agrees_to"] < 1e-6


def test_other_weights_under_a_known_revision_are_refused(checkpoint, tmp_path):
    directory, path, _ = checkpoint
    tamper(directory)
    with pytest.raises(UserError, match=r"embedding of ACGTNACGT is .* lab/tiny gives at 0123456789ab"):
        import_checkpoint(directory, tmp_path / "weights", CARD, known=read_known(path))
    assert not (tmp_path / "weights").exists()


def test_known_weights_read_as_another_function_are_refused(checkpoint, tmp_path):
    """By the bytes of the file, wherever it comes from: another number of heads, another activation."""
    directory, path, _ = checkpoint
    config = json.loads((directory / "config.json").read_text())
    for change in ({"n_head": 4}, {"activation_function": "relu"}):
        (directory / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(UserError, match="another function"):
            import_checkpoint(directory, tmp_path / "weights", CARD | {"source": "here"}, known=read_known(path))
        with pytest.raises(UserError, match="another function"):
            check_embedding(directory, read_known(path), "transformers")


def test_of_an_unknown_one_nothing_is_claimed(checkpoint, tmp_path, capsys):
    directory, path, _ = checkpoint
    tamper(directory)
    import_checkpoint(directory, tmp_path / "weights", CARD | {"source": "here"}, known=read_known(path))
    assert "no published embedding of this checkpoint is known" in capsys.readouterr().err
    assert "known_embedding" not in json.loads((tmp_path / "weights" / "weights.json").read_text())
    assert check_embedding(directory, read_known(path), "transformers") == (
        f"{directory}: no published embedding of this checkpoint is known here; nothing to compare with.",
        {},
    )
    assert read_known(tmp_path / "none.json") == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"input_ids": [7, 12]}, "ids that this model does not"),
        ({"n": 25}, "24 values, the published one has 25"),
        ({"norm": 1e6}, "of its norm from the one"),
        ({"input_ids": None, "sequence": None}, "no tokenizer to read it with"),
    ],
)
def test_what_cannot_be_compared(checkpoint, tmp_path, change, said):
    directory, path, row = checkpoint
    path.write_text(json.dumps([row | change]))
    with pytest.raises(UserError, match=said):
        import_checkpoint(directory, tmp_path / "weights", CARD, known=read_known(path))


def test_a_value_that_is_no_number_is_no_agreement(checkpoint):
    _, path, _ = checkpoint
    (row,) = read_known(path)

    class Broken(torch.nn.Module):
        padding, vocabulary_size, max_tokens = "right", 12, 64

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def encode(self, ids, mask):
            return torch.full((1, ids.shape[1], 24), torch.nan)

    with pytest.raises(UserError, match="of its norm"):
        prove(Broken(), None, row, "here")


def test_the_command(checkpoint, monkeypatch, capsys):
    directory, path, _ = checkpoint
    monkeypatch.setattr("foundationless.commands.models.KNOWN_EMBEDDINGS", path)
    assert call(["models", "--check", directory, "--family", "transformers"]) == 0
    assert "agrees to" in capsys.readouterr().out
    tamper(directory)
    assert call(["models", "--check", directory, "--family", "transformers", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {}


def test_weight_files_of_no_known_size_are_not_read(checkpoint, monkeypatch):
    directory, path, row = checkpoint
    path.write_text(json.dumps([row | {"files": {"model.safetensors": [1, "0" * 64]}}]))
    monkeypatch.setattr(module, "sha256", lambda path: pytest.fail("it was read"))
    assert module.weight_checksums(directory, read_known(path)) == []


def test_the_committed_list():
    rows = read_known(LIST)
    assert len(rows) >= 20 and len({row.repository for row in rows}) == len(rows)
    for row in rows:
        assert math.hypot(*row.values) <= row.norm * (1 + 1e-6) and len(row.values) == 16 <= row.n
        assert row.input_ids or row.sequence
        assert all(len(checksum) == 64 for _, checksum in row.files.values()) and len(row.revision) == 40
        assert find_known(rows, f"{row.repository}@{row.revision}", ()) is row
        assert all(find_known(rows, "", [checksum]) is row for _, checksum in row.files.values())
    assert LIST.stat().st_size < 20_000 and TOLERANCE < 1e-3


def test_the_committed_list_is_what_its_script_makes(shared, tmp_path):
    script = LIST.parent / "make_known_embeddings.py"
    (tmp_path / script.name).write_text(script.read_text())
    runpy.run_path(str(tmp_path / script.name))["main"](shared / "golden" / "real_checkpoint_oracles")
    assert (tmp_path / LIST.name).read_bytes() == LIST.read_bytes()
