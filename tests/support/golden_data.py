"""The committed part of the golden sets: one file a set, unpacked into the layout that the full sets have.

A file is xz over an npz: `index` (JSON: file -> name -> dtype, offset, shape; and whole JSON documents), and one array
of bytes per dtype, in which the first bytes of all numbers stand before their second bytes, because so they pack well.
"""

import hashlib
import io
import itertools
import json
import lzma
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from foundationless.models.bpe_training import train_pieces
from foundationless.models.tokenizers import PIECES

DATA = Path(__file__).parents[1] / "golden" / "data"
SETS = dict(
    hyenadna="hyenadna", caduceus_ps="caduceus", mistral="mistral", nt_500m="nt_v1", nt_v2="nt_v2", dnabert2="dnabert2",
    gena_lm="gena_lm", gena_native_postln="bert", caduceus_ph="caduceus_ph", plant_caduceus="caduceus",
)  # fmt: skip
# The vocabularies of Nucleotide Transformer follow from a rule: tokens before and behind the 6-mers, and the SHA-256
# of the published file.
KMERS = {
    "nt_500m": ("<unk> <pad> <mask> <cls>", "A T C G N <eos> <bos>",
                "f1b544e27897936b50bbd925850fa8a08b421c33bb9c26e3711c140c061d0d4c"),
    "nt_v2": ("<unk> <pad> <mask> <cls> <eos> <bos>", "A T C G N",
              "c00e0ad166d6ab3f7540ebc92270392e581bb3106763412f29034b49323e1052"),
}  # fmt: skip


def write(path: Path, files: dict[str, dict[str, np.ndarray]], texts: dict[str, object]) -> None:
    """Write the arrays of several files, equal ones once, and JSON documents."""
    index: dict[str, dict[str, list]] = {}
    blocks: dict[str, list[np.ndarray]] = {}
    places: dict[tuple[str, bytes], int] = {}
    for name, arrays in files.items():
        for key, array in sorted(arrays.items()):
            kind, content = array.dtype.name, array.tobytes()
            block = blocks.setdefault(kind, [])
            if (kind, content) not in places:
                places[kind, content] = sum(part.size for part in block)
                block.append(array.ravel())
            index.setdefault(name, {})[key] = [kind, places[kind, content], list(array.shape)]
    planes = {
        kind: np.ascontiguousarray(np.concatenate(block).view(np.uint8).reshape(-1, block[0].itemsize).T)
        for kind, block in blocks.items()
    }
    stream = io.BytesIO()
    head = json.dumps({"arrays": index, "texts": texts}, separators=(",", ":"))
    np.savez(stream, index=np.frombuffer(head.encode(), np.uint8), **planes)
    path.write_bytes(lzma.compress(stream.getvalue(), preset=9 | lzma.PRESET_EXTREME))


def read(path: Path) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, object]]:
    """What `write` was given."""
    with np.load(io.BytesIO(lzma.decompress(path.read_bytes()))) as archive:
        head = json.loads(archive["index"].tobytes())
        flat = {
            kind: np.ascontiguousarray(archive[kind].T).view(kind).ravel() for kind in archive.files if kind != "index"
        }
    files = {
        name: {key: flat[kind][at : at + int(np.prod(shape))].reshape(shape) for key, (kind, at, shape) in keys.items()}
        for name, keys in head["arrays"].items()
    }
    return files, head["texts"]


def unpack_sets(directory: Path, kind: str = "data") -> Path:
    """Write the committed sets of tests/golden/`kind` under `directory`, each at its own place, and return it."""
    for path in sorted((DATA.parent / kind).glob("*.npz.xz")):
        files, texts = read(path)
        for name, arrays in files.items():
            tensors = {key: torch.from_numpy(array.copy()) for key, array in arrays.items()}
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            save_file(tensors, directory / name)
        for name, content in texts.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(json.dumps(content))
    return directory


def unpack(directory: Path) -> Path:
    """Write every committed set under `directory`, where the full sets have their files, and return it."""
    unpack_sets(directory)
    tokenizers = directory / "tokenizers/files"
    for name, (before, behind, checksum) in KMERS.items():
        kmers = ("".join(letters) for letters in itertools.product("ATCG", repeat=6))
        text = "\n".join([*before.split(), *kmers, *behind.split()])
        assert hashlib.sha256(text.encode()).hexdigest() == checksum, f"the vocabulary of {name} is not the published"
        (tokenizers / name).mkdir(parents=True)
        (tokenizers / name / "vocab.txt").write_text(text)
    for name in PIECES:
        merges = json.loads((directory / f"tokenizers/a/{name}.json").read_text())["merges"]
        (tokenizers / name).mkdir()
        (tokenizers / name / "tokenizer.json").write_text(piece_file(name, merges))
    return directory


def piece_file(name: str, merges: list[list[int]]) -> str:
    """A `tokenizer.json` in the frame that is written here, with the merges [left, right, merged] given by ids."""
    first = [token for tokens in PIECES[name] for token in tokens]
    pieces = dict(enumerate(first))
    pairs = []
    for left, right, merged in merges:
        pairs.append([pieces[left], pieces[right]])
        pieces[merged] = pieces[left] + pieces[right]
    frame = json.loads(train_pieces(name, ["ACGT"], len(first)))
    frame["model"] |= {"vocab": {piece: number for number, piece in pieces.items()}, "merges": pairs}
    return json.dumps(frame)


def assert_gradients_as_official(
    model: torch.nn.Module, official: dict[str, torch.Tensor], ids: torch.Tensor, mask: torch.Tensor | None = None
) -> None:
    """Within the tolerance of the golden sets, plus the rounding where the official ones are kept as float16."""
    hidden, logits = model(ids, mask)
    if mask is not None:
        hidden, logits = hidden * mask[:, :, None], logits * mask[:, :, None]
    loss = (hidden * official["cotangent.last_hidden_state"]).sum() / hidden.numel()
    loss = loss + (logits * official["cotangent.logits"]).sum() / logits.numel()
    loss.backward()
    torch.testing.assert_close(loss, official["loss"][0], atol=1e-5, rtol=1e-4)
    parameters = dict(model.named_parameters())
    expected = {key.removeprefix("grad."): value for key, value in official.items() if key.startswith("grad.")}
    for name, value in expected.items():
        near = 1e-3 + (2**-11 if value.dtype == torch.float16 else 0)
        torch.testing.assert_close(
            parameters[name].grad, value.float(), rtol=near, atol=1e-6, msg=lambda said, of=name: f"{of}: {said}"
        )
    for name in parameters.keys() - expected.keys():
        assert parameters[name].grad is None or not parameters[name].grad.any(), name
