"""Writes requirements.lock and requirements-dev.lock from requirements*.txt and constraints.txt.

``python .ci/lock.py`` needs uv (pip install uv). Nothing is downloaded but the index's lists of files and their hashes.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

HEADER = """\
# {what}, each with the SHA-256 of its files: ./setup.sh {options}
# For Python 3.11 to 3.13 on Linux, macOS and Windows, as far as the packages have files for them; the tests ran on Linux x86_64.
# Written by python .ci/lock.py: do not change it by hand.
"""


def compiled(name: str) -> dict[str, str]:
    """Requirement line -> its whole entry, hashes included, for one of the requirement files."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        options = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate", "--no-header", "-q"]
        subprocess.run(
            ["uv", "pip", "compile", *options, "-c", "constraints.txt", "-o", str(out), name], cwd=ROOT, check=True
        )
        entries = re.split(r"^(?=\S)", out.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {entry.splitlines()[0]: entry for entry in entries if entry.strip()}


if __name__ == "__main__":
    base, dev = compiled("requirements.txt"), compiled("requirements-dev.txt")
    if any(dev.get(line) != entry for line, entry in base.items()):
        raise SystemExit("Both files must hold the same versions: they do not. Pin what differs in constraints.txt.")
    (ROOT / "requirements.lock").write_text(
        HEADER.format(what="What the project needs", options="--locked") + "".join(base.values()), encoding="utf-8"
    )
    more = "".join(entry for line, entry in dev.items() if line not in base)
    (ROOT / "requirements-dev.lock").write_text(
        HEADER.format(what="What the tests need", options="--dev --locked") + "-r requirements.lock\n" + more,
        encoding="utf-8",
    )
