"""Is everything sound before a training starts? Looks at the corpora and at the environment; changes nothing.

Comes in: a data folder, or the machine. Goes out: findings, on the terminal, as JSON with ``--json=PATH``, and as the
exit code: 0 sound (notes and warnings allowed), 1 at least one problem, 2 an argument out of its range.

    python -m erc doctor corpus --root=data --dataset_name=kemdy19-kemdy20 --exclude=paper --num_proc=4
    python -m erc doctor environment

Severities: *ok*; *note*, known of the corpora or of no consequence; *warning*, training runs but its figures may suffer;
*problem*, training stops, or its figures would be wrong. What lies outside the selection (``exclude``) is a note.
The doctor reads with the functions of the data set (``read_annotations``, ``read_waveform``, ``read_transcript``), so
that it accepts what the data set accepts, and groups what they refuse by its ``kind``. It prints and writes no
transcript: a finding names ids and files.

    findings.py      a finding, and the findings as JSON
    evidence.py      one corpus, read: annotations, every wav and every txt
    annotations.py   checks of the annotation files
    counts.py        checks of the counts against the published ones
    audio.py         checks of the audio
    transcripts.py   checks of the transcripts
    across_folds.py  checks across folds and corpora: labels, speakers, repeated text, duplicate audio
    packages.py      checks of the interpreter and the installed packages
    machine.py       checks of the machine: device, encoders, disk, tracking, cores, shared memory
    diagnosis.py     all checks in their order
    terminal.py      findings on a terminal
    commands.py      the two commands

JSON: ``{"schema": 1, "command", "arguments", "is_sound", "n": {severity: count}, "findings": [{"name", "severity",
"corpus" ("" for all of them, or none), "expected", "got", "where" [every place, as text], "advice", "table" [header,
row, ...; may be empty]}]}``. ``name`` is stable: ``CORPUS_NAMES`` and ``ENVIRONMENT_NAMES`` in findings.py list all.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
