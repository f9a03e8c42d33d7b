from .emotion_model import EmotionModel as EmotionModel, Prediction as Prediction
from .encoders import AudioEncoder as AudioEncoder, Encoder as Encoder, TextEncoder as TextEncoder
from .fusion.audio_only import AudioOnly as AudioOnly
from .fusion.concat import Concat as Concat
from .fusion.cross_attention import CrossAttention as CrossAttention
from .fusion.tensor_mixer import TensorMixer as TensorMixer
from .fusion.text_only import TextOnly as TextOnly
from .pretrained import load_feature_extractor as load_feature_extractor, load_tokenizer as load_tokenizer
