"""scGPT (Cui et al. 2024, doi:10.1038/s41592-024-02201-0) as its own code has it (bowang-lab/scGPT, commit cebd6fa).

A token is a gene and its value; there are no positions. B cells, L tokens, D width, V tokens of the vocabulary:

    x = LN(gene[id]) + LN(W_2 relu(W_1 min(v, `max_value`)))            v: bins, -1 masked, `pad_value` padding
    x = LN_1(x + W_o attention(q, k, v));  x = LN_2(x + W_2 relu(W_1 x))            `nlayers` times (epsilons 1e-5)
    value = W_3 lrelu(W_2 lrelu(W_1 x))                                 of each token, from its own state
    value = W sigmoid(W_q LN(gene[id])) . x[<cls>]                      of each gene, from the cell's state alone
    class = W LN(relu(W_i ...)) of x[<cls>]                             `nlayers_cls` layers

`model: TransformerGenerator` is the form for perturbations: its token has pert[flag] too (0 no, 1 perturbed; the row
`pert_pad_id` is 0), and its value is coefficient * v + bias, both decoded from the state of the token.

Keys: encoder.{embedding, enc_norm}; value_encoder.{linear1, linear2, norm}; pert_encoder; transformer_encoder.layers.N.
{self_attn.{in_proj_weight, in_proj_bias, out_proj}, linear1, linear2, norm1, norm2}; decoder.fc.{0, 2, 4} (generator:
decoder.{coeff_decoder, bias_decoder}.fc); cls_decoder.{_decoder.{0, 2, ...}, out_layer}; mvc_decoder.{gene2query, W}.
Files of flash attention call in_proj_* `Wqkv.*`, or `_impl.Wqkv.*`: the same numbers in the same order.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foundationless.errors import UserError
from foundationless.models.architectures.blocks import attend, last_of, padding_bias, run_layers, working_dtype
from foundationless.models.cells.contract import CellModel, renamed
from foundationless.models.contract import check_integer, integers, is_number, keys
from foundationless.models.tokenizers import Tokenizer
from foundationless.models.tokenizers.genes import CLS, EOC, PAD, CellVocabulary

UNBOUNDED = 131_072  # longest cell; the architecture has no limit
GENERATOR = "TransformerGenerator"


class GeneEncoder(nn.Module):
    """LN(gene[id]), [B, L, D]."""

    def __init__(self, rows: int, width: int, padding: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(rows, width, padding_idx=padding)
        self.enc_norm = nn.LayerNorm(width)

    def forward(self, ids: Tensor) -> Tensor:
        states: Tensor = self.enc_norm(self.embedding(ids))
        return states


class ValueEncoder(nn.Module):
    """LN(W_2 relu(W_1 min(v, most))), [B, L, D]."""

    def __init__(self, width: int, dropout: float, most: float) -> None:
        super().__init__()
        self.most = most
        self.linear1, self.linear2 = nn.Linear(1, width), nn.Linear(width, width)
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)

    def forward(self, values: Tensor) -> Tensor:
        inner = F.relu(self.linear1(values[..., None].clamp(max=self.most)))
        states: Tensor = self.dropout(self.norm(self.linear2(inner)))
        return states


class JointAttention(nn.Module):
    """Attention whose three projections are one tensor, as torch's `MultiheadAttention` has them and draws them."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        joint = F.linear(x.to(working_dtype(x)), self.in_proj_weight, self.in_proj_bias)
        batch, tokens, _ = joint.shape
        query, key, value = joint.view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind()
        mixed: Tensor = self.out_proj(attend(query, key, value, bias, self.dropout if self.training else 0.0))
        return mixed


class Block(nn.Module):
    """Post-norm residual block, torch's `TransformerEncoderLayer` with relu."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = JointAttention(width, heads, dropout)
        self.linear1, self.linear2 = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        x = self.norm1(x + self.dropout(self.self_attn(x, bias)))
        inner = self.dropout(F.relu(self.linear1(x)))
        states: Tensor = self.norm2(x + self.dropout(self.linear2(inner)))
        return states


class ValueDecoder(nn.Module):
    """A number of each token, [B, L]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers = [nn.Linear(width, width), nn.LeakyReLU(), nn.Linear(width, width), nn.LeakyReLU()]
        self.fc = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, hidden: Tensor) -> Tensor:
        values: Tensor = self.fc(hidden).squeeze(-1)
        return values


class AffineDecoder(nn.Module):
    """Coefficient and bias of each token, each [B, L]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.coeff_decoder, self.bias_decoder = ValueDecoder(width), ValueDecoder(width)

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        return self.coeff_decoder(hidden), self.bias_decoder(hidden)


class ClassDecoder(nn.Module):
    """Scores of a cell's classes, [B, classes]."""

    def __init__(self, width: int, classes: int, layers: int) -> None:
        super().__init__()
        self._decoder = nn.ModuleList()
        for _ in range(layers - 1):
            self._decoder.extend([nn.Linear(width, width), nn.ReLU(), nn.LayerNorm(width)])
        self.out_layer = nn.Linear(width, classes)

    def forward(self, cell: Tensor) -> Tensor:
        for layer in self._decoder:
            cell = layer(cell)
        scores: Tensor = self.out_layer(cell)
        return scores


class CellDecoder(nn.Module):
    """W sigmoid(W_q g) . cell of each gene, [B, L]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gene2query, self.W = nn.Linear(width, width), nn.Linear(width, width, bias=False)

    def forward(self, cell: Tensor, genes: Tensor) -> Tensor:
        values: Tensor = (self.W(torch.sigmoid(self.gene2query(genes))) @ cell[:, :, None]).squeeze(2)
        return values


class ScGPT(CellModel):
    """scGPT in both forms; see the module's docstring for equations, shapes and key names.

    Random initialisation, in the official order of draws: gene embedding uniform in (-0.1, 0.1), the row of padding
    included; in_proj_weight Xavier uniform, attention's biases 0; every other linear layer as torch draws it;
    LayerNorms 1 and 0; flags N(0, 1). All layers of the encoder start as copies of one.
    """

    family = "scgpt"
    objective = "masked"
    padding = "mask"
    implementation = "here"
    required: ClassVar = integers("ntoken d_model nhead d_hid nlayers")
    # What the official classes assume where a key is absent.
    defaults: ClassVar[Mapping[str, Any]] = {
        "nlayers_cls": 3,
        "n_cls": 1,
        "dropout": 0.5,
        "max_value": 512,
        "pad_token": PAD,
        "pad_value": 0,
        "mask_value": -1,
        "n_input_bins": 0,
        "pert_pad_id": 2,
        "do_mvc": False,
    }
    optional = keys(
        "nlayers_cls n_cls dropout max_value pad_token pad_value mask_value n_input_bins pert_pad_id special_tokens"
    )
    switches: ClassVar = {
        "model": ("TransformerModel", GENERATOR),
        "do_mvc": (True, False),
        "input_emb_style": ("continuous",),
        "cell_emb_style": ("cls",),
        "mvc_decoder_style": ("inner product",),
        "decoder_activation": (None,),
        "decoder_adaptive_bias": (False,),
        "domain_spec_batchnorm": (False,),
        "explicit_zero_prob": (False,),
        "use_batch_labels": (False,),
        "do_dab": (False,),
        "pre_norm": (False,),
    }
    ignored: ClassVar = {
        "use_fast_transformer": "flash attention computes the same function; its names of tensors are read",
        "fast_transformer_backend": "flash attention computes the same function",
        "ecs_threshold": "a loss that is not used here",
    }
    vocabulary_heads = keys("decoder cls_decoder mvc_decoder")
    may_be_unexpected: ClassVar = {
        "flag_encoder.weight": "marks generated genes in the authors' pretraining; the class that embeds has none"
    }

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        settings = {**self.defaults, **config}
        width, dropout = settings["d_model"], settings["dropout"]
        self.width, self.vocabulary_size, self.max_tokens = width, settings["ntoken"], UNBOUNDED
        self.generates = settings.get("model") == GENERATOR
        self.pad_value, self.mask_value = float(settings["pad_value"]), float(settings["mask_value"])
        self.bins = 0 if self.generates else int(settings["n_input_bins"])
        padding = (settings.get("special_tokens") or {}).get(settings["pad_token"], settings["ntoken"] - 1)
        self.encoder = GeneEncoder(settings["ntoken"], width, padding)
        self.value_encoder = ValueEncoder(width, dropout, float(settings["max_value"]))
        if self.generates:
            self.pert_encoder = nn.Embedding(3, width, padding_idx=settings["pert_pad_id"])
        block = Block(width, settings["nhead"], settings["d_hid"], dropout)
        layers = nn.ModuleList(copy.deepcopy(block) for _ in range(settings["nlayers"]))
        self.transformer_encoder = nn.ModuleDict({"layers": layers})
        self.decoder = AffineDecoder(width) if self.generates else ValueDecoder(width)
        self.cls_decoder = ClassDecoder(width, settings["n_cls"], settings["nlayers_cls"])
        if settings["do_mvc"]:
            self.mvc_decoder = CellDecoder(width)
        nn.init.uniform_(self.encoder.embedding.weight, -0.1, 0.1)

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        checked = super().check_config(config)
        where = f"configuration of family '{cls.family}'"
        for key in ("nlayers", "nlayers_cls", "n_cls"):
            check_integer(where, f"{key[:1]}_layers" if "layers" in key else key, checked.get(key, 1), 1)
        for key in ("pad_value", "mask_value", "max_value", "n_input_bins", "pert_pad_id"):
            if key in checked and not is_number(checked[key]):
                raise UserError(f"{where}: '{key}' is {checked[key]!r:.60}; it must be a number.")
        if not 0 <= checked.get("pert_pad_id", 2) <= 2:
            raise UserError(f"{where}: 'pert_pad_id' is {checked['pert_pad_id']}; flags are 0, 1 and 2.")
        special = checked.get("special_tokens") or {}
        if not isinstance(special, Mapping):
            raise UserError(f"{where}: 'special_tokens' must be a table of ids.")
        for token, index in special.items():
            check_integer(where, "special_token_id", index)
            if index >= checked["ntoken"]:
                raise UserError(
                    f"{where}: {token} = {index} is no row of the 'ntoken' = {checked['ntoken']} embeddings."
                )
        cls.check_divides(checked, "nhead", "d_model")
        return checked

    @classmethod
    def check_tokenizer(cls, config: Mapping[str, Any], tokenizer: Tokenizer) -> None:
        special = config.get("special_tokens") or {}
        said = special.get(config.get("pad_token", PAD), tokenizer.pad_id)
        if said != tokenizer.pad_id:
            raise UserError(
                f"configuration of family '{cls.family}': padding is the id {said}, in the vocabulary "
                f"{tokenizer.pad_id}; they do not belong together."
            )

    @classmethod
    def vocabulary_config(cls, tokenizer: Tokenizer) -> dict[str, Any]:
        special: dict[str, int] = {}
        if isinstance(tokenizer, CellVocabulary):
            special = {token: tokenizer.ids[token] for token in (PAD, CLS, EOC) if token in tokenizer.ids}
        return {"ntoken": tokenizer.size, "pad_token": PAD, "special_tokens": special}

    def load_published(self, tensors: Mapping[str, Tensor], where: str) -> None:
        """Also under the names of flash attention; see `GenomicModel.load_published`."""
        flash = {
            r"self_attn\._impl\.": "self_attn.",
            r"self_attn\.Wqkv\.(weight|bias)$": r"self_attn.in_proj_\1",
        }
        super().load_published(renamed(tensors, flash, where), where)

    def embedding_names(self) -> list[str]:
        return ["encoder.embedding.weight"]

    def block_names(self) -> list[str]:
        return [f"transformer_encoder.layers.{place}" for place in range(len(self._blocks))]

    @property
    def _blocks(self) -> Any:
        return self.transformer_encoder["layers"]

    def gene_vectors(self) -> Tensor:
        """LN(gene), [vocabulary, width]."""
        vectors: Tensor = self.encoder(torch.arange(self.vocabulary_size, device=self.encoder.embedding.weight.device))
        return vectors

    def _states(
        self, ids: Tensor, mask: Tensor | None, values: Tensor | None, flags: Tensor | None
    ) -> Iterator[Tensor]:
        if values is None:
            raise UserError("family 'scgpt' reads cells: a value beside each gene; it reads no sequence.")
        self._check_length(ids)
        x = self.encoder(ids.long()) + self.value_encoder(values.float())
        if self.generates:
            x = x + self.pert_encoder(torch.zeros_like(ids) if flags is None else flags.long())
        bias = None if mask is None else padding_bias(mask, working_dtype(x))
        return run_layers(x, self._blocks, bias, None)

    def hidden_states(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        values: Tensor | None = None,
        flags: Tensor | None = None,
    ) -> list[Tensor]:
        """`nlayers` + 1 states [B, L, D] of ids, mask (1: a token), values and flags, all [B, L]."""
        return list(self._states(input_ids, attention_mask, values, flags))

    def encode(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        values: Tensor | None = None,
        flags: Tensor | None = None,
    ) -> Tensor:
        return last_of(self._states(input_ids, attention_mask, values, flags))

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        values: Tensor | None = None,
        flags: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """(last hidden state [B, L, D], predicted value of each token [B, L])."""
        hidden = self.encode(input_ids, attention_mask, values, flags)
        if not self.generates:
            return hidden, self.project(hidden)
        coefficient, bias = self.part("decoder")(hidden)
        assert values is not None
        return hidden, coefficient * values + bias

    def project(self, hidden: Tensor) -> Tensor:
        """Predicted value of each token, [B, L]; of the generator, which needs the values too, `forward` says it."""
        if self.generates:
            raise UserError("family 'scgpt': a generator predicts from values and states; it has no vocabulary head.")
        values: Tensor = self.part("decoder")(hidden)
        return values

    def from_cell(self, cell: Tensor, input_ids: Tensor) -> Tensor:
        """Value of each gene [B, L] from the cell's state [B, D], that of <cls>, alone."""
        values: Tensor = self.part("mvc_decoder")(cell, self.encoder(input_ids.long()))
        return values

    @torch.no_grad()
    def predict_perturbed(self, values: Tensor, flags: Tensor, gene_ids: Tensor, zeros: bool = True) -> Tensor:
        """The generator's values of all genes [B, L] of cells with `values` and `flags` [B, L] and tokens [L].

        Without `zeros` only genes that some cell of the batch has are read, and the others predicted as 0, the default
        of the official code, which so loses the flag of a gene that no cell has.
        """
        read = torch.arange(len(gene_ids), device=values.device) if zeros else values.any(0).nonzero()[:, 0]
        predicted = torch.zeros_like(values)
        tokens = gene_ids[read].expand(len(values), -1)
        predicted[:, read] = self(tokens, None, values[:, read], flags[:, read])[1].to(values.dtype)
        return predicted

    def classify(self, cell: Tensor) -> Tensor:
        """Scores of classes [B, classes] from the cell's state [B, D]."""
        scores: Tensor = self.part("cls_decoder")(cell)
        return scores
