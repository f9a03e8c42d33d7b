"""What is planned is what is measured, times what is counted; counts are compared with formulas and with the model itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from transformers import AutoModel, Wav2Vec2Config, Wav2Vec2Model

from erc.data import KEMD, InputCollator
from erc.model import EmotionModel, TextEncoder, encoder_config
from erc.plan import answer as answers, asked_for, plan, plan_run, timing
from erc.plan.asked_for import usual_rows
from erc.plan.cards import CARDS
from erc.plan.costs import Depth, Measured, Weights, _at, activation_bytes, cost_of, disk_bytes, weights_of
from erc.plan.lengths import Batches, Lengths, batches_of, published_data, steps_of
from erc.plan.loop import Line, _rows_and_collator, line_through
from erc.plan.model import build_model, few_layers, parts_of
from erc.plan.parts import Curve, Points, measure, per_layer, pieces_of
from erc.plan.terminal import show
from erc.synthetic import write
from erc.training import make_views

CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module")
def quick():
    """One turn of each measurement: these tests do not look at seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "MIN_ROUNDS", 1)
        patch.setattr(timing, "MAX_ROUNDS", 1)
        patch.setattr(timing, "SLICE_SECONDS", 0.0)
        patch.setattr(timing, "MATRIX", 128)
        yield


@pytest.fixture(scope="module")
def five_layers(tmp_path_factory):
    """A directory with an audio encoder of more layers than are built for a measurement."""
    folder = tmp_path_factory.mktemp("encoder")
    config = Wav2Vec2Config(
        hidden_size=32, num_hidden_layers=5, num_attention_heads=4, intermediate_size=48, conv_dim=(8, 8), conv_kernel=(20, 16),
        conv_stride=(20, 16), feat_extract_norm="layer", do_stable_layer_norm=True, num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=4, layerdrop=0.25,
    )  # fmt: skip
    Wav2Vec2Model(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def options(corpora, cache_dir, five_layers):
    where = ["synthetic=null", f"dataset.root={corpora}", f"dataset.cache_dir={cache_dir}", "dataset.num_data=40"]
    return ["experiment=demo", f"encoders.audio.name={five_layers}", *where]


@pytest.fixture(scope="module")
def asked(options):
    return asked_for(options, "tensor_mixer_peakl,text_only_soft")


@pytest.fixture(scope="module")
def built(asked):
    return {name: few_layers(asked.config, name) for name in ("audio", "text")}


@pytest.fixture(scope="module")
def points():
    return Points(2, 4, (8_000, 24_000), (8, 24), (30, 60))


@pytest.fixture(scope="module")
def measured(asked, built, points):
    models = {"small/tensor_mixer": build_model(built, asked.fusions["small/tensor_mixer"], KEMD)}
    curves = per_layer(measure(pieces_of(built, models, points, CPU, torch.float32), CPU, torch.float32, 0), built)
    return Measured(points, curves, {}, Line(0.0, 0.0), 0.0, Line(0.0, 0.0), 1e9, False, 0)


def batch_of(n_samples, n_tokens, n_steps=1):
    """One batch of two segments."""
    return Batches(*(np.array([n]) for n in (2, n_samples, n_tokens, n_steps)))


def test_the_operations_of_a_layer_are_those_of_the_formula(measured, points):
    """A layer: four products of width D, two between D and F, and the two of attention (Vaswani et al., 2017)."""
    curve, (width, inner) = measured.curves["audio layers"], (32, 48)
    frames = np.array([(n - 20) // 20 + 1 for n in points.samples])
    frames = (frames - 16) // 16 + 1
    products = 2 * points.n_segments * frames * (4 * width**2 + 2 * width * inner)
    attention = 4 * points.n_segments * frames**2 * width
    assert curve.forward_operations == pytest.approx(products + attention)
    # the backward pass differentiates each product twice; a kernel that keeps no attention weights computes them once more
    assert (curve.train_operations >= 3 * (products + attention)).all()
    assert (curve.train_operations <= 3 * products + 3.5 * attention).all()


def test_the_costs_at_a_measured_point_are_what_was_measured_there(measured, built, points):
    depths = {name: Depth(one, 0.0, None) for name, one in built.items()}
    batch = batch_of(24_000, 24)
    found = cost_of(batch, depths, "small/tensor_mixer", ("audio", "text"), measured, training=True)
    curves = measured.curves
    expected = sum(curves[name].train[1] + built[name].n_layers * curves[f"{name} layers"].train[1] for name in built)
    expected += curves["small/tensor_mixer"].train[1] * 2 / points.n_fused
    assert found.seconds == pytest.approx(expected)


@pytest.mark.parametrize(("n_trained", "expected"), [(None, 5), (3, 3), (9, 5), (0, 0)])
def test_only_the_layers_that_train_are_differentiated(measured, built, n_trained, expected):
    ones = Curve(*(np.array([value, value], dtype=float) for value in (1, 3, 0, 0, 7, 0)))
    nothing = Curve(*([np.zeros(2)] * 6))
    flat = measured._replace(curves={"audio": nothing, "audio layers": ones, "f": nothing})
    depths = {"audio": Depth(built["audio"], 0.0, n_trained)}
    batch = batch_of(24_000, 24)
    found = cost_of(batch, depths, "f", ("audio",), flat, training=True)
    assert found.seconds == 3 * expected + (5 - expected)
    assert activation_bytes(batch, depths, "f", ("audio",), flat) == [7 * expected]
    # layers that are left out at random cost nothing
    half = {"audio": Depth(built["audio"], 0.5, None)}
    assert cost_of(batch, half, "f", ("audio",), flat, training=True).seconds == 3 * 5 / 2


def test_the_weights_of_the_whole_model_are_counted_from_a_few_layers(asked, built, five_layers):
    small = build_model(built, asked.fusions["small/tensor_mixer"], KEMD)
    assert len(built["audio"].layers) == 3
    whole = AutoModel.from_pretrained(five_layers)
    rest = sum(one.numel() for name, one in small.named_parameters() if not name.startswith("encoders."))
    audio = sum(one.numel() for one in whole.parameters())
    text = sum(one.numel() for one in TextEncoder("tiny").parameters())
    depths = {"audio": Depth(built["audio"], 0.0, None), "text": Depth(built["text"], 0.0, 0)}
    assert weights_of(depths, small) == Weights(rest + audio + text, rest + audio, text)
    frozen = {
        name: Depth(one, 0.0, 0, has_cut=False) for name, one in built.items()
    }  # option freeze: each cell keeps all
    assert weights_of(frozen, small) == Weights(rest + audio + text, rest, 0)
    top = {"audio": Depth(built["audio"], 0.0, 2), "text": Depth(built["text"], 0.0, 0)}
    layer = sum(one.numel() for one in whole.encoder.layers[0].parameters())
    assert weights_of(top, small) == Weights(rest + audio + text, rest + 2 * layer, text + audio - 2 * layer)


def test_the_papers_encoders_have_their_published_sizes():
    """317 million weights (Conneau et al., 2020) and 337 million (klue/roberta-large's model card), without their heads."""
    for which, name, millions in (
        ("audio", "kresnik/wav2vec2-large-xlsr-korean", 317),
        ("text", "klue/roberta-large", 337),
    ):
        config, source = encoder_config(which, name)
        assert (config.num_hidden_layers, config.hidden_size) == (24, 1024) and "known" in source
        with torch.device("meta"):
            n = sum(one.numel() for one in AutoModel.from_config(config).parameters())
        assert n / 1e6 == pytest.approx(millions, rel=0.01)
    with pytest.raises(
        OSError, match=r"sizes of the audio encoder must be known: .* got some/where \(encoders.audio.name\)"
    ):
        encoder_config("audio", "some/where")


def test_kept_bytes_are_the_inputs_of_a_linear_map():
    layer, x = torch.nn.Linear(8, 4), torch.randn(3, 8)
    assert timing.kept_bytes(lambda: layer(x), layer.parameters()) == (3 * 8 * 4, 3 * 8 * 4)
    assert timing.operations(lambda: layer(x)) == 2 * 3 * 8 * 4


def test_the_published_durations_have_their_percentiles():
    data = published_data("kemdy19-kemdy20")
    samples = np.concatenate([data.train.samples, data.valid.samples])
    assert len(samples) == 9_996 + 13_462
    for name, middle, mean in (("kemdy19", 4.223, 5.745), ("kemdy20", 4.52, 5.90)):
        one = published_data(name)
        seconds = np.concatenate([one.train.samples, one.valid.samples]) / 16_000
        assert np.median(seconds) == pytest.approx(middle, rel=0.01)
        assert seconds.mean() == pytest.approx(mean, rel=0.06)  # it was published, and is not one of the percentiles


def test_batches_are_those_of_training(asked):
    rng = np.random.default_rng(0)
    lengths = Lengths(rng.integers(1_000, 60_000, 100), rng.integers(3, 90, 100), np.ones(100, dtype=int))
    found = batches_of(lengths, asked.config, 0, is_training=True)
    assert found.sizes.sum() == 100 and found.sizes.max() == 16
    assert found.samples.max() == 48_000 and found.tokens.max() == 64  # the demo cuts at 3 s
    assert (found.sizes * found.samples).sum() >= lengths.samples.clip(max=48_000).sum()
    two = asked.config | {"trainer": asked.config["trainer"] | {"devices": 2}}
    assert len(batches_of(lengths, two, 0, is_training=True).sizes) == 4  # 3 x 32 and the rest of 4


def test_a_line_passes_its_points_and_no_part_is_negative(points):
    assert line_through((1, 3), (5, 9)) == Line(3, 2)
    assert line_through((1, 3), (5, 4)) == Line(5, 0)
    batches = Batches(np.array([2, 4]), np.array([1, 1]), np.array([16, 24]), np.array([1, 1]))
    assert _at(np.array([1.0, 3.0]), "text", batches, points).tolist() == [2.0, 6.0]
    # of one length there is one point, and the line begins at 0
    flat = points._replace(steps=(1, 1))
    assert _at(np.array([3.0, 3.0]), "signals", batches, flat).tolist() == [3.0, 6.0]


def test_checkpoints_need_the_room_that_training_asks_for():
    """``check_room``: 2 x weights, and 3 x (weights and two averages); of frozen layers one file."""
    assert disk_bytes(Weights(10, 4)) == (40, 0, 2 * 40 + 3 * (40 + 32))
    assert disk_bytes(Weights(10, 4, 5)) == (40, 20, 2 * 20 + 3 * (20 + 32) + 20)


@pytest.fixture(scope="module")
def found(asked):
    return plan_run(asked, 1)


def test_the_answer_holds_together(found, asked):
    for setting in found["settings"]:
        cell, grid = setting["cell"], setting["grid"]
        assert grid["cells"] == 2 * 5 and cell["epochs"] == 8
        assert cell["hours"] >= 8 * cell["epoch_seconds"] / 3600
        assert 5 * cell["hours"] < grid["hours"] < 10 * cell["hours"] + 0.01
        sizes = list(setting["largest_batch"].values())
        assert sizes == sorted(sizes) and sizes[0] > 16
        assert [one["card"] for one in setting["cards"]] == [card.name for card in CARDS]
    assert found["data"]["training_segments"] == 40 and found["data"]["folds"] == 5
    whole, frozen = (found["settings"][i] for i in (0, -1))
    assert frozen["train_last"] == 0 and whole["cell"]["disk_bytes"] == frozen["cell"]["disk_bytes"]
    disks = [one["grid"]["disk_bytes"] - found["data"]["build_bytes"] for one in (whole, frozen)]
    saved = (
        2 * 5 * frozen["cell"]["shared_disk_bytes"]
    )  # both rows read the text encoder, and the first the audio encoder too
    assert 0.5 * saved < disks[0] - disks[1] < saved
    assert found["machine"]["layers"] == {"audio": 5, "text": 2}
    json.dumps(found, allow_nan=False)


def test_the_planned_weights_are_those_of_the_model(found, asked, five_layers):
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    parts = {name: instantiate(OmegaConf.create(node)) for name, node in asked.config["encoders"].items()}
    fusion = instantiate(OmegaConf.create(asked.fusions["small/tensor_mixer"]))
    model = EmotionModel(parts, fusion, KEMD)
    assert found["settings"][0]["cell"]["weights"] == sum(one.numel() for one in model.parameters())


def test_the_command_prints_a_table_and_writes_json(found, options, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(answers, "plan_run", lambda *_: found)
    target = tmp_path / "a" / "plan.json"
    plan(*options, rows="tensor_mixer_peakl", json=str(target))
    printed = capsys.readouterr().out
    for said in (
        "from what was measured",
        "computed and not measured",
        "RTX 3080",
        "141 GB",
        "grid of 10",
        "audio 5 layers",
        "Frozen layers are on the disk once for all cells",
    ):
        assert said in printed
    assert json.loads(target.read_text(encoding="utf-8")) == json.loads(json.dumps(found))


@pytest.mark.parametrize(
    ("typed", "kwargs", "named"),
    [
        (["experiment=demo", "dataloader.batchsize=4"], {}, "batchsize"),
        (["experiment=demo", "+dataloader.batchsize=4"], {}, "dataloader.batchsize: .* did you mean batch_size"),
        (
            ["experiment=demo", "dataloader.batch_size=0"],
            {},
            "dataloader.batch_size: expected a whole number of 1 or more",
        ),
        (["experiment=demo", "target=hard,soft"], {}, "one value of each option: got target=hard,soft"),
        (["--config-name=x"], {}, "form name=value: got --config-name=x"),
        (["experiment=demo"], {"rows": "konkat_soft"}, "expected some of .*tensor_mixer_peakl.*, got konkat_soft"),
        (
            ["experiment=demo", "fusion=small/signals_only"],
            {},
            r"expected dataset\.signals=features or dataset\.signals=sequence, got a data set without",
        ),
        (["experiment=demo"], {"rows": "concat_3_soft"}, r"expected dataset\.signals=features or dataset\.signals=seq"),
        (["dataset=emodb", "fusion=concat_3"], {}, "expected dataset=kemdy, which has them, got a data set without"),
        (
            ["fusion=egemaps_svm", "target=hard"],
            {},
            "Only a network can be planned: expected a fusion, got egemaps_svm",
        ),
        ([], {"seconds": 0}, "seconds must be a number from 1"),
        ([], {"json": "True"}, "json names a file: .* --json alone"),
    ],
)
def test_a_wrong_option_fails_by_name(typed, kwargs, named):
    with pytest.raises(ValueError, match=named):
        plan(*typed, **kwargs)


def test_where_the_corpus_is_not_there_the_published_durations_are_taken(tmp_path):
    asked = asked_for([f"dataset.root={tmp_path}"], "tensor_mixer_peakl")
    data = answers.find_data(asked.config, {"synthetic": None, "dataset": _lacking})
    assert "since the corpus is not here" in data.source and len(data.valid.samples) == 23_458 // 5


def _lacking(**_):
    raise FileNotFoundError


# --- bio-signals ------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def corpus_with_signals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signals")
    write(root=str(folder / "data"), sessions=5, segments=2, seconds=1.0, corpora="kemdy20", signals=True)
    return ["experiment=demo", "synthetic=null", "dataset.dataset_name=kemdy20", f"dataset.root={folder / 'data'}"] + [
        f"dataset.cache_dir={folder / 'cache'}"
    ]


@pytest.fixture(
    scope="module", params=[pytest.param(kind, marks=pytest.mark.slow) for kind in ("features", "sequence")]
)
def asked_with_signals(request, corpus_with_signals):
    options = [*corpus_with_signals, f"dataset.signals={request.param}", "fusion=small/cross_attention_3"]
    return asked_for(options, "cross_attention_3_peakl,signals_only_soft,concat_peakl")


def test_bio_signals_are_planned_and_their_weights_are_those_of_the_model(asked_with_signals, capsys):
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    asked = asked_with_signals
    found = plan_run(asked, 1)
    parts = {name: instantiate(OmegaConf.create(node)) for name, node in asked.config["encoders"].items()}
    model = EmotionModel(parts, instantiate(OmegaConf.create(asked.config["fusion"])), KEMD)
    n_weights, cell = sum(one.numel() for one in model.parameters()), found["settings"][0]["cell"]
    assert (cell["weights"], cell["trained_weights"]) == (n_weights, n_weights)
    frozen = found["settings"][-1]  # the encoders without layers to leave out are trained in any case
    n_rest = n_weights - sum(one.numel() for name in ("audio", "text") for one in model.encoders[name].parameters())
    assert (frozen["train_last"], frozen["cell"]["trained_weights"]) == (0, n_rest)
    assert cell["activation_bytes"] > 0 and found["settings"][0]["grid"]["cells"] == 3 * 5
    form = asked.config["dataset"]["signals"]
    show(found, 16)
    printed = " ".join(capsys.readouterr().out.split())
    assert f"bio-signals as {form}" in printed and "text 2 layers (tiny), signals (no pre-trained weights)." in printed
    json.dumps(found, allow_nan=False)


def test_a_sequence_costs_more_the_longer_a_segment_is_and_features_do_not(asked_with_signals):
    """Operations of the convolutions: 6 x 64 and three of 5 x 64 x 64 a step, or of two maps 22 x 64 and 64 x 64 a segment."""
    asked, name = asked_with_signals, "small/signals_only"
    form = asked.config["dataset"]["signals"]
    signals = {"signals": few_layers(asked.config, "signals")}
    models = {name: build_model(signals, asked.fusions[name], KEMD, ("audio", "text"))}
    most = int(steps_of(np.array([800_000]), form)[0])
    points = Points(2, 4, (8_000, 24_000), (8, 24), (max(1, most // 2), most))
    pieces = pieces_of(signals, models, points, CPU, torch.float32)
    measured = Measured(points, measure(pieces, CPU, torch.float32, 0), {}, Line(0, 0), 0, Line(0, 0), 1e9, False, 0)
    depths, costs, kept = {"signals": Depth(signals["signals"], 0.0, None)}, [], []
    for seconds in (20, 40):  # both are cut to 3 s of audio
        samples = np.full(2, seconds * 16_000)
        (batch,) = zip(
            *batches_of(Lengths(samples, samples, steps_of(samples, form)), asked.config, 0, False), strict=True
        )
        batch = Batches(*(np.array([one]) for one in batch))
        costs.append(cost_of(batch, depths, name, ("signals",), measured, training=False).operations)
        kept.append(float(activation_bytes(batch, depths, name, ("signals",), measured)[0]))
    if form == "features":
        assert costs[0] == costs[1] and kept[0] == kept[1]
        one = measured.curves[name].forward_operations[0] * 2 / points.n_fused
        assert costs[0] == pytest.approx(one + 2 * 2 * (22 * 64 + 64 * 64))
    else:
        assert costs[1] - costs[0] == pytest.approx(2 * 2 * (20 * 4) * (6 * 64 + 3 * 5 * 64 * 64))
        assert kept[1] > 1.8 * kept[0]


def test_bio_signals_are_as_long_as_those_that_training_reads(asked_with_signals):
    config = asked_with_signals.config
    form, parts = config["dataset"]["signals"], parts_of(config)
    data = answers.find_data(config, parts)
    valid = make_views(parts["dataset"], config)[1]
    collate, rows = InputCollator(None, None, signals=form), list(valid.ds.with_format("numpy", dtype=None))
    if form == "sequence":
        lengths = [collate([row])["inputs"]["signals"]["values"].shape[1] for row in rows]
        assert data.valid.steps.clip(min=1).tolist() == lengths and len(set(lengths)) > 5
    else:
        assert set(data.valid.steps) == {1}
    # a batch in which no segment has any signal has one step
    nothing = Lengths(data.valid.samples, data.valid.tokens, np.zeros(len(rows), dtype=int))
    assert set(batches_of(nothing, config, 0, is_training=False).steps) == {1}


def test_where_the_corpus_is_not_there_a_sequence_begins_ten_seconds_before_its_end_or_earlier():
    samples = 16_000 * np.array([1, 10, 20])
    assert steps_of(samples, "sequence").tolist() == [41, 41, 81]
    assert steps_of(samples, "features").tolist() == [1, 1, 1]
    data = published_data("kemdy19", "sequence")
    assert data.train.steps.min() == 41 and data.train.steps.max() > 300  # up to 78 s
    assert "every segment is taken to have bio-signals, as sequence" in data.source
    assert "bio-signals" not in published_data("kemdy19").source


def test_the_batch_of_the_loop_holds_what_that_of_training_holds(asked_with_signals, asked):
    config = asked_with_signals.config
    rows, collate = _rows_and_collator(config, KEMD, 48_000)
    inputs = collate(rows)["inputs"]
    assert set(inputs) == {"audio", "text", "signals"}
    shape = (16, 11) if config["dataset"]["signals"] == "features" else (16, 41, 3)
    assert inputs["signals"]["values"].shape == shape and inputs["signals"]["mask"].all()
    rows, collate = _rows_and_collator(asked.config, KEMD, 48_000)
    assert set(collate(rows)["inputs"]) == {"audio", "text"}


def test_a_corpus_that_lacks_its_files_of_signals_is_not_taken_for_one_that_is_not_there(options):
    config = asked_for([*options, "dataset.signals=features"], "concat_3_soft").config
    with pytest.raises(FileNotFoundError, match="Bio-signals of kemdy19 must be there"):
        answers.find_data(config, parts_of(config))


def test_with_bio_signals_the_grid_is_that_which_tells_what_they_add(asked_with_signals, asked):
    assert {"tensor_mixer_3_peakl", "tensor_mixer_peakl"} < set(usual_rows(asked_with_signals.config["dataset"]))
    assert "tensor_mixer_3_peakl" not in usual_rows(asked.config["dataset"])
