from .configuration import EmotionModelConfig as EmotionModelConfig
from .emotion_model import EmotionModel as EmotionModel, Prediction as Prediction
from .encoders import (
    AudioEncoder as AudioEncoder,
    Encoder as Encoder,
    PretrainedEncoder as PretrainedEncoder,
    TextEncoder as TextEncoder,
)
from .exporting import export_program as export_program
from .fine_tuning import build_model as build_model
from .layer_cut import cut_complaint as cut_complaint
from .missing import MissingModalities as MissingModalities
from .places import (
    MODEL as MODEL,
    model_folder as model_folder,
    predict_command as predict_command,
    saved_model as saved_model,
)
from .pooling import pooled as pooled
from .pretrained import load_feature_extractor as load_feature_extractor, load_tokenizer as load_tokenizer
from .processor import EmotionProcessor as EmotionProcessor
from .products import speed_up as speed_up
from .recognition_model import EmotionOutput as EmotionOutput, EmotionRecognitionModel as EmotionRecognitionModel
from .saving import (
    SavedModel as SavedModel,
    load_model as load_model,
    load_processors as load_processors,
    save_model as save_model,
)
from .signal_encoder import SignalEncoder as SignalEncoder
from .sizes import encoder_config as encoder_config, saved_encoder_config as saved_encoder_config
from .spectrogram import SpectrogramEncoder as SpectrogramEncoder
from .transcription import DEFAULT_TRANSCRIBER as DEFAULT_TRANSCRIBER, Transcriber as Transcriber
from .weight_files import (
    SharedWeights as SharedWeights,
    copy_weights as copy_weights,
    cuts_of as cuts_of,
    frozen_names as frozen_names,
    weights_checksum as weights_checksum,
)
