"""All checks in their order: a data folder, or the machine -> findings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from erc.data import Corpus, Exclude, check_choice, check_num_proc, parse_dataset_name
from erc.doctor.across_folds import check_duplicate_audio, check_labels, check_repeated_text, check_speakers
from erc.doctor.annotations import (
    check_extra_audio,
    check_intervals,
    check_notes,
    check_numbering,
    check_rows,
    check_sessions,
)
from erc.doctor.audio import check_audio, check_unusable_audio
from erc.doctor.counts import check_counts
from erc.doctor.evidence import Evidence, gather
from erc.doctor.findings import Finding
from erc.doctor.label_shift import check_label_shift
from erc.doctor.lengths import check_lengths
from erc.doctor.level import check_level
from erc.doctor.machine import check_cores, check_device, check_shared_memory, check_wandb
from erc.doctor.packages import check_lightning, check_packages, check_python, check_torch_pair, check_torchaudio
from erc.doctor.plan import Plan
from erc.doctor.ratings import check_copied_ratings, check_raters, check_valence_arousal
from erc.doctor.signals import check_signals
from erc.doctor.start import (
    check_corpora,
    check_disk,
    check_encoders,
    check_launcher,
    check_memory,
    check_precision,
    check_workers,
)
from erc.doctor.transcripts import check_transcripts
from erc.doctor.voices import check_voices

ANNOTATION_CHECKS: tuple[Callable[[Evidence], list[Finding]], ...] = (
    check_sessions,
    check_rows,
    check_notes,
    check_numbering,
    check_extra_audio,
)

SEGMENT_CHECKS: tuple[Callable[[Evidence], list[Finding]], ...] = (
    check_raters,
    check_copied_ratings,
    check_valence_arousal,
    check_intervals,
    check_counts,
    check_unusable_audio,
    check_level,
    check_audio,
    check_lengths,
    check_transcripts,
    check_voices,
)

CROSS_CHECKS: tuple[Callable[[list[Evidence]], list[Finding]], ...] = (
    check_labels,
    check_label_shift,
    check_speakers,
    check_repeated_text,
    check_duplicate_audio,
)


def diagnose_corpus(
    root: str | Path = "data",
    dataset_name: str = "kemdy19-kemdy20",
    exclude: Exclude = "paper",
    num_proc: int | None = 1,
    signals: bool = False,
) -> list[Finding]:
    """All findings about the corpora.

    Args:
        root: Folder that holds the release folders.
        dataset_name: ``kemdy19``, ``kemdy20`` or ``kemdy19-kemdy20``.
        exclude: Selection, as for ``HF_KEMD``: ``paper`` or ``none``.
        num_proc: Processes that read files; 0 and 1 stay in this process.
        signals: Whether to look at the bio-signals, too.

    Raises:
        ValueError: An argument out of its range. A bad corpus is a finding.
    """
    findings: list[Finding] = []
    cases: list[Evidence] = []
    for corpus in check_corpus_arguments(dataset_name, exclude, num_proc):
        case, read = gather(corpus, Path(root), exclude, num_proc)
        findings += read
        if case is not None:
            findings += [finding for check in ANNOTATION_CHECKS for finding in check(case)]
        if case is not None and len(case.table):
            cases.append(case)
            findings += [finding for check in SEGMENT_CHECKS for finding in check(case)]
            findings += check_signals(case) if signals else []
    if cases:
        findings += [finding for check in CROSS_CHECKS for finding in check(cases)]
    return findings


def check_corpus_arguments(dataset_name: str, exclude: str, num_proc: int | None) -> tuple[Corpus, ...]:
    """Corpora that a diagnosis looks at.

    Raises:
        ValueError: An argument out of its range.
    """
    check_choice("exclude", exclude, Exclude)
    check_num_proc(num_proc)
    return parse_dataset_name(dataset_name)


def diagnose_environment(
    root: str | Path = "data",
    cache_dir: str | Path = "cache",
    run_dir: str | Path = "outputs",
    plan: Plan | None = None,
) -> list[Finding]:
    """All findings about the machine and its packages.

    Args:
        root: Folder that holds the release folders; their wav files say how much room a build needs.
        cache_dir: Where builds are kept.
        run_dir: Where runs are written.
        plan: The training that is planned; the paper's table where it is None.
    """
    plan = plan or Plan()
    return [
        *check_python(),
        *check_packages(),
        *check_lightning(),
        *check_torch_pair(),
        *check_torchaudio(),
        *check_device(),
        *check_precision(plan),
        *check_corpora(Path(root), plan),
        *check_encoders(plan),
        *check_disk(Path(root), Path(cache_dir), Path(run_dir), plan),
        *check_memory(plan),
        *check_workers(plan),
        *check_launcher(plan),
        *check_wandb(),
        *check_cores(plan),
        *check_shared_memory(),
    ]
