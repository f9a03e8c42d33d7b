"""Names of the columns of ``predictions.csv`` of a run on KEMD, written out once for all tests."""

from __future__ import annotations

from erc.data import KEMD
from erc.evaluation import Columns

_NAMES = Columns(KEMD)
COLUMNS, PROB, SOFT, TRUTH, VOTES = _NAMES.all, _NAMES.prob, _NAMES.soft, _NAMES.truth, _NAMES.votes
