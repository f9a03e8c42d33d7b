"""What the environment is asked to do: the training that is planned. Knows no machine."""

from __future__ import annotations

from dataclasses import dataclass

EXPERIMENTS = ("paper", "demo")

PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true")
"""Values of ``trainer.precision`` that this package trains with."""

LAUNCHERS = ("local", "basic", "joblib", "submitit_slurm", "submitit_local")
"""Values of ``--launcher``: ``basic`` is ``local`` with one cell at a time, ``joblib`` is ``local``."""

KEPT_BYTES = {"paper": 2_600_000_000, "demo": 10_000_000}
"""Of a finished cell: the weights of the selected epoch."""

RUN_BYTES = {"paper": 8_000_000_000, "demo": 30_000_000}
"""Of a cell in training: the selected weights, and everything that going on needs."""

N_PARAMETERS = 665_000_000
"""Of the paper's model: 317 million (audio), 337 million (text), 10 million (fusion and heads)."""

BYTES_PER_PARAMETER = 16
"""Weight, gradient and AdamW's two moments in 32 bits."""

SEGMENT_BYTES = 1_450_000_000
"""Estimate of the activations of one segment of 7 s and 64 tokens in 32 bits, by the formula of Korthikanti et al.
(2022, arXiv 2205.05198) for 2 x 24 layers of 1,024 dimensions, and the outputs of seven convolutions."""

DEMO_BYTES = 1_500_000_000
"""Of a cell of the demo, with the libraries."""


MAX_THREADS = 1024
"""Largest value of option ``n_threads``."""


@dataclass(frozen=True)
class Plan:
    """A training, as the options of train.py and reproduce.sh say.

    Raises:
        ValueError: A value is out of its range.
    """

    experiment: str = "paper"
    cells: int = 45
    batch_size: int = 8
    precision: str = "32-true"
    num_workers: int = 0
    launcher: str = "local"
    jobs: int = 1
    n_threads: int | None = None
    """Option ``n_threads``; None: the experiment's own, which is 1 for the demo and null for the paper."""

    def __post_init__(self) -> None:
        complaints = []
        if self.experiment not in EXPERIMENTS:
            complaints.append(f"experiment must be one of {', '.join(EXPERIMENTS)}: got {self.experiment!r}.")
        if self.launcher not in LAUNCHERS:
            complaints.append(f"launcher must be one of {', '.join(LAUNCHERS)}: got {self.launcher!r}.")
        for name, lowest in (("cells", 1), ("batch_size", 1), ("num_workers", 0), ("jobs", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
                complaints.append(f"{name} must be a whole number of {lowest} or more: got {value!r}.")
        if self.n_threads is not None and (type(self.n_threads) is not int or not 1 <= self.n_threads <= MAX_THREADS):
            complaints.append(f"n_threads must be a whole number of 1 to {MAX_THREADS:,}: got {self.n_threads!r}.")
        if complaints:
            raise ValueError(" ".join(complaints))

    @property
    def memory_bytes(self) -> int:
        """Estimate of the memory that one cell needs, on the GPU where there is one."""
        if self.experiment == "demo":
            return DEMO_BYTES
        bits = 0.6 if self.precision.startswith(("bf16", "16")) else 1.0
        return int(N_PARAMETERS * BYTES_PER_PARAMETER + bits * self.batch_size * SEGMENT_BYTES)

    @property
    def disk_bytes(self) -> int:
        """Room for all cells: finished ones, and those in training."""
        kept, running = KEPT_BYTES[self.experiment], RUN_BYTES[self.experiment]
        return self.cells * kept + self.n_running * (running - kept)

    @property
    def threads(self) -> int | None:
        """Option ``n_threads`` of the planned cells; None where it is null."""
        return 1 if self.n_threads is None and self.experiment == "demo" else self.n_threads

    @property
    def n_running(self) -> int:
        """Cells that train at the same time on this machine."""
        return min(self.cells, 1 if self.launcher == "basic" else self.jobs)
