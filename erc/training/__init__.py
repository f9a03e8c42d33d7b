"""Configuration -> run folder. The only room that knows PyTorch Lightning.

Comes in: an instantiated configuration. Goes out: checkpoints, figures per epoch, predictions and a result.

    allocator.py         freed memory is kept for the next step
    losses.py            what training minimises
    optim.py             parameter groups, schedules
    precision.py         what trainer.precision=auto is on this machine
    frozen_weights.py    weights that never change stay out of checkpoints
    lightning_module.py  batch -> loss -> step; predictions of a fold -> metrics
    loaders.py           views of the data set -> loaders
    history.py           a row of figures per epoch
    epoch_bar.py         the progress bar of a run on a terminal
    checkpoints.py       checkpoints that are whole or not there
    loggers.py           loggers that may fail without ending the run
    encoder_files.py     the files of an encoder in a directory -> one hash
    identity.py          options, data and code that decide a result, and their fingerprint
    read_back.py         the files of a run folder, read back: valid, damaged or of another run
    grid_identity.py     what all cells of a grid share
    run_folder.py        a run folder: claimed, refused, resumed, finished, failed
    resuming.py          which run and which checkpoint a run goes on from
    cached_inputs.py     a run whose encoders have frozen layers -> a collator that reads what these give from disk
    assembly.py          parts of a configuration -> views, module, loaders, trainer
    selected_predictions.py  predictions of the selected epoch, kept from its validation
    untrained.py         where a network places the segments before it is trained
    classical.py         openSMILE functionals and a support vector machine, a reference without a network
    facts.py             training segments -> the facts that travel with a saved model
    run.py               one configured run, from start to result
    scoring.py           a checkpoint of a run, scored again on any fold
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
