"""Batch -> prediction. Knows no label, no loss, no metric and no Hydra.

    places.py         where saved models lie, and how one is used
    products.py       linear maps on a CPU by the faster of two libraries
    pretrained.py     loads encoders, tokenizers and feature extractors; the ``tiny`` ones
    adaptation.py     what is trained of an encoder, and how
    layer_cut.py      the cut through an encoder: frozen below, trained above
    sizes.py          how large an encoder is, found without its weights and without the network
    encoders.py       waveform or tokens -> sequence and mask
    spectrogram.py    waveform -> sequence and mask, without pre-trained weights
    pooling.py        sequence and mask -> vector
    fusion/           sequences of the modalities -> one vector; one file per row of the paper's table
    signal_encoder.py  bio-signals -> sequence and mask
    missing.py        what is read in place of a missing modality; modality dropout
    heads.py          fused vector -> emotion logits, and valence and arousal
    emotion_model.py  encoders -> fusion -> heads
    configuration.py  what a saved model is made of: its config.json
    recognition_model.py  the model as Hugging Face's AutoModel gives it
    processor.py      sound and words -> what that model reads
    transcription.py  waveforms -> words: a speech recogniser
    exporting.py      a model -> the files of its ONNX program
    weight_files.py   weights on disk; frozen ones are there once
    saving.py         a trained model -> a folder, and back
    fine_tuning.py    a new model, or a saved one that is trained on

Encoders, inputs, sequences and learning rates have the same names: those of the modalities (``audio``, ``text``,
``signals``).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
