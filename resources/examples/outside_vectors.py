"""Vectors or scores of a task by a model that the workflow does not run, as an arm from outside: an example to copy.

It needs nothing of foundationless, so that it runs in the environment of the model: pyarrow, and for --model torch and
transformers. Export the sequences, compute each arm, and name the files in a study (README.md, "Arms from outside"):

    python -m foundationless export_sequences --task H3 --output exports
    python resources/examples/outside_vectors.py --sequences exports/H3.parquet --model lab/model --revision COMMIT \
        --by "Your Name" --output outside/lab/pretrained/seed0/H3.parquet
    python resources/examples/outside_vectors.py --sequences exports/H3.parquet --model lab/model --revision COMMIT \
        --random 0 --by "Your Name" --output outside/lab/random/seed0/H3.parquet

For a model that is not on the hub write a function of a list of sequences that returns a list of vectors (lists of
floats), and name it: --function my_model:embed --arm pretrained --parameters 7000000000. For scores of variants it takes
the REF windows and the ALT windows and returns a number for each pair: --function my_model:score --scores tolerated.
"""

import argparse
import hashlib
import importlib
import json
import os
import shlex
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--sequences", required=True, type=Path, help="TASK.parquet, as export_sequences wrote it, TASK.json beside it")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", help="a model of the Hugging Face hub, or a directory with its files")
    source.add_argument("--function", help="MODULE:NAME, a function of a list of sequences that returns their vectors")
    add("--revision", required=True, help="revision of the model: a commit of the hub, a release, a date")
    add("--random", type=int, metavar="SEED", help="the random arm: the same architecture, weights drawn from this seed")
    add("--arm", choices=["pretrained", "random", "baseline"], default="pretrained", help="which arm a function is")
    add("--parameters", type=int, help="numbers that the network behind a function has")
    add("--pooling", default="mean", help="what the vectors of a function are called (default: mean)")
    add("--scores", choices=["damaging", "tolerated"], help="a function scores variants: what a higher score means")
    add("--by", required=True, help="who computed it")
    add("--batch", type=int, default=16, help="sequences at once")
    add("--output", required=True, type=Path, help="Parquet file to write; its card lies beside it (JSON)")
    arguments = parser.parse_args()

    table = pq.read_table(arguments.sequences)
    embed, facts = (read_model if arguments.model else read_function)(arguments)
    columns = {}
    for start in range(0, len(table), arguments.batch):
        rows = table.slice(start, arguments.batch)
        windows = [rows[name].to_pylist() for name in ("sequence", "alternative")[: 2 if arguments.scores else 1]]
        for name, values in embed(*windows).items():
            columns.setdefault(name, []).extend(values)
    write(arguments, table["id"], columns, facts)


def read_model(arguments):
    """A function of sequences that returns {pooling: vectors}, and what the card says of the network."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    where = {} if Path(arguments.model).is_dir() else {"revision": arguments.revision}
    tokenizer = AutoTokenizer.from_pretrained(arguments.model, **where)
    if arguments.random is None:
        model = AutoModel.from_pretrained(arguments.model, **where)
    else:
        torch.manual_seed(arguments.random)
        model = AutoModel.from_config(AutoConfig.from_pretrained(arguments.model, **where))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.float().eval().to(device)

    @torch.inference_mode()
    def embed(sequences):
        batch = tokenizer(sequences, padding=True, return_special_tokens_mask=True, return_tensors="pt").to(device)
        counted = ~batch.pop("special_tokens_mask").bool() & batch["attention_mask"].bool()  # tokens of nucleotides
        batch.pop("token_type_ids", None)
        states = model(**batch).last_hidden_state
        mean = (states * counted[..., None]).sum(dim=1) / counted.sum(dim=1, keepdim=True)
        largest = states.masked_fill(~counted[..., None], float("-inf")).amax(dim=1)
        return {"mean": mean.cpu().tolist(), "max": largest.cpu().tolist()}

    facts = {"model": arguments.model, "arm": "pretrained"}
    if arguments.random is not None:
        facts |= {"arm": "random", "seed": arguments.random}
    return embed, facts | {"parameters": sum(each.numel() for each in model.parameters())}


def read_function(arguments):
    """The same of a function that the caller wrote."""
    sys.path.insert(0, os.getcwd())
    module, name = arguments.function.split(":")
    function = getattr(importlib.import_module(module), name)
    facts = {"model": arguments.function, "arm": "random" if arguments.random is not None else arguments.arm}
    facts |= {"seed": arguments.random} if arguments.random is not None else {}
    facts |= {"parameters": arguments.parameters} if arguments.parameters else {}
    facts |= {"higher": arguments.scores} if arguments.scores else {}
    name = "score" if arguments.scores else arguments.pooling
    return lambda *windows: {name: function(*windows)}, facts


def write(arguments, ids, columns, facts):
    """The vectors or scores, and then the card that vouches for them."""
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    kind = pa.float64() if arguments.scores else pa.list_(pa.float32())
    found = {name: pa.array(values, kind) for name, values in columns.items()}
    pq.write_table(pa.table({"id": ids} | found), arguments.output, compression="zstd")
    exported = json.loads(arguments.sequences.with_suffix(".json").read_text())
    card = {
        "by": arguments.by,
        **facts,
        "revision": arguments.revision,
        "command": shlex.join(["python", *sys.argv]),
        "task": exported["task"],
        "sha256": hashlib.sha256(arguments.output.read_bytes()).hexdigest(),
        "sequences_sha256": exported["sequences_sha256"],
    }
    arguments.output.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n")


if __name__ == "__main__":
    main()
