"""The doctor's two commands, ``corpus`` and ``environment``: findings on the terminal, as JSON, and as the exit code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from erc.data import Exclude
from erc.doctor.diagnosis import check_corpus_arguments, diagnose_corpus, diagnose_environment
from erc.doctor.findings import Finding, is_sound, to_json
from erc.doctor.terminal import show


def corpus(
    root: str = "data",
    dataset_name: str = "kemdy19-kemdy20",
    exclude: Exclude = "paper",
    num_proc: int | None = 1,
    json: str | None = None,
) -> None:
    """Looks at every file of the corpora that training would use, and ends the process with the exit code.

    Args:
        root: Folder that holds the release folders.
        dataset_name: ``kemdy19``, ``kemdy20`` or ``kemdy19-kemdy20``.
        exclude: Selection, as for ``HF_KEMD``: ``paper`` or ``none``.
        num_proc: Processes that read files; 0 and 1 stay in this process.
        json: File for the findings as JSON.
    """
    try:
        check_corpus_arguments(dataset_name, exclude, num_proc)
        target = _json_target(json)
    except (ValueError, OSError) as err:
        print(err, file=sys.stderr)
        sys.exit(2)
    findings = diagnose_corpus(root=str(root), dataset_name=dataset_name, exclude=exclude, num_proc=num_proc)
    arguments = {"root": str(root), "dataset_name": dataset_name, "exclude": exclude, "num_proc": num_proc}
    _conclude("corpus", arguments, findings, target)


def environment(
    root: str = "data", cache_dir: str = "cache", run_dir: str = "outputs", json: str | None = None
) -> None:
    """Looks at what the paper's training needs of this machine, and ends the process with the exit code.

    Args:
        root: Folder that holds the release folders; their wav files say how much room a build needs.
        cache_dir: Where builds are kept.
        run_dir: Where runs are written.
        json: File for the findings as JSON.
    """
    try:
        target = _json_target(json)
    except (ValueError, OSError) as err:
        print(err, file=sys.stderr)
        sys.exit(2)
    findings = diagnose_environment(root=str(root), cache_dir=str(cache_dir), run_dir=str(run_dir))
    arguments = {"root": str(root), "cache_dir": str(cache_dir), "run_dir": str(run_dir)}
    _conclude("environment", arguments, findings, target)


def _conclude(command: str, arguments: dict[str, Any], findings: list[Finding], target: Path | None) -> None:
    """Prints the findings, writes the JSON, ends the process."""
    show(findings)
    if target is not None:
        try:
            target.write_text(to_json(command, arguments, findings), encoding="utf-8")
        except OSError as err:
            print(f"The JSON could not be written: {err}", file=sys.stderr)
            sys.exit(2)
    sys.exit(0 if is_sound(findings) else 1)


def _json_target(path: object) -> Path | None:
    """Where the JSON goes; looked at first, because reading the corpora takes minutes.

    Raises:
        ValueError: No path was given with ``--json``, or a folder.
        OSError: Its folder cannot be made.
    """
    if path is None:
        return None
    if isinstance(path, bool):
        raise ValueError("json names a file: expected --json=PATH, got --json alone.")
    target = Path(str(path))
    if target.is_dir():
        raise ValueError(f"json names a file: {target} is a folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target
