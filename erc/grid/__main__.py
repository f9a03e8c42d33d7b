"""``python -m erc.grid``: what ``sh reproduce.sh`` calls."""

import os
import sys

from erc.grid.program import main

if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(main())
