"""What frozen layers give: computed once, kept whole or not at all, and equal to what the encoders give in training."""

from __future__ import annotations

import pickle
import threading
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset
from filelock import FileLock
from saved_models import FUSIONS, processors, tiny_model

from erc.data import InputCollator
from erc.frozen import Computation, Segments, StateStore, find_states, states
from erc.model import AudioEncoder, EmotionModel, pooled

N = 7
WORDS = ["안녕하세요", "네", "그래요 정말", "네", "hello", "아니요", "음"]  # two segments of the same words
LENGTHS = [1_700, 9_000, 5_000, 4_000, 20_000, 7_000, 3_000]
MAX_SAMPLES = 12_000


def dataset(start: int = 0) -> Dataset:
    rng = np.random.default_rng(0)
    waveforms = [rng.integers(-3000, 3000, n).astype(np.int16) for n in LENGTHS]
    ids = [f"S{k}" for k in range(N)]
    columns = {"segment_id": ids, "waveform": waveforms, "n_samples": LENGTHS, "transcript": WORDS}
    return Dataset.from_dict({name: values[start:] for name, values in columns.items()})


def model_of(fusion: str = "concat", audio: int | None = 0, text: int | None = 0, seed: int = 0) -> EmotionModel:
    model = tiny_model(fusion, seed=seed)
    for modality, train_last in (("audio", audio), ("text", text)):
        if modality in model.encoders:
            model.encoders[modality].adapt(train_last=train_last)
    return model.train()


def segments(*views: Dataset, fingerprint: str = "corpus", max_samples: int = MAX_SAMPLES) -> Segments:
    make_inputs = InputCollator(**processors(), max_samples=max_samples, max_tokens=8)
    return Segments(views or (dataset(),), fingerprint, make_inputs)


def computed(kind: str = "fp32", precision: str = "32-true") -> Computation:
    return Computation(kind, torch.device("cpu"), precision, nullcontext)


@pytest.fixture
def counted(monkeypatch) -> list[str]:
    """Ids of the segments that go through an encoder from here on."""
    seen: list[str] = []
    original = states._Encoder.states_of

    def counting(self, row):
        seen.append(f"{self.modality} {row['segment_id']}")
        return original(self, row)

    monkeypatch.setattr(states._Encoder, "states_of", counting)
    return seen


# --- the same as without a cache --------------------------------------------------------------------------------------
@pytest.mark.parametrize(("fusion", "train_last"), [("concat", 0), ("cross_attention", 0), ("cross_attention", 1)])
@torch.no_grad()
def test_the_model_predicts_from_the_cache_what_it_predicts_from_the_segments(tmp_path, fusion, train_last):
    model, run = model_of(fusion, train_last, train_last), segments()
    rows = list(dataset().with_format("numpy", dtype=None))
    inputs = run.make_inputs(rows)["inputs"]  # oracle: the batch of a run without a cache, padded to the longest
    found = find_states(model, run, computed(), tmp_path)([row["segment_id"] for row in rows])
    model.eval()
    direct, from_cache = model(inputs), model(found)
    assert direct.emotion_logits.std(dim=0).min() > 1e-3  # control: the segments differ
    torch.testing.assert_close(from_cache.emotion_logits, direct.emotion_logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(from_cache.va, direct.va, rtol=0, atol=1e-5)
    is_pooled = fusion == "concat"
    assert all((one["values"].shape[1] == 1) == is_pooled for one in found.values())


@pytest.mark.parametrize("fusion", FUSIONS)
@torch.no_grad()
def test_a_fusion_that_pools_first_reads_nothing_but_the_pooled_vectors(fusion):
    torch.manual_seed(0)
    part = tiny_model(fusion).fusion
    sequences = {"audio": torch.randn(3, 6, 64), "text": torch.randn(3, 5, 64)}
    masks = {
        "audio": torch.arange(6) < torch.tensor([[6], [2], [4]]),
        "text": torch.arange(5) < torch.tensor([[5], [3], [1]]),
    }
    vectors = {name: vector.unsqueeze(1) for name, vector in pooled(sequences, masks).items()}
    ones = {name: torch.ones(3, 1, dtype=torch.bool) for name in sequences}
    is_same = torch.allclose(part(sequences, masks), part(vectors, ones), rtol=0, atol=1e-6)
    assert is_same == part.pools_first == (fusion != "cross_attention")


@torch.no_grad()
def test_bf16_keeps_eight_bits_of_each_number_and_half_the_bytes(tmp_path):
    exact, rounded = (
        find_states(model_of("cross_attention"), segments(), computed(kind), tmp_path) for kind in ("fp32", "bf16")
    )
    a, b = exact(["S1"])["audio"]["values"], rounded(["S1"])["audio"]["values"]
    torch.testing.assert_close(b, a, rtol=2**-8, atol=0)  # half the distance of two numbers with eight bits
    assert not torch.equal(a, b)
    sizes = sorted(
        sum(path.stat().st_size for path in folder.iterdir()) for folder in (tmp_path / "frozen").glob("audio-*[!k]")
    )
    assert len(sizes) == 2 and sizes[0] < 0.6 * sizes[1]


def test_the_states_of_a_segment_do_not_depend_on_what_was_computed_before(tmp_path):
    model = model_of("cross_attention", 1, 1)
    at_once = find_states(model, segments(), computed(), tmp_path / "one")
    find_states(model, segments(dataset(4)), computed(), tmp_path / "two")
    later = find_states(model, segments(), computed(), tmp_path / "two")
    for k in range(N):
        for modality in ("audio", "text"):
            assert torch.equal(at_once([f"S{k}"])[modality]["values"], later([f"S{k}"])[modality]["values"])


# --- computed once ----------------------------------------------------------------------------------------------------
def test_folds_rows_and_seeds_share_what_was_computed(tmp_path, counted):
    model = model_of("concat")
    find_states(model, segments(dataset(2), dataset(5)), computed(), tmp_path)
    assert sorted(counted) == sorted([f"audio S{k}" for k in range(2, N)] + [f"text S{k}" for k in (2, 3, 4, 5, 6)])
    counted.clear()
    find_states(model, segments(dataset(), dataset(3)), computed(), tmp_path)  # another fold: two segments are new
    assert counted == ["audio S0", "audio S1", "text S0"]  # the words of S1 are those of S3
    counted.clear()
    torch.manual_seed(5)
    other = EmotionModel(
        {"audio": lambda: model.encoders["audio"], "text": lambda: model.encoders["text"]},
        FUSIONS["tensor_mixer"],
        model.label_space,
    )
    assert len(find_states(other, segments(), computed(), tmp_path).stores) == 2 and counted == []


@pytest.mark.parametrize(
    "change",
    ["weights", "cut", "format", "precision", "corpus", "length", "kind of states"],
)
def test_whatever_the_states_depend_on_gives_a_store_of_its_own(tmp_path, counted, change):
    find_states(model_of("audio_only"), segments(), computed(), tmp_path)
    counted.clear()
    find_states(model_of("audio_only"), segments(), computed(), tmp_path)
    assert counted == []
    model = model_of("audio_only", audio=1 if change == "cut" else 0, seed=int(change == "weights"))
    if change == "kind of states":
        model.fusion = tiny_model("cross_attention").fusion
    run = segments(
        fingerprint="other" if change == "corpus" else "corpus",
        max_samples=8_000 if change == "length" else MAX_SAMPLES,
    )
    how = computed("bf16" if change == "format" else "fp32", "bf16-mixed" if change == "precision" else "32-true")
    find_states(model, run, how, tmp_path)
    assert len(counted) == N


def test_what_is_above_the_cut_gives_no_store_of_its_own(tmp_path, counted):
    model = model_of("text_only", text=1)
    find_states(model, segments(), computed(), tmp_path)
    counted.clear()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_()
    find_states(model, segments(), computed(), tmp_path)
    assert counted == []


# --- whole or not there -----------------------------------------------------------------------------------------------
@pytest.fixture
def small_shards(monkeypatch) -> None:
    monkeypatch.setattr(states, "SEGMENTS_PER_SHARD", 2)


def test_a_process_that_is_killed_loses_one_shard_at_most(tmp_path, counted, small_shards, monkeypatch):
    model = model_of("audio_only")
    written = []

    def write_two(self, states):
        if len(written) == 2:
            (self.folder / ".shard-half.safetensors.tmp-1").write_bytes(b"half")
            raise KeyboardInterrupt
        written.append(self)
        original(self, states)

    original = StateStore.write
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(StateStore, "write", write_two)
        find_states(model, segments(), computed(), tmp_path)
    assert len(counted) == 6
    counted.clear()
    found = find_states(model, segments(), computed(), tmp_path)
    assert counted == ["audio S4", "audio S5", "audio S6"]
    (folder,) = (path for path in (tmp_path / "frozen").iterdir() if path.is_dir())
    assert len(list(folder.iterdir())) == 4 == len(list(folder.glob("shard-*")))  # nothing half-written is left
    whole = find_states(model, segments(), computed(), tmp_path / "again")
    ids = [f"S{k}" for k in range(N)]
    assert torch.equal(found(ids)["audio"]["values"], whole(ids)["audio"]["values"])


def test_a_shard_that_was_damaged_is_computed_again(tmp_path, counted, small_shards, capsys):
    model = model_of("audio_only")
    find_states(model, segments(), computed(), tmp_path)
    shard = sorted(tmp_path.glob("frozen/audio-*/shard-*"))[0]
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    counted.clear()
    find_states(model, segments(), computed(), tmp_path)
    assert 1 <= len(counted) <= 2 and f"{shard} is damaged" in capsys.readouterr().err
    counted.clear()
    find_states(model, segments(), computed(), tmp_path)
    assert counted == []


def test_a_second_process_waits_for_the_first(tmp_path, counted, capsys):
    model = model_of("audio_only")
    find_states(model, segments(dataset(6)), computed(), tmp_path)
    (folder,) = (path for path in (tmp_path / "frozen").iterdir() if path.is_dir())
    counted.clear()
    with FileLock(f"{folder}.lock"):
        second = threading.Thread(target=find_states, args=(model, segments(), computed(), tmp_path))
        second.start()
        second.join(timeout=1)
        assert second.is_alive() and counted == []
    second.join(timeout=30)
    assert len(counted) == N - 1 and f"Another process is computing {folder}: waiting" in capsys.readouterr().err


def test_the_size_is_said_before_and_a_disk_without_room_is_refused(tmp_path, counted, capsys, monkeypatch):
    model = model_of("cross_attention", audio=1, text=None)
    with monkeypatch.context() as patch:
        patch.setattr(states.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_000))
        with pytest.raises(
            OSError, match=r"must have room .*expected [\d,]+ bytes, got 1,000 bytes free .*dataset.cache_dir"
        ):
            find_states(model, segments(), computed(), tmp_path)
    assert counted == []
    capsys.readouterr()
    find_states(model, segments(), computed(), tmp_path)
    said = capsys.readouterr().out
    assert f"{N} segments are computed once" in said
    (folder,) = (path for path in (tmp_path / "frozen").iterdir() if path.is_dir())
    n_bytes = sum(path.stat().st_size for path in folder.iterdir())
    promised = int(said.split(" once, ")[1].split(" bytes")[0].replace(",", ""))
    assert promised < n_bytes < promised + 1_000  # beside the states only their keys


# --- reading ----------------------------------------------------------------------------------------------------------
def test_states_can_be_sent_to_a_process_that_prepares_batches(tmp_path):
    found = find_states(model_of("cross_attention"), segments(), computed(), tmp_path)
    first = found(["S4", "S0"])
    again = pickle.loads(pickle.dumps(found))(["S4", "S0"])
    for modality, one in first.items():
        assert torch.equal(one["values"], again[modality]["values"]) and torch.equal(
            one["mask"], again[modality]["mask"]
        )
    assert (
        first["audio"]["mask"].sum(dim=1).tolist()
        == AudioEncoder("tiny").n_steps(torch.tensor([MAX_SAMPLES, 1_700])).tolist()
    )


def test_a_model_without_a_frozen_layer_has_no_cache(tmp_path):
    with pytest.raises(ValueError, match="expected an encoder with train_last, got none of audio, text"):
        find_states(model_of(audio=None, text=None), segments(), computed(), tmp_path)


def test_only_encoders_with_a_cut_are_cached(tmp_path):
    found = find_states(model_of("concat", audio=0, text=None), segments(), computed(), tmp_path)
    assert [*found.stores] == ["audio"] and not list((tmp_path / "frozen").glob("text-*"))


def test_the_folder_is_left_alone_where_everything_is_there(tmp_path):
    model = model_of("text_only")
    find_states(model, segments(), computed(), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in Path(tmp_path / "frozen").rglob("*")}
    find_states(model, segments(), computed(), tmp_path)
    assert {path: path.stat().st_mtime_ns for path in Path(tmp_path / "frozen").rglob("*")} == before
