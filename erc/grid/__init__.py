"""The paper's table as a grid of cells, row x fold x seed. Each cell is a run folder.

    cells.py      rows, folds and seeds -> cells
    options.py    options of ``sh reproduce.sh``
    asked_for.py  whether a finished cell is of the run that is asked for now
    board.py      the running cells on the terminal: progress, time left
    running.py    runs the cells by a Hydra launcher; signals, waiting
    guard.py      a process that ends with the program that started it
    pool.py       runs the cells on this machine, several at a time
    overview.py   how the cells stand
    program.py    what ``sh reproduce.sh`` does, from start to table

Comes in: command-line options (``sh reproduce.sh --help``). Goes out: ``<out>/<row>/fold<k>-seed<s>/`` and the table
files in ``<out>``. A cell is one ``python train.py ... resume=true``. Its folder says whether it is finished, half-done or
being worked on, so cells can be started from anywhere, several times, on several machines that share the folder.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
