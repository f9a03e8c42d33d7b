from .emotion_model import EmotionModel as EmotionModel, Prediction as Prediction
from .encoders import AudioEncoder as AudioEncoder, Encoder as Encoder, TextEncoder as TextEncoder
from .pretrained import load_feature_extractor as load_feature_extractor, load_tokenizer as load_tokenizer
from .spectrogram import SpectrogramEncoder as SpectrogramEncoder
