from .conditions import CLEAN as CLEAN, Condition as Condition, conditions as conditions
from .scoring import Scored as Scored, default_out as default_out, score_conditions as score_conditions
from .table import (
    Effect as Effect,
    effects_of as effects_of,
    read_effects as read_effects,
    write_effects as write_effects,
)
