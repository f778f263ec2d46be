"""A generator that is trained on a screen: what it reads, what it learns, what it keeps."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.evaluation.effects import measure
from foundationless.evaluation.records import read_record
from foundationless.models.architectures.single_cell.scgpt import ScGPT
from foundationless.models.tokenizers.genes import of_genes, write_vocabulary
from foundationless.models.weights import initialise, load_weights, save_weights
from foundationless.perturbation.effects import Effects, read_effects, write_effects
from foundationless.perturbation.expression.cells import cells_reader
from foundationless.perturbation.expression.h5ad import write_h5ad
from foundationless.perturbation.expression.matrix import Expression, named_rows
from foundationless.perturbation.finetuning import job, pairs
from foundationless.perturbation.finetuning.generator import Generator, make_generator
from foundationless.perturbation.finetuning.pairs import Reading, choose_places, pair_up, read_screen
from foundationless.perturbation.screens import see
from foundationless.perturbation.selection import EffectSettings
from foundationless.study.vocabulary import ANALYSES
from foundationless.training.compute import AdamW, Compute
from support.fine_tuning import at_call, command_line, same, send

GENES, SINGLES, WIDTH = 40, 32, 16
NAMES = tuple(f"G{number:02d}" for number in range(GENES))
SIDES = np.where(np.arange(GENES) % 2, 1.0, -1.0)  # what perturbing a gene does: a change or its opposite
VOCABULARY = of_genes(NAMES, "scgpt")
LEARNING = dict(epochs=10, pairs=0, dropout=0.0, batch_size=16)


def screen_of(extra: tuple[str, ...] = ()) -> Effects:
    """Perturbing a gene changes all others by its side times a common profile; `extra` targets are not read out."""
    rng = np.random.default_rng(0)
    profile, targets = rng.choice([-0.5, 0.5], GENES), rng.permutation(GENES)[:SINGLES]
    control = rng.uniform(1, 3, GENES)
    changes = [SIDES[target] * profile for target in targets] + [profile] * len(extra)
    named = [*(NAMES[target] for target in targets), *extra]
    means = control + np.vstack([np.zeros(GENES), changes]) + 0.02 * rng.standard_normal((len(named) + 1, GENES))
    return Effects(
        conditions=("ctrl", *named),
        targets=((), *((name,) for name in named)),
        kinds=("control", *["single"] * len(named)),
        directions=("unknown",) * (len(named) + 1),
        cells=np.ones(len(named) + 1, dtype=np.int64),
        means=means.astype(np.float32),
        halves=None,
        genes=NAMES,
        symbols=NAMES,
        values="lognorm",
        source="test",
    )


def save(
    directory: Path, informed: bool, init: str = "pretrained", model: str = "TransformerModel", draw: int = 3
) -> Path:
    """Weights whose embedding knows the side of every gene, or nothing."""
    vocabulary = directory.parent / "vocabulary.json"
    write_vocabulary(vocabulary, VOCABULARY)
    config = dict(ntoken=VOCABULARY.size, d_model=WIDTH, nhead=2, d_hid=WIDTH, nlayers=2, dropout=0.1, model=model)
    config |= dict(do_mvc=model == "TransformerModel", special_tokens={"<pad>": VOCABULARY.pad_id})
    network = initialise("scgpt", config, draw)
    if informed:
        with torch.no_grad():
            network.encoder.embedding.weight[:GENES, 0] = torch.from_numpy(SIDES)
    card = dict(model="scgpt", family="scgpt", tokenizer="cells", init=init, seed=0, source="test")
    save_weights(directory, network, card, [vocabulary])
    return directory


def tune(directory: Path, weights: Path, **flags: object) -> int:
    """Run the command; flags override the defaults below."""
    directory.mkdir(parents=True, exist_ok=True)
    effects = directory / "effects.parquet"
    if not effects.exists():
        write_effects(effects, screen_of())
    cell = dict(task="screen", model="scgpt", init="pretrained", seed=0)
    how = dict(
        splits=[1], held_out=0.25, inner_folds=4, learning_rates=[0.005], epochs=2, batch_size=32, sampled_genes=24
    )
    how |= dict(dropout=0.1, pairs=4, threads=1, device="cpu")
    read = dict(weights=weights, effects=effects, runs=directory / "runs")
    written = dict(record=directory / "record.json", predictions=directory / "predictions.parquet")
    return main(command_line("finetune_effects", cell | how | read | written | flags))


def value_of(directory: Path, metric: str, split: str = "test", selection: str = "validation") -> float:
    """A metric of the record, over its folds."""
    rows = read_record(directory / "record.json")["results"]
    found = [
        row["value"] for row in rows if (row["metric"], row["split"], row["selection"]) == (metric, split, selection)
    ]
    return float(np.mean(found))


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return save(tmp_path_factory.mktemp("weights") / "informed", informed=True)


@pytest.fixture(scope="module")
def learned(tmp_path_factory, weights) -> Path:
    """A job that learns: more pairs of every condition, more epochs."""
    directory = tmp_path_factory.mktemp("learned") / "finetuned" / "screen" / "scgpt" / "pretrained" / "seed0"
    assert tune(directory, weights, **LEARNING) == 0
    return directory


def read(effects: Effects, vocabulary=VOCABULARY) -> Reading:
    return read_screen(see(effects), effects, None, vocabulary)


def test_knowledge_of_genes_beats_the_mean_and_none_does_not(learned, tmp_path):
    blank = save(tmp_path / "blank", informed=False, init="random")
    assert tune(tmp_path / "job", blank, init="random", **LEARNING) == 0
    assert value_of(learned, "skill") > 0.5 > 0.3 > value_of(tmp_path / "job", "skill")
    losses = json.loads((learned / "runs" / "fold1_lr0.005.json").read_text())["losses"]
    assert losses[-1] < 0.2 * losses[0]


def test_predictions_are_those_of_the_contract_and_the_record_is_their_mean(learned):
    table = pq.read_table(learned / "predictions.parquet")
    about = json.loads(table.schema.metadata[b"foundationless"])
    frame, effects = table.to_pandas(), screen_of()
    order = np.argsort(-effects.control, kind="stable")
    assert about["genes"] == [NAMES[place] for place in order]
    assert about["top"] == GENES
    assert set(frame["run"]) == {"learning_rate0.005"}
    assert frame["selected"].all()
    assert len(frame) == 8
    for row in frame.itertuples():
        truth = effects.means[effects.conditions.index(row.id)] - effects.control
        np.testing.assert_allclose(row.observed, truth[order], atol=1e-5)
        assert about["genes"][row.targets[0]] == row.id
    columns = [np.stack(frame[name]) for name in ("observed", "predicted", "mean")]
    found = measure(*columns, [list(places) for places in frame["targets"]], about["top"])
    for metric, values in found.items():
        assert value_of(learned, metric) == pytest.approx(np.nanmean(values), abs=1e-5), metric


def test_the_summary_of_an_analysis_verifies_and_compares_it(learned, tmp_path):
    mean, analysis = learned.parents[2] / "mean" / "baseline" / "seed0", learned.parents[3]
    mean.mkdir(parents=True)
    cell = dict(analysis="finetuned", task="screen", model="mean", init="baseline", seed=0, baseline="mean", splits=[1])
    written = dict(record=mean / "record.json", predictions=mean / "predictions.parquet")
    assert main(command_line("predict_effects", cell | written | dict(effects=learned / "effects.parquet"))) == 0
    cells = [dict(metric="skill", tasks=["screen"], cells=["scgpt/pretrained/seed0", "mean/baseline/seed0"])]
    asked = dict(analysis="finetuned", directory=analysis, cells=json.dumps(cells), baselines="mean", seed=1)
    assert main(command_line("summarise_analysis", asked | dict(resamples=200, output=tmp_path / "tables"))) == 0
    compared = pd.read_csv(tmp_path / "tables" / "comparisons.csv").query("versus == 'mean' and metric == 'skill'")
    assert (compared["delta"] > 0.5).all()
    assert not pd.read_csv(tmp_path / "tables" / "verification.csv").empty


def test_a_seed_draws_what_the_weights_lack_and_the_order_of_cells():
    assert ANALYSES["finetuned"].draws("pretrained", "scgpt")
    assert ANALYSES["finetuned"].draws("random", "scgpt")
    assert not ANALYSES["finetuned"].draws("baseline", "mean")


def test_validation_chooses_epoch_and_rate_and_is_no_part_of_the_test(tmp_path, weights):
    assert tune(tmp_path, weights, learning_rates=[0.005, 1e-6], splits=[1, 2]) == 0
    record = read_record(tmp_path / "record.json")
    chosen = {(one["what"], one["within"], one["split"]): one for one in record["selections"]}
    assert {key[0] for key in chosen} == {"epoch", "learning_rate"}
    for fold in (1, 2):
        one = chosen["learning_rate", f"fold{fold}", "validation"]
        assert one["chosen"] == max(one["tried"], key=one["tried"].__getitem__)
        kept = json.loads((tmp_path / "runs" / f"fold{fold}_lr0.005.json").read_text())
        assert kept["epoch"] == 1 + int(np.argmax(kept["history"]))
        assert one["tried"]["0.005"] == max(kept["history"])
    splits = EffectSettings(kind="unseen", side="network", inner_folds=4)
    for number in (1, 2, 3):
        split, part = job.draw_part(see(screen_of()), splits, number)
        sets = [set(rows.tolist()) for rows in (part.train, part.validation, part.test)]
        assert sum(map(len, sets)) == len(set.union(*sets)) == SINGLES + 1
        assert 0 in sets[0]
        assert sets[2] == set(split.test.tolist())
    paper = [row for row in record["results"] if row["selection"] == "test" and row["metric"] == "skill"]
    assert len(paper) == 2


def test_what_is_predicted_is_of_the_best_epoch_and_not_of_the_last(tmp_path, weights):
    """The same job that ends with that epoch predicts the same bits."""
    how = dict(pairs=0, dropout=0.0, learning_rates=[0.05], batch_size=64)
    assert tune(tmp_path / "long", weights, epochs=12, **how) == 0
    kept = json.loads((tmp_path / "long" / "runs" / "fold1_lr0.05.json").read_text())
    assert 0 < kept["epoch"] < 12 == len(kept["history"])
    assert tune(tmp_path / "short", weights, epochs=kept["epoch"], **how) == 0
    first, second = (pd.read_parquet(tmp_path / name / "predictions.parquet") for name in ("long", "short"))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_the_rate_of_learning_falls_by_a_tenth_an_epoch_as_in_the_paper(tmp_path, weights, monkeypatch):
    rates, step = [], AdamW.step

    def watched(self, *args, **kwargs):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(AdamW, "step", watched)
    assert tune(tmp_path, weights, epochs=3, pairs=1, batch_size=100) == 0
    assert rates == pytest.approx([0.005, 0.0045, 0.00405])


def test_a_network_that_knows_no_gene_of_the_screen_is_refused(tmp_path, weights, capsys):
    """As of a screen that names its genes by Ensembl ids alone: all would be read as padding."""
    effects, strange = screen_of(), tuple(f"ENSG{number:011d}" for number in range(GENES))
    targets = tuple(tuple(strange[NAMES.index(name)] for name in names) for names in effects.targets)
    write_effects(tmp_path / "effects.parquet", replace(effects, genes=strange, symbols=strange, targets=targets))
    assert tune(tmp_path, weights) == 2
    assert "knows none of the 40 genes that are read out (ENSG00000000000, …)" in capsys.readouterr().err
    assert tune(tmp_path, weights, option="condition=x") == 2
    assert "give --source, too" in capsys.readouterr().err
    assert not (tmp_path / "record.json").exists()


def test_a_killed_job_continues_to_the_same_bits(tmp_path, weights):
    assert tune(tmp_path / "whole", weights, splits=[1, 2]) == 0
    for name, call in (("gradient", 6), ("predict", 2), ("_profile", 40)):
        directory = tmp_path / name
        with at_call(Generator, name, call, send(signal.SIGTERM)), pytest.raises(SystemExit) as left:
            tune(directory, weights, splits=[1, 2])
        assert left.value.code == 143
        assert list((directory / "runs").glob("*.checkpoint"))
        assert tune(directory, weights, splits=[1, 2]) == 0
        assert not list((directory / "runs").glob("*.checkpoint"))
        same(tmp_path / "whole", directory)


def test_kept_runs_are_read_and_those_of_other_settings_are_not(tmp_path, weights, capfd):
    assert tune(tmp_path, weights) == 0
    with at_call(Generator, "gradient", 1, lambda: pytest.fail("trained again")):
        assert tune(tmp_path, weights) == 0
    assert "kept from an earlier start" in capfd.readouterr().err
    assert tune(tmp_path, weights, dropout=0.2) == 0
    assert "computed again" in capfd.readouterr().err
    (tmp_path / "runs" / "fold1_lr0.005.npy").write_bytes(b"damaged")
    assert tune(tmp_path, weights, dropout=0.2) == 0
    assert "incomplete, computed again" in capfd.readouterr().err


def test_a_run_that_diverges_ends_and_is_not_chosen(tmp_path, weights, capfd):
    assert tune(tmp_path, weights, learning_rates=[0.005, 1e30]) == 0
    assert "loss not finite in epoch 1, run ended there" in capfd.readouterr().err
    record = read_record(tmp_path / "record.json")
    rates = {one["split"]: one["chosen"] for one in record["selections"] if one["what"] == "learning_rate"}
    assert rates["validation"] == "0.005"
    assert np.isfinite(value_of(tmp_path, "skill"))


def test_both_arms_run_the_same_lines(tmp_path):
    """The same tensors under the name of either arm give the same bits of every prediction."""
    for init in ("pretrained", "random"):
        weights = save(tmp_path / f"{init}_weights", informed=False, init=init)
        assert tune(tmp_path / init, weights, init=init) == 0
    first, second = (pd.read_parquet(tmp_path / init / "predictions.parquet") for init in ("pretrained", "random"))
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    settings = [read_record(tmp_path / init / "record.json")["settings"] for init in ("pretrained", "random")]
    assert settings[0] | {"weights": ""} == settings[1] | {"weights": ""}
    assert settings[0]["parts_drawn"] == ["pert_encoder", "decoder"]
    assert settings[0]["trained_on"] == "means of conditions"


@pytest.mark.parametrize("reading", ["published", "as_in_paper"])
def test_the_flag_of_every_pair_is_in_its_batch(tmp_path, weights, monkeypatch, reading):
    seen: list[tuple[int, np.ndarray]] = []
    forward = ScGPT.forward

    def watched(self, ids, mask=None, values=None, flags=None):
        if self.training:
            seen.append((ids.shape[1], flags.sum(1).numpy()))
        return forward(self, ids, mask, values, flags)

    monkeypatch.setattr(ScGPT, "forward", watched)
    assert tune(tmp_path, weights, sampled_genes=12, epochs=1, batch_size=8, reading=reading, pairs=2) == 0
    flagged = np.concatenate([flags for _, flags in seen])
    assert {size for size, _ in seen} == {12}
    if reading == "published":
        assert (flagged == 0).sum() == 2  # the control's pairs
        assert set(flagged) == {0, 1}
    else:
        assert 0.1 < flagged.mean() < 0.6  # near 12 of 40


def test_a_target_that_is_not_read_out_is_flagged_and_not_scored(tmp_path, weights):
    effects = screen_of(extra=("OUT1", "OUT2"))
    vocabulary = of_genes([*NAMES, "OUT1"], "scgpt")
    reading = read(effects, vocabulary)
    assert reading.genes == GENES
    assert reading.tokens.tolist()[GENES:] == [vocabulary.ids["OUT1"], vocabulary.pad_id]
    assert (reading.unknown_genes, reading.unknown_targets) == (0, 1)
    assert [places.tolist() for places in reading.flagged[-2:]] == [[GENES], [GENES + 1]]
    assert reading.take(np.array([0, 1]))[:, GENES:].tolist() == [[0, 0], [0, 0]]
    places = choose_places(reading, np.array([SINGLES + 1]), 10, np.random.default_rng(0))
    assert GENES in places
    assert len(places) == 10
    bare = pairs.as_in_paper(reading)
    assert len(bare.tokens) == GENES
    assert not len(bare.flagged[-1])
    write_effects(tmp_path / "effects.parquet", effects)
    assert tune(tmp_path, weights) == 0
    settings = read_record(tmp_path / "record.json")["settings"]
    assert (settings["targets_not_read_out"], settings["missing_targets"]) == (2, 2)


def test_genes_are_found_by_id_by_symbol_and_in_either_case():
    effects = screen_of()
    symbols = tuple(f"g{number:02d}" if number else "unknown" for number in range(GENES))
    ids = dict(zip(NAMES, (f"ENSG{number:011d}" for number in range(GENES)), strict=True))
    targets = tuple(tuple(ids[name] for name in names) for names in effects.targets)
    renamed = replace(effects, genes=tuple(ids.values()), symbols=symbols, targets=targets)
    reading = read(renamed)
    assert reading.tokens.tolist() == [VOCABULARY.pad_id, *(VOCABULARY.ids[name] for name in NAMES[1:])]
    assert reading.unknown_genes == 1


def test_pairs_are_one_of_each_cell_and_the_same_whoever_asks():
    cells = tuple(np.arange(40 * number, 40 * number + count) for number, count in enumerate((50, 40, 33)))
    reading = replace(read(screen_of()), rows=cells, repeated=False)
    made = pair_up(reading, [0, 1, 2], np.random.default_rng(1), 0)
    assert sorted(made[:, 1].tolist()) == sorted(np.concatenate(cells).tolist())
    control = made[made[:, 2] == 0]
    assert (control[:, 0] == control[:, 1]).all()
    assert np.isin(made[:, 0], cells[0]).all()
    np.testing.assert_array_equal(made, pair_up(reading, [0, 1, 2], np.random.default_rng(1), 0))
    few = pair_up(reading, [0, 1, 2], np.random.default_rng(1), 10)
    assert np.bincount(few[:, 2]).tolist() == [10, 10, 10]
    short = replace(reading, rows=(cells[0][:3], cells[1][:1]), repeated=True)
    repeated = pair_up(short, [0, 1], np.random.default_rng(1), 0)
    assert np.bincount(repeated[:, 2]).tolist() == [pairs.FEWEST] * 2


def test_the_gradient_of_passes_adds_up_to_that_of_the_batch(weights):
    made, reading = make_generator(load_weights(weights), 5, 0.0), read(screen_of(extra=("OUT",)))
    pair = pair_up(reading, [0, 1, 2, SINGLES + 1], np.random.default_rng(1), 2)
    places, found = choose_places(reading, pair[:, 2], 20, np.random.default_rng(2)), []
    for budget in (20, 60, 10_000):
        generator = Generator(made.model, reading, Compute("cpu", 1, token_budget=budget))
        made.model.zero_grad()
        found.append((generator.gradient(pair, places, 0), made.model.decoder.bias_decoder.fc[4].weight.grad.clone()))
    assert found[0][0] == pytest.approx(found[2][0], rel=1e-5)
    for _, gradient in found:
        torch.testing.assert_close(gradient, found[2][1], rtol=1e-4, atol=1e-6)


def test_the_error_is_of_genes_that_are_read_out_alone(weights):
    made, reading = make_generator(load_weights(weights), 5, 0.0), read(screen_of(extra=("OUT",)))
    pair, places = np.array([[0, SINGLES + 1, SINGLES + 1], [0, 3, 3]]), np.array([1, 4, 9, GENES])
    generator = Generator(made.model, reading, Compute("cpu", 1))
    with torch.no_grad():
        ids, values, flags = generator._inputs(pair[:, 0], pair[:, 2], places)
        found = made.model(ids, None, values, flags)[1].numpy()
    truth = reading.take(pair[:, 1])[:, places[:3]]
    assert generator.gradient(pair, places, 0) == pytest.approx(((found[:, :3] - truth) ** 2).mean(), rel=1e-5)


def test_parts_come_whole_or_are_drawn(tmp_path):
    plain = load_weights(save(tmp_path / "plain", informed=True))
    made, again = make_generator(plain, 5, 0.3), make_generator(plain, 5, 0.3)
    assert made.taken == ("encoder", "value_encoder", "transformer_encoder")
    assert made.drawn == ("pert_encoder", "decoder")
    for name, value in plain.model.state_dict().items():
        if name.startswith(made.taken):
            assert torch.equal(made.model.state_dict()[name], value), name
    for name, value in made.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name
    other = make_generator(plain, 6, 0.3).model.state_dict()
    assert not torch.equal(other["pert_encoder.weight"], made.model.state_dict()["pert_encoder.weight"])
    own = make_generator(load_weights(save(tmp_path / "own", informed=True, model="TransformerGenerator")), 5, 0.3)
    assert own.drawn == ()
    assert made.model.config["dropout"] == 0.3


def test_profiles_are_the_means_that_the_official_code_predicts(shared):
    """The official `pred_perturb` of three cells, all genes, on the official tensors."""
    place = shared / "golden" / "scgpt" / "a" / "generator"
    inputs, outputs = load_file(place / "inputs.safetensors"), load_file(place / "outputs.safetensors")
    model = initialise("scgpt", json.loads((place / "config.json").read_text()), 0)
    model.load_published(load_file(place / "weights.safetensors"), "golden")
    cells = inputs["pred_perturb.x"].view(3, 20, 2).numpy()
    official = outputs["pred_perturb.all"].double().numpy()
    own = read(screen_of())
    for cell in range(3):
        reading = replace(
            own,
            values=cells[:, :, 0],
            tokens=inputs["pred_perturb.gene_ids"].numpy(),
            flagged=(np.array([], dtype=np.int64), np.flatnonzero(cells[cell, :, 1])),
            genes=20,
            control=np.full(20, 0.25),
        )
        found = Generator(model, reading, Compute("cpu", 1)).predict(np.array([1]), np.array([cell]))
        np.testing.assert_allclose(found[0], official[cell] - 0.25, atol=1e-4)


@pytest.fixture
def cells(tmp_path) -> Path:
    """36 cells of the control and of 12 targets, as a file of cells."""
    rng, effects = np.random.default_rng(3), screen_of()
    rows = np.repeat(np.arange(13), 36)[rng.permutation(13 * 36)]
    values = np.maximum(effects.means[rows] + 0.3 * rng.standard_normal((len(rows), GENES)), 0).astype(np.float32)
    obs = pd.DataFrame({"condition": [effects.conditions[row] for row in rows]}, dtype=object)
    named = named_rows([f"cell{number}" for number in range(len(rows))], obs)
    write_h5ad(tmp_path / "cells.h5ad", Expression(values, NAMES, NAMES, named, "lognorm"))
    return tmp_path / "cells.h5ad"


def test_cells_behind_a_screen_are_trained_on(tmp_path, weights, cells, capfd):
    built = tmp_path / "effects.parquet"
    assert main(["build_effects", "--source", f"matrix={cells}", "--seed", "1", "--output", str(built)]) == 0
    effects = read_effects(built)
    screen = cells_reader("effects", {"matrix": cells}, {})(effects)
    for condition, rows in enumerate(screen.rows):
        np.testing.assert_allclose(np.asarray(screen.values[rows]).mean(0), effects.means[condition], atol=1e-5)
    assert tune(tmp_path, weights, source=f"matrix={cells}", control_cells=5, epochs=1, pairs=0) == 0
    settings = read_record(tmp_path / "record.json")["settings"]
    assert (settings["trained_on"], settings["rows_read"], settings["rows_repeated"]) == ("cells", 13 * 36, False)
    assert tune(tmp_path, weights, source=f"matrix={cells}", variant="halves", epochs=1) == 0
    settings = read_record(tmp_path / "record.json")["settings"]
    assert (settings["trained_on"], settings["rows_read"]) == ("means of conditions", 13)
    assert tune(tmp_path, weights, source=f"matrix={cells}", option="keep=condition=ctrl/G01") == 2
    error = capfd.readouterr().err
    assert "the effects are of 36; give the sources" in error
    assert "Traceback" not in error


def test_dealt_effects_bring_their_cells(tmp_path, cells):
    built = tmp_path / "effects.parquet"
    main(["build_effects", "--source", f"matrix={cells}", "--seed", "1", "--output", str(built)])
    effects = read_effects(built)
    screen, own = see(effects), cells_reader("effects", {"matrix": cells}, {})(effects)
    dealt = screen.deal(4)
    reading = read_screen(dealt, effects, own, VOCABULARY, pairs.dealt_from(screen, 4))
    for row in range(len(screen.names)):
        mean = reading.take(reading.rows[row]).mean(0)
        np.testing.assert_allclose(mean - screen.control, dealt.changes[row], atol=1e-5)
    assert any(not np.array_equal(a, b) for a, b in zip(dealt.changes, screen.changes, strict=True))


@pytest.mark.parametrize("variant", ["permuted", "offtarget"])
def test_derived_sets_are_trained_on(tmp_path, weights, variant):
    assert tune(tmp_path, weights, variant=variant, epochs=1) == 0
    row = pd.read_parquet(tmp_path / "predictions.parquet").iloc[0]
    assert np.isnan(row["observed"]).sum() == (variant == "offtarget")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (dict(epochs=0), "--epochs, --batch-size and --control-cells must be at least 1"),
        (dict(learning_rates=[0.1, 0.1]), "a value stands twice"),
        (dict(learning_rates=[-1]), "give one or more positive numbers"),
        (dict(dropout=1), "--dropout lies from 0 and below 1"),
        (dict(inner_folds=0), "nothing would choose the epoch"),
        (dict(held_out=0.999), "cannot be split"),
        (dict(variant="halves"), "there are no halves"),
        (dict(source="matrix=absent.h5ad"), "absent.h5ad"),
        (dict(reader="fasta", source="matrix=a"), "--reader 'fasta' is not known"),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_sentence(tmp_path, weights, capfd, flags, said):
    assert tune(tmp_path, weights, **flags) == 2
    error = capfd.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (tmp_path / "record.json").exists()


def test_only_scgpt_has_a_form_that_predicts(tmp_path):
    config = dict(vocab_size=10, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    config |= dict(max_position_embeddings=16, hidden_act="relu", pad_token_id=0)
    network = initialise("geneformer", config, 0)
    vocabulary = of_genes([f"ENSG{number:011d}" for number in range(8)], "geneformer")
    write_vocabulary(tmp_path / "vocabulary.json", vocabulary)
    card = dict(model="geneformer", family="geneformer", tokenizer="cells", init="random", seed=0, source="test")
    save_weights(tmp_path / "weights", network, card, [tmp_path / "vocabulary.json"])
    with pytest.raises(UserError, match="has no form that predicts perturbations"):
        make_generator(load_weights(tmp_path / "weights"), 0, 0.0)
