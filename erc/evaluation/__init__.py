"""Predictions and labels -> numbers. Pure functions; the only files are predictions.csv and result.json.

    checks.py         arguments of the statistics, checked
    metrics.py        what is reported of one fold
    over_folds.py     mean, standard deviation, t-test over folds, Holm's correction
    cluster_sums.py   metrics as functions of sums over dialogues
    resampling.py     dialogues and seeds drawn within folds; the jackknife over dialogues
    bootstrap.py      intervals over dialogues and over folds; paired differences
    distributions.py  predicted against raters' label distributions; calibration; agreement strata
    calibration.py    temperature scaling, and the calibration error after it
    half_of_raters.py  how well one half of the raters predicts the other half
    agreement.py      Fleiss' kappa, Krippendorff's alpha, correlations of raters
    one_rater.py      how well one rater predicts the others
    alignment.py      Mantel's test: are the emotions arranged alike in two spaces
    result_schema.py  what result.json must hold
    predictions.py    predictions.csv and result.json, written
    stored.py         predictions.csv, read back and checked against result.json

Undefined is NaN, never 0 and never a warning. Malformed input raises ``ValueError``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
