"""Nothing that is read may run: not the program's own words, not a file, and nothing speaks to a network unasked."""

import ast
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from foundationless.errors import UserError
from foundationless.models.bpe_training import train_pieces
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import initialise, load_checkpoint
from foundationless.study.config import read_yaml
from support import ROOT

PACKAGE = ROOT / "workflow" / "foundationless"
FILES = sorted(PACKAGE.rglob("*.py"))
CONFIG = {
    "d_model": 16, "n_layer": 1, "d_inner": 32, "vocab_size": 12, "max_seq_len": 34, "emb_dim": 3, "filter_order": 8,
    "num_inner_mlps": 1, "model_type": "hyenadna",
}  # fmt: skip

# ---- the program's own words

REFUSED = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.exec", "os.spawn", "torch.hub",
           "torch.jit.load", "torch.classes.load_library", "torch.ops.load_library", "yaml.load", "yaml.full_load",
           "yaml.unsafe_load", "pandas.read_pickle", "numpy.lib.format.read_array"}  # fmt: skip
UNPICKLERS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
HARMLESS = {"pickle.UnpicklingError"}  # the name of an error


def findings(source: str) -> list[str]:
    """What in a module could run strangers' code, by its full names, however they were imported."""
    tree, names, found = ast.parse(source), dict[str, str](), list[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.split(".")[0]: alias.name if alias.asname else alias.name.split(".")[0]
                      for alias in node.names}  # fmt: skip
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    calls: dict[int, ast.Call] = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value == "trust_remote_code":
            found.append("trust_remote_code")
        if isinstance(node, ast.keyword) and node.arg in ("trust_remote_code", "shell", "allow_pickle", "weights_only"):
            wanted = str(node.arg == "weights_only")
            if node.arg == "trust_remote_code" or ast.unparse(node.value) != wanted:
                found.append(f"{node.arg}={ast.unparse(node.value)}")
        if not isinstance(node, ast.Attribute | ast.Name):
            continue
        first, dot, rest = ast.unparse(node).partition(".")
        full = names.get(first, first) + dot + rest
        if full.split(".")[0] in UNPICKLERS and full not in HARMLESS and "." in full:
            found.append(full)
        if full in REFUSED or full.startswith(("os.exec", "os.spawn", "torch.hub.")):
            found.append(full)
        if full == "torch.load":
            call = calls.get(id(node))
            if call is None or "weights_only" not in {keyword.arg for keyword in call.keywords}:
                found.append("torch.load without weights_only")
        if full.endswith(".from_pretrained") and full.startswith(("transformers.", "Auto")):
            found.append(full)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_word_of_the_program_runs_what_it_reads(path):
    assert not findings(path.read_text())


@pytest.mark.parametrize(
    "line",
    [
        "from transformers import AutoModel; AutoModel.from_config(c, trust_remote_code=True)",
        "f(**{'trust_remote_code': True})",
        "from transformers import AutoModel; AutoModel.from_pretrained('lab/model')",
        "import torch; torch.load(path)",
        "import torch; torch.load(path, weights_only=False)",
        "from torch import load as read; read(path)",
        "import torch; read = torch.load; read(path)",
        "import torch; torch.hub.load('lab/model', 'm')",
        "import pickle; pickle.load(stream)",
        "from pickle import loads as parse; parse(data)",
        "import pickle as p; p.Unpickler(stream).load()",
        "import joblib; joblib.load(path)",
        "import numpy as np; np.load(path, allow_pickle=True)",
        "import pandas as pd; pd.read_pickle(path)",
        "import yaml; yaml.load(text, yaml.Loader)",
        "import subprocess; subprocess.run(text, shell=True)",
        "import os; os.system(text)",
        "eval(text)",
        "exec(text)",
    ],
)
def test_the_search_finds_what_it_is_for(line):
    assert findings(line)


# ---- the network

# Not among them: socket.bind, by which urllib3 asks at import whether this machine has IPv6.
WATCH = """
import sys
seen = []
def watch(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr",
                 "socket.getnameinfo", "socket.sendto", "socket.sendmsg"}:
        seen.append((event, str(arguments)))
        raise PermissionError(f"no network: {event}")
    if event in ("os.system", "os.exec", "os.posix_spawn", "pty.spawn"):
        seen.append((event, str(arguments)))
sys.addaudithook(watch)
"""


def watched(code: str, directory: Path) -> subprocess.CompletedProcess:
    """Run code in a fresh interpreter where every use of the network is noted and fails; no offline switch is set."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    environment |= {"PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), *filter(None, sys.path)])}
    environment |= {"HF_HOME": str(directory / "home")}
    script = f"{WATCH}\n{code}\nassert not seen, seen\nprint('quiet')"
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True)


def test_the_watch_sees_a_connection(tmp_path):
    code = "import socket\ntry: socket.create_connection(('127.0.0.1', 9))\nexcept PermissionError: pass"
    answer = watched(code, tmp_path)
    assert answer.returncode == 1 and "AssertionError: [('socket." in answer.stderr


def test_no_network_at_import(tmp_path):
    """Every module of the package, the libraries of every family included."""
    code = (
        "import importlib, pkgutil, foundationless\n"
        "names = [m.name for m in pkgutil.walk_packages(foundationless.__path__, 'foundationless.')]\n"
        "assert len(names) > 60, names\n"
        "for name in names:\n"
        "    if not name.endswith('__main__'): importlib.import_module(name)\n"
        "from foundationless.models.registry import family_class\n"
        "from foundationless.study.families import FAMILIES\n"
        "from foundationless.models.tokenizers import load_tokenizer\n"
        "for family in FAMILIES: family_class(family)\n"
        "for name in ('hyenadna', 'nt_v2'): load_tokenizer(name)\n"
        "assert {'torch', 'transformers', 'tokenizers'} <= set(sys.modules)"
    )
    answer = watched(code, tmp_path)
    assert answer.returncode == 0 and answer.stdout.strip() == "quiet", answer.stderr[-2000:]


def test_no_network_in_use(tmp_path, checkpoint):
    """Loading a checkpoint, drawing a model, and asking the hub's cache: only a download may speak."""
    code = (
        "import json\n"
        "from pathlib import Path\n"
        "from foundationless.errors import UserError\n"
        "from foundationless.models.weights import initialise, load_checkpoint\n"
        "from foundationless.models.hub import fetch_checkpoint, fetch_tokenizer\n"
        f"load_checkpoint({str(checkpoint)!r}, 'hyenadna')\n"
        f"initialise('hyenadna', json.loads({json.dumps(CONFIG)!r}), 0)\n"
        "for fetch in (fetch_checkpoint, fetch_tokenizer):\n"
        f"    for place in (dict(offline=True, cache=Path('cache')), dict(local_hub=Path({str(tmp_path)!r}))):\n"
        "        try: fetch('lab/none', 'f' * 40, **place)\n"
        "        except UserError as error: print(error, file=sys.stderr)\n"
        "        else: raise SystemExit('found')"
    )
    answer = watched(code, tmp_path)
    assert answer.returncode == 0 and answer.stdout.strip() == "quiet", answer.stderr[-2000:]
    assert answer.stderr.count("not in the cache") == 2 and answer.stderr.count("no such directory") == 2


# ---- files that would run code


@pytest.fixture
def checkpoint(tmp_path):
    directory = tmp_path / "checkpoint"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(CONFIG))
    save_file(initialise("hyenadna", CONFIG, 4).published_state(), directory / "model.safetensors")
    return directory


class Exploit:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path, function=os.system):
        self.mark, self.function = mark, function

    def __reduce__(self):
        return self.function, (f"touch {self.mark}",)


class ByEvaluation(Exploit):
    """The same through `eval`."""

    def __reduce__(self):
        return eval, (f"open({str(self.mark)!r}, 'w')",)


def bare_pickle(path: Path, mark: Path) -> None:
    with path.open("wb") as stream:
        pickle.dump({"lm_head.weight": Exploit(mark)}, stream, protocol=2)


def saved_by_torch(path: Path, mark: Path) -> None:
    torch.save({"lm_head.weight": torch.zeros(16, 16), "extra": ByEvaluation(mark)}, path)


def saved_by_old_torch(path: Path, mark: Path) -> None:
    torch.save({"lm_head.weight": Exploit(mark)}, path, _use_new_zipfile_serialization=False)


def archive_with_code(path: Path, mark: Path) -> None:
    """An archive as `torch.save` writes it, with a second, hostile pickle in the place of the first."""
    torch.save({"lm_head.weight": torch.zeros(16, 16)}, path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, pickle.dumps(Exploit(mark), protocol=2) if name.endswith("data.pkl") else data)


@pytest.mark.parametrize("write", [bare_pickle, saved_by_torch, saved_by_old_torch, archive_with_code])
@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
def test_a_pickle_that_would_run_code_is_refused(write, name, checkpoint, tmp_path):
    mark = tmp_path / "mark"
    (checkpoint / "model.safetensors").unlink()
    write(checkpoint / name, mark)
    with pytest.raises(UserError, match="could run code" if name.endswith("bin") else "damaged"):
        load_checkpoint(checkpoint, "hyenadna")
    assert not mark.exists()


@pytest.mark.parametrize("write", [bare_pickle, saved_by_torch, saved_by_old_torch, archive_with_code])
def test_those_pickles_would_run_code(write, tmp_path):
    """What the test above refuses is not harmless by accident."""
    write(tmp_path / "file", tmp_path / "mark")
    try:
        if write is bare_pickle:
            pickle.loads((tmp_path / "file").read_bytes())  # noqa: S301
        else:
            torch.load(tmp_path / "file", weights_only=False)
    except Exception as error:
        print(error)
    assert (tmp_path / "mark").exists()


def test_auto_map_runs_nothing(checkpoint, tmp_path, monkeypatch):
    """A configuration and a tokenizer that name Python files beside them, as repositories with remote code do."""
    mark = tmp_path / "mark"
    for name in ("modeling_hyena", "configuration_hyena", "tokenization_hyena"):
        (checkpoint / f"{name}.py").write_text(f"open({str(mark)!r}, 'w')\nclass Model: pass\nclass Tokenizer: pass\n")
    remote = {"AutoConfig": "configuration_hyena.Model", "AutoModel": "modeling_hyena.Model"}
    changed = CONFIG | {"auto_map": remote, "trust_remote_code": True, "custom_pipelines": {}}
    (checkpoint / "config.json").write_text(json.dumps(changed))
    monkeypatch.chdir(checkpoint)
    monkeypatch.syspath_prepend(str(checkpoint))
    with pytest.raises(UserError, match="'trust_remote_code'"):
        load_checkpoint(checkpoint, "hyenadna")
    (checkpoint / "config.json").write_text(json.dumps(CONFIG | {"auto_map": remote}))
    expected = initialise("hyenadna", CONFIG, 4)
    assert torch.equal(load_checkpoint(checkpoint, "hyenadna").lm_head.weight, expected.lm_head.weight)
    pieces = json.loads(train_pieces("gena_lm", ["ACGTTGCA" * 20], 24))
    remote = {"AutoTokenizer": ["tokenization_hyena.Tokenizer", None]}
    (checkpoint / "tokenizer_config.json").write_text(json.dumps({"auto_map": remote}))
    (checkpoint / "tokenizer.json").write_text(json.dumps(pieces))
    assert load_tokenizer("gena_lm", checkpoint).size == 24
    (checkpoint / "tokenizer.json").write_text(json.dumps(pieces | {"auto_map": remote}))
    with pytest.raises(UserError, match="not a readable"):
        load_tokenizer("gena_lm", checkpoint)
    assert not mark.exists() and not {"modeling_hyena", "tokenization_hyena"} & set(sys.modules)


def test_a_table_that_would_run_code_is_refused(tmp_path):
    (tmp_path / "models.yaml").write_text(f"a: !!python/object/apply:os.system ['touch {tmp_path}/mark']\n")
    with pytest.raises(UserError, match="not valid YAML"):
        read_yaml(tmp_path / "models.yaml")
    assert not (tmp_path / "mark").exists()
