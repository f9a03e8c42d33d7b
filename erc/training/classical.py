"""A classical reference beside the networks: openSMILE functionals of the audio, and a linear support vector machine.

It reads the same segments in the same folds as every other row, and its results are stored in the same files.
"""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Gt
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR, LinearSVC
from tqdm import tqdm

from erc.data import SAMPLE_RATE
from erc.datasets import SegmentDataset
from erc.files import write_atomically
from erc.labels import NO_LABEL

N_FUNCTIONALS = 88
"""Of eGeMAPS version 2."""


class EgemapsSVM:
    """eGeMAPS functionals of each segment's audio, standardised, and a linear support vector machine for each label.

    The transcript is not read. Emotions: one machine for each emotion against the rest, on the majority labels of untied
    segments; the emotion with the largest decision value is predicted. Probabilities are the soft-max of the decision values:
    their order counts, their calibration does not. Dimensions: linear support vector regression.

    Sources: Eyben et al. (2016), "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS)", IEEE Trans. Affective Computing
    7:190-202; openSMILE (Eyben, Wöllmer and Schuller, 2010), whose licence allows research, and no commercial use.

    Args:
        c: Inverse strength of regularisation.
        cache_dir: Where functionals are kept; they are computed once for all folds of a corpus.

    Raises:
        ImportError: ``opensmile`` is not installed.
    """

    def __init__(self, c: Annotated[float, Gt(0)] = 0.01, cache_dir: str | Path = "cache") -> None:
        try:
            import opensmile
        except ImportError as err:
            raise ImportError(
                "fusion=egemaps_svm needs the package opensmile, which is optional: pip install opensmile"
            ) from err
        self.c, self.cache_dir = c, Path(cache_dir)
        self._smile = opensmile.Smile(
            feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.Functionals
        )

    def fit_predict(self, train: SegmentDataset, test: SegmentDataset) -> dict[str, np.ndarray]:
        """Learns from some segments and predicts others.

        Args:
            train: Segments with labels.
            test: Segments of the same label space.

        Returns:
            As ``EmotionModule.gathered``: segment_id (N,), emotion_probs (N, K), pred_va (N, R) within the raters' scale, and
            embedding (N, 88), the standardised functionals.

        Raises:
            ValueError: Fewer than two emotions have an untied training segment, or no segment is rated on a dimension.
        """
        space = train.label_space
        features, others = (self.functionals(view) for view in (train, test))
        names = ["hard_label", "is_tied", *space.dimensions]
        labels = train.ds.select_columns(names).to_pandas()
        untied = (~labels["is_tied"] & (labels["hard_label"] != NO_LABEL)).to_numpy()
        hard = labels["hard_label"].to_numpy()[untied]
        if len(np.unique(hard)) < 2:
            raise ValueError("A classifier needs two emotions in the untied training segments: got fewer.")
        classifier = self._pipeline(LinearSVC(C=self.c, random_state=0, max_iter=20_000)).fit(features[untied], hard)
        decision = classifier.decision_function(others)
        if decision.ndim == 1:  # two emotions have one decision value
            decision = np.stack([-decision, decision], axis=1)
        scores = np.full((len(others), space.n_emotions), -np.inf)
        scores[:, classifier.classes_] = decision
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        va = np.zeros((len(others), len(space.dimensions)))
        for column, name in enumerate(space.dimensions):
            values = labels[name].to_numpy(dtype=np.float64)
            rated = np.isfinite(values)
            if not rated.any():
                raise ValueError(f"A regression needs ratings: expected {name} of some training segment, got none.")
            machine = self._pipeline(SVR(kernel="linear", C=self.c))  # its intercept is not regularised
            va[:, column] = np.clip(
                machine.fit(features[rated], values[rated]).predict(others), *(space.scale or (0, 0))
            )
        return {
            "segment_id": np.array(test.ds["segment_id"][:]),
            "emotion_probs": weights / weights.sum(axis=1, keepdims=True),
            "pred_va": va,
            "embedding": classifier[:-1].transform(others).astype(np.float32),
        }

    def _pipeline(self, machine: Any) -> Pipeline:
        """Functionals -> mean 0 and deviation 1 -> machine; one that a short segment lacks counts as the mean."""
        return make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), machine)

    def functionals(self, view: SegmentDataset) -> np.ndarray:
        """(N, 88) functionals of the segments, in the order of ``view.ds``; NaN where a segment is too short for one."""
        path = self.cache_dir / f"egemaps-{view.fingerprint}.npz"
        known = _read(path)
        ids = view.ds["segment_id"][:]
        lacking = [position for position, name in enumerate(ids) if name not in known]
        if lacking:
            rows = view.ds.select(lacking).select_columns(["segment_id", "waveform"]).with_format("numpy", dtype=None)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a segment that is too short gives NaN, which is handled
                for row in tqdm(rows, desc="eGeMAPS functionals", unit="segment", disable=None):
                    signal = np.asarray(row["waveform"], dtype=np.float32) / 32768.0
                    known[row["segment_id"]] = self._smile.process_signal(signal, SAMPLE_RATE).to_numpy()[0]
            stream = io.BytesIO()
            np.savez(stream, segment_id=np.array(list(known)), functionals=np.array(list(known.values())))
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, stream.getvalue())
        return np.array([known[name] for name in ids], dtype=np.float64)


def _read(path: Path) -> dict[str, np.ndarray]:
    """Functionals by segment id; none where the file is missing or damaged: they are computed again."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            ids, functionals = stored["segment_id"], stored["functionals"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return {}
    if functionals.shape != (len(ids), N_FUNCTIONALS):
        return {}
    return dict(zip(ids.tolist(), functionals, strict=True))
