"""Tiny checkpoints in the layout of published ones: `resources/lists/checkpoints.tsv` says which there are."""

import itertools
import json
import random

import torch
import transformers
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from foundationless.models.architectures.native import TYPES
from foundationless.models.bpe_training import train_pieces
from foundationless.models.weights import initialise
from support.networks import TINY, publish

LIST = "resources/lists/checkpoints.tsv"
# Whatever a configuration class calls its sizes: those that it has are set.
SIZES = {
    "vocab_size": 24, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 8,
    "num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 80, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2, "sep_token_id": 2, "cls_token_id": 1, "mask_token_id": 3,
    "embedding_size": 32, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 80, "num_layers": 2, "num_heads": 4,
    "rotary_dim": 4, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "num_local_experts": 4,
    "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16,
    "expert_layer_period": 2, "expert_layer_offset": 1, "attn_layer_period": 2, "attn_layer_offset": 1,
    "mamba_d_state": 8, "mamba_dt_rank": 4, "state_size": 8, "n_groups": 1, "time_step_rank": 4, "window_size": 6,
    "local_attention": 6, "block_size": 4, "num_random_blocks": 1, "conv_kernel_size": 5, "word_embed_proj_dim": 32,
}  # fmt: skip
PARTICULAR = {
    "falcon": {"head_dim": None},
    "gemma2": {"sliding_window": 6},
    "gemma3_text": {"sliding_window": 6},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "mamba2": {"num_heads": 8},
    "modernbert": {"global_attn_every_n_layers": 2},
    "modernbert-decoder": {"global_attn_every_n_layers": 2, "sliding_window": 6},
    "olmo3": {"sliding_window": 6},
}
_FAST = {"tokenizer_class": "PreTrainedTokenizerFast"}
_ROLES = {f"{role}_token": f"[{role.upper()}]" for role in ("unk", "cls", "sep", "pad", "mask")}
_ESM = {f"{role}_token": f"<{role}>" for role in ("unk", "pad", "mask", "cls")}


def tiny(model_type, **changes):
    """The configuration of a native class in a small size."""
    kind = CONFIG_MAPPING[model_type]
    names = set(kind().to_dict()) - set(kind.attribute_map)
    sizes = {name: value for name, value in SIZES.items() if name in names}
    sizes |= PARTICULAR.get(model_type, {}) | changes
    return kind(**{name: value for name, value in sizes.items() if value is not None})


def network(model_type, head=None, **changes):
    """A native network with parameters that are all different from their initial values."""
    config = tiny(model_type, **changes)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        made = getattr(transformers, head or TYPES[model_type].head)(config).eval()
        with torch.no_grad():
            for name, parameter in made.named_parameters():
                if parameter.requires_grad and "embed_positions" not in name:
                    parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def _kmers(k, letters="ACGT"):
    return list(map("".join, itertools.product(letters, repeat=k)))


def _words(k):
    """A tokenizer.json of k-mers side by side, or of letters."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(_kmers(k) if k > 1 else ()), *"ACGTN"]
    tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Replace(" ", "")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(f".{{1,{k}}}"), "isolated")
    tokenizer.add_special_tokens(tokens[:5])
    return {"tokenizer.json": tokenizer.to_str(), "tokenizer_config.json": _FAST | _ROLES}, len(tokens)


def _letters_of_gpn():
    tokenizer = Tokenizer(
        models.WordLevel({t: i for i, t in enumerate(["[PAD]", "[MASK]", "[UNK]", *"acgt"])}, "[UNK]")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.add_special_tokens(["[PAD]", "[MASK]", "[UNK]"])
    settings = _FAST | {"pad_token": "[PAD]", "mask_token": "[MASK]", "unk_token": "[UNK]"}
    return {"tokenizer.json": tokenizer.to_str(), "tokenizer_config.json": settings}, 7


def _pieces(name):
    letters = random.Random(1)
    corpus = ["".join(letters.choices("ACGT", k=500)) for _ in range(20)]
    text = train_pieces(name, corpus, 40)
    return {"tokenizer.json": text, "tokenizer_config.json": _FAST | _ROLES}, 40


def _vocabulary(specials, tokens, **settings):
    lines = [*specials, *tokens]
    return {"vocab.txt": "\n".join(lines) + "\n", "tokenizer_config.json": settings}, len(lines)


def tokenizer_files(kind):
    """({name: content}, rows of the embedding table) of a kind of the list's column `tokenizer`."""
    bert = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    if kind.startswith("words"):
        return _words(int(kind[-1]))
    if kind.startswith("overlapping"):
        return _vocabulary(bert, _kmers(int(kind[-1])), tokenizer_class="BertTokenizer", do_lower_case=False)
    if kind == "esm6":  # <eos> and <bos> lie outside the table
        tokens = [*_kmers(6, "ATCG"), *"ATCGN"]
        files, rows = _vocabulary(["<unk>", "<pad>", "<mask>", "<cls>"], [*tokens, "<eos>", "<bos>"])
        return files | {
            "tokenizer_config.json": {"tokenizer_class": "EsmTokenizer", "eos_token": None} | _ESM
        }, rows - 2
    if kind == "esm6_v2":
        files, rows = _vocabulary(
            ["<unk>", "<pad>", "<mask>", "<cls>", "<eos>", "<bos>"], [*_kmers(6, "ATCG"), *"ATCGN"]
        )
        return files | {"tokenizer_config.json": {"tokenizer_class": "EsmTokenizer", "eos_token": None} | _ESM}, rows
    if kind == "generator":
        specials = ["<oov>", "<s>", "</s>", "<pad>"]
        files, rows = _vocabulary(specials, _kmers(6), tokenizer_class="DNAKmerTokenizer", k=6)
        return files | {"tokenizer_config.json": {"tokenizer_class": "DNAKmerTokenizer", "k": 6} | {
            "unk_token": "<oov>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}}, rows  # fmt: skip
    if kind == "prokbert":
        remote = {"AutoTokenizer": ["tokenizer.ProkBERTTokenizer", None]}
        return _vocabulary(bert, _kmers(6), auto_map=remote, kmer=6, shift=1)
    made = {"letters": lambda: _words(1), "gpn": _letters_of_gpn, "rule": lambda: ({}, 0)}
    made |= {"pieces": lambda: _pieces("dnabert2"), "gena": lambda: _pieces("gena_lm")}
    return made[kind]()


def build(directory, row, positions=None, **form):
    """A checkpoint in the layout of a row of the list; `form` as for `save_pretrained`."""
    files, rows = tokenizer_files(row["tokenizer"])
    if row["read_by"] in TINY and row["read_by"] not in ("mistral", "nt_v1", "transformers"):
        config = TINY[row["read_by"]] | ({"vocab_size": rows} if rows else {})
        if row["tokenizer"] == "gpn" and row["read_by"] == "caduceus":
            swap = {3: 6, 4: 5, 5: 4, 6: 3}
            config |= {"vocab_size": 8, "complement_map": {str(i): swap.get(i, i) for i in range(8)}}
        facts = {"model_type": row["model_type"]} if row["model_type"] else {}
        publish(directory, initialise(row["read_by"], config, 4), architectures=[row["architecture"]], **facts)
    else:
        pad = 1 if row["model_type"] == "esm" else 0
        longest = {} if positions is None else {"n_positions": positions, "max_position_embeddings": positions}
        longest = {
            name: value for name, value in longest.items() if name in CONFIG_MAPPING[row["model_type"]]().to_dict()
        }
        network(row["model_type"], vocab_size=rows, pad_token_id=pad, **longest).save_pretrained(directory, **form)
    for name, content in files.items():
        (directory / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return directory
