"""A composed configuration is checked before anything is built or run. The only room that knows pydantic.

    values.py      does a value fit a type annotation with its range? the annotation in words
    buildable.py   what each group of options may build; ranges of Lightning's arguments
    check.py       every name, type, range and target of a configuration; the top-level options
    hydra_tree.py  Hydra's own options: which classes it may build, and where it may write
    start.py       composes what a command line asks for, and checks it before Hydra acts

Convention: complaints are collected and raised together, each with the name of its option.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
