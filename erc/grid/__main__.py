"""``python -m erc.grid``: what ``sh reproduce.sh`` calls."""

import os
import sys

from erc.files import keep_private
from erc.grid.program import main
from erc.mistakes import told_plainly

if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_private()
    sys.exit(told_plainly()(main)())
