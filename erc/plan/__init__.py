"""Plan before you pay: hours, memory and disk of a training, on this machine and on others.

    asked_for.py  options of train.py -> the run that is planned, and the rows around it
    cards.py      GPUs as their maker publishes them
    lengths.py    how long the segments are, and the batches that training makes of them
    model.py      the model with random weights and few layers
    timing.py     seconds, operations and kept bytes of pieces of a step
    parts.py      the pieces, each measured at two lengths
    loop.py       what a step costs beside the model: loader, Lightning, optimizer, checkpoints
    costs.py      measured pieces and batches -> seconds, operations, memory, disk
    answer.py     from the options to the answer
    terminal.py   the answer on a terminal
    commands.py   the command

Comes in: options of train.py. Goes out: a table, and JSON. Weights are random: time and memory do not depend on them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
