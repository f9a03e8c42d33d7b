"""Audio is sorted by the kind of its problem; what a batch cuts of long audio is said."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from erc.data.corpora import KEMDY20
from erc.doctor import audio, evidence

ROOT = Path(__file__).resolve().parents[2]


def test_what_is_cut_is_said_in_shares():
    table = pd.DataFrame({"n_samples": [112_000, 112_001, 224_000, 16_000], "is_selected": True})
    case = evidence.Evidence(KEMDY20, Path(), "paper", False, [], 0, table, [], [])
    got = audio._long_audio(case).got
    cut = 100 * 112_001 / (112_000 + 112_001 + 224_000 + 16_000)
    assert got.startswith(
        f"2 segments (50.0 %) longer than 7 s: {cut:.1f} % of all sound is cut; the longest has 14.0 s"
    )


def test_what_a_batch_keeps_is_the_configured_length():
    text = (ROOT / "config/dataloader/default.yaml").read_text(encoding="utf-8")
    assert int(re.search(r"max_samples: (\d+)", text)[1]) == audio.MAX_SAMPLES


def test_a_wav_with_samples_that_are_not_finite_counts_as_unreadable(tmp_path):
    samples = np.full(1000, 0.1)
    samples[7] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    (tmp_path / "a.txt").write_text("말")
    media = evidence.examine_segment("s", str(tmp_path / "a.wav"), str(tmp_path / "a.txt"))
    assert (media.wav_kind, media.txt_kind, media.words) == ("audio not finite", "", "말")
    table = pd.DataFrame([asdict(media) | {"is_selected": True, "wav_path": "a.wav"}])
    case = evidence.Evidence(KEMDY20, Path(), "paper", False, [], 0, table, [], [])
    found = {finding.name: finding.severity for finding in audio.check_unusable_audio(case)}
    assert found == dict.fromkeys(found, "ok") | {"unreadable audio": "problem"} and len(found) == 5


def test_files_that_the_system_cannot_read_are_unreadable(tmp_path):
    media = evidence.examine_segment("s", str(tmp_path / "gone.wav"), str(tmp_path / "gone.txt"))
    assert (media.wav_kind, media.txt_kind) == ("unreadable audio", "unreadable transcript")
    assert "gone.wav" in media.wav_problem and "gone.txt" in media.txt_problem
