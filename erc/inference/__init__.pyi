from .commands import file as file, folder as folder, table as table
from .predictor import Predictor as Predictor
from .sound import Sound as Sound
from .sources import find_models as find_models, finished_runs as finished_runs, split_names as split_names
