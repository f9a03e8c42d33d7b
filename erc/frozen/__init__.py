"""What the frozen layers of an encoder give for each segment: computed once, kept on disk, read by every run that needs it.

    store.py   hidden states on disk, in shards that are whole or not there
    states.py  encoders and segments -> hidden states on disk; segments of a batch -> inputs of the model

Comes in: a model whose encoders are cut (``train_last``), the segments of a run. Goes out: inputs of the model for any of these
segments. Nothing else of a run differs: losses, labels, batches and their order are the same with and without.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
