"""The doctor's two commands, ``corpus`` and ``environment``: findings on the terminal, as JSON, and as the exit code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NoReturn

from erc.data import Exclude
from erc.doctor.diagnosis import check_corpus_arguments, diagnose_corpus, diagnose_environment
from erc.doctor.findings import USAGE_ERROR, Finding, exit_code, to_json
from erc.doctor.plan import Plan
from erc.doctor.segment_lists import check_list_arguments, diagnose_segment_list
from erc.doctor.terminal import show


def corpus(
    root: str = "data",
    dataset_name: str = "kemdy19-kemdy20",
    exclude: Exclude = "paper",
    num_proc: int | None = 1,
    json: str | None = None,
    verbose: bool = False,
    signals: bool = False,
    path: str | None = None,
    emotions: list[str] | None = None,
    scale: list[float] | None = None,
    label_map: dict[str, str | None] | None = None,
    n_folds: int | None = None,
    allow_outside: bool = False,
    allow_shared_speakers: bool = False,
) -> None:
    """Looks at every file of the corpora that training would use, or (``path``) of a table of segments.

    Exit code: 0 sound, 1 look first (warnings), 2 do not start (problems), 3 an argument out of its range.

    Args:
        root: Folder that holds the release folders.
        dataset_name: ``kemdy19``, ``kemdy20`` or ``kemdy19-kemdy20``.
        exclude: Selection, as for ``HF_KEMD``: ``paper`` or ``none``.
        num_proc: Processes that read files; 0 and 1 stay in this process.
        json: File for the findings as JSON.
        verbose: List each check that found nothing, too.
        signals: Look at the bio-signals as well: files, coverage, flat lines, heart rates, clocks.
        path: A table of segments of any corpus, as for ``HF_Manifest``; root, dataset_name and exclude then do not count.
        emotions: With ``path``, as for ``HF_Manifest``; so are the following.
        scale: Lowest and highest rating.
        label_map: Other names of emotions.
        n_folds: Folds to make.
        allow_outside: Audio may lie outside the table's folder.
        allow_shared_speakers: Folds of the table may share speakers.
    """
    if path is not None:
        given: dict[str, Any] = {"emotions": emotions, "scale": scale, "label_map": label_map, "n_folds": n_folds}
        given |= {"allow_outside": allow_outside, "allow_shared_speakers": allow_shared_speakers}
        with _UsageErrors():
            check_list_arguments(path, num_proc, given)
            target = _json_target(json)
        findings = diagnose_segment_list(path, num_proc, **given)
        _conclude("corpus", {"path": path, "num_proc": num_proc, **given}, findings, target, verbose)
    with _UsageErrors():
        check_corpus_arguments(dataset_name, exclude, num_proc)
        target = _json_target(json)
    arguments: dict[str, Any] = {
        "root": str(root),
        "dataset_name": dataset_name,
        "exclude": exclude,
        "num_proc": num_proc,
    }
    arguments |= {"signals": True} if signals else {}
    findings = diagnose_corpus(**arguments)
    _conclude("corpus", arguments, findings, target, verbose)


def environment(
    root: str = "data",
    cache_dir: str = "cache",
    run_dir: str = "outputs",
    experiment: str = "paper",
    cells: int = 45,
    batch_size: int = 8,
    precision: str = "32-true",
    num_workers: int = 0,
    launcher: str = "local",
    jobs: int = 1,
    n_threads: int | None = None,
    json: str | None = None,
    verbose: bool = False,
) -> None:
    """Looks whether the training that is asked for can start on this machine, and whether it can end.

    Exit code: 0 sound, 1 look first (warnings), 2 do not start (problems), 3 an argument out of its range.

    Args:
        root: Folder that holds the release folders; their wav files say how much room a build needs.
        cache_dir: Where builds are kept.
        run_dir: Where runs are written.
        experiment: ``paper`` (both corpora, the paper's encoders) or ``demo`` (synthetic corpora, tiny encoders).
        cells: Runs whose results must find room: 45 for the paper's table, 1 for one ``python train.py``.
        batch_size: Segments per batch, ``dataloader.batch_size``.
        precision: ``trainer.precision``.
        num_workers: ``dataloader.num_workers``.
        launcher: ``local``, ``submitit_slurm`` or ``submitit_local``, as for ``sh reproduce.sh``.
        jobs: Cells at a time on this machine.
        n_threads: ``n_threads``, CPU threads of a cell; left out, what the experiment has.
        json: File for the findings as JSON.
        verbose: List each check that found nothing, too.
    """
    with _UsageErrors():
        plan = Plan(experiment, cells, batch_size, str(precision), num_workers, launcher, jobs, n_threads)
        target = _json_target(json)
    findings = diagnose_environment(root=str(root), cache_dir=str(cache_dir), run_dir=str(run_dir), plan=plan)
    arguments = {"root": str(root), "cache_dir": str(cache_dir), "run_dir": str(run_dir), **vars(plan)}
    _conclude("environment", arguments, findings, target, verbose)


class _UsageErrors:
    """Ends the process with a sentence and ``USAGE_ERROR`` where an argument is out of its range."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, ValueError | OSError):
            print(error, file=sys.stderr)
            sys.exit(USAGE_ERROR)


def _conclude(
    command: str, arguments: dict[str, Any], findings: list[Finding], target: Path | None, verbose: bool
) -> NoReturn:
    """Prints the findings, writes the JSON, ends the process."""
    show(findings, bool(verbose))
    with _UsageErrors():
        if target is not None:
            target.write_text(to_json(command, arguments, findings), encoding="utf-8")
    sys.exit(exit_code(findings))


def _json_target(path: object) -> Path | None:
    """Where the JSON goes; looked at first, because reading the corpora takes minutes.

    Raises:
        ValueError: No path was given with ``--json``, or a folder.
        OSError: Its folder cannot be made.
    """
    if path is None:
        return None
    if isinstance(path, bool) or path == "True":  # --json without a value
        raise ValueError("json names a file: expected --json=PATH, got --json alone.")
    target = Path(str(path))
    if target.is_dir():
        raise ValueError(f"json names a file: {target} is a folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target
