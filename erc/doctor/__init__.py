"""Is everything sound before a training starts? Looks at the corpora and at the environment; changes nothing.

Comes in: a data folder, or the machine and a plan. Goes out: findings, on the terminal, as JSON with ``--json=PATH``,
and as the exit code: 0 sound, 1 look first (a warning), 2 do not start (a problem), 3 an argument out of its range.

    python -m erc doctor corpus --root=data --dataset_name=kemdy19-kemdy20 --exclude=paper --num_proc=4
    python -m erc doctor corpus --signals
    python -m erc doctor corpus --path=segments.csv --scale=[1,5]
    python -m erc doctor environment --cells=45 --batch_size=8 --precision=bf16-mixed

Severities: *ok*; *note*, known of the corpora or of no consequence; *warning*, training runs but its figures may suffer;
*problem*, training stops, or its figures would be wrong. What lies outside the selection (``exclude``) is a note.
The doctor reads with the functions of the data set (``read_annotations``, ``read_waveform``, ``read_transcript``), so
that it accepts what the data set accepts, and groups what they refuse by its ``kind``. It prints and writes no
transcript: a finding names ids and files.

    findings.py      a finding, the level and exit code, and the findings as JSON
    mojibake.py      Korean text that was decoded wrongly
    evidence.py      one corpus, read: annotations, every wav and every txt
    published.py     published sizes of the corpora, and whether a folder holds them
    annotations.py   checks of the annotation files
    ratings.py       checks of the raters, and of valence and arousal
    counts.py        checks of the counts against the published ones
    audio.py         checks of the audio: usable, format, clipping
    level.py         checks of the audio's level
    lengths.py       checks of the audio's length against the annotation; exchanged sessions
    transcripts.py   checks of the transcripts
    voices.py        checks of the speakers' voices: one voice under two ids, or of another sex than the ids say
    signals.py       checks of the bio-signals
    across_folds.py  checks across folds and corpora: labels, speakers, repeated text, duplicate audio
    label_shift.py   check of the labels between folds and sessions
    packages.py      checks of the interpreter and the installed packages
    plan.py          the training that is planned, with its needs
    machine.py       checks of the machine: device, tracking, cores, shared memory
    start.py         checks whether it can start: corpora, encoders, disk, memory, precision, workers, launcher
    diagnosis.py     all checks in their order
    segment_lists.py checks of a table of segments of any corpus, and of its audio
    terminal.py      findings on a terminal
    commands.py      the two commands

JSON: ``{"schema": 2, "command", "arguments", "level": "sound", "look first" or "do not start", "exit_code", "n":
{severity: count}, "findings": [{"name", "severity", "corpus" ("" for all of them, or none), "expected", "got", "where"
[every place, as text], "advice", "table" [header, row, ...; may be empty]}]}``. ``name`` is stable: ``CORPUS_NAMES`` and
``ENVIRONMENT_NAMES`` in findings.py list all.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
