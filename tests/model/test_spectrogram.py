"""The spectrogram encoder: its features against a textbook computation, its masks, and independence of the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchaudio

from erc.model import SpectrogramEncoder, load_feature_extractor
from erc.model.spectrogram import FLOOR, HOP, WINDOW

STEP = 16 * HOP  # four convolutions halve the time


def waveforms(*lengths: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise of unit variance, padded with zeros to the longest; and the mask."""
    rng = np.random.default_rng(0)
    values = torch.zeros(len(lengths), max(lengths))
    mask = torch.zeros(len(lengths), max(lengths), dtype=torch.bool)
    for row, n in enumerate(lengths):
        values[row, :n] = torch.from_numpy(rng.standard_normal(n)).float()
        mask[row, :n] = True
    return values, mask


@pytest.fixture
def encoder() -> SpectrogramEncoder:
    torch.manual_seed(0)
    encoder = SpectrogramEncoder()
    # statistics of the batch norms as training leaves them: not 0 and 1
    encoder.train()(*waveforms(32_000, 16_000, 24_000))
    return encoder.eval()


def test_a_step_is_160_ms_and_the_width_is_that_of_both_directions(encoder):
    sequence, mask = encoder(*waveforms(32_000, 16_000))
    frames = [(n - WINDOW) // HOP + 1 for n in (32_000, 16_000)]
    assert STEP == 2560 and encoder.dim == 128
    assert sequence.shape == (2, frames[0] // 16, 128)
    assert mask.sum(dim=1).tolist() == [n // 16 for n in frames]


def test_other_segments_of_a_batch_change_no_prediction(encoder):
    values, mask = waveforms(48_000, 9_000, 31_234)
    together, mask_together = encoder(values, mask)
    for row, n in enumerate(mask.sum(dim=1).tolist()):
        alone, mask_alone = encoder(values[row : row + 1, :n], mask[row : row + 1, :n])
        steps = int(mask_alone.sum())
        assert steps == int(mask_together[row].sum())
        torch.testing.assert_close(together[row, :steps], alone[0, :steps], rtol=0, atol=2e-5)


def test_without_the_masks_padding_would_change_a_prediction(encoder):
    """Negative control: told that padding is real, the encoder gives other vectors."""
    values, mask = waveforms(48_000, 9_000)
    right, mask_of_steps = encoder(values, mask)
    wrong, _ = encoder(values, torch.ones_like(mask))
    steps = int(mask_of_steps[1].sum())
    assert (right[1, :steps] - wrong[1, :steps]).abs().max() > 0.01


def test_spectrograms_are_normalised_over_the_real_frames(encoder):
    values, mask = waveforms(20_000, 12_000)
    n_frames = (mask.sum(dim=1) - WINDOW) // HOP + 1
    found = encoder._spectrogram(values, n_frames)
    mel = torchaudio.transforms.MelSpectrogram(16_000, n_fft=400, hop_length=160, n_mels=64, center=False)
    for row, (n, frames) in enumerate(zip((20_000, 12_000), n_frames.tolist(), strict=True)):
        expected = torch.log(mel(values[row, :n]) + FLOOR)[:, :frames]
        expected = (expected - expected.mean()) / expected.std(correction=0)
        torch.testing.assert_close(found[row, 0, :, :frames], expected, rtol=0, atol=1e-4)
        assert not found[row, 0, :, frames:].any()


def test_masks_are_drawn_in_training_only(encoder):
    values, mask = waveforms(32_000)
    n_frames = (mask.sum(dim=1) - WINDOW) // HOP + 1
    plain = encoder._spectrogram(values, n_frames)
    torch.testing.assert_close(encoder._spectrogram(values, n_frames), plain, rtol=0, atol=0)
    masked = [encoder.train()._spectrogram(values, n_frames) for _ in range(4)]
    assert any((one != plain).any() for one in masked)
    assert all(((one == plain) | (one == 0)).all() for one in masked)


@pytest.mark.parametrize("n", [1, 400, 2_000, 2_799])
def test_a_segment_shorter_than_a_step_is_one_step(encoder, n):
    sequence, mask = encoder(*waveforms(n))
    assert mask.tolist() == [[True]] and torch.isfinite(sequence).all()


def test_silence_gives_finite_vectors(encoder):
    sequence, _ = encoder(torch.zeros(2, 16_000), torch.ones(2, 16_000, dtype=torch.bool))
    assert torch.isfinite(sequence).all()


def test_every_parameter_learns(encoder):
    encoder.train()(*waveforms(32_000, 20_000))[0].square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in encoder.parameters())


def test_its_preprocessor_needs_no_files():
    assert load_feature_extractor("spectrogram").do_normalize


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(n_mels=40), "expected n_mels divisible by 16, got 40"),
        (dict(name="tiny"), "no weights to load.*'tiny'"),
        (dict(revision="main"), "no revision.*'main'"),
    ],
)
def test_impossible_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        SpectrogramEncoder(**options)
