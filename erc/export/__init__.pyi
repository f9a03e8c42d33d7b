from .card import model_card as model_card
from .checkpoint import save_checkpoint as save_checkpoint
from .commands import export as export
from .onnx import export_onnx as export_onnx
from .parity import Parity as Parity, compare as compare, session_of as session_of
