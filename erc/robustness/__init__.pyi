from .conditions import Condition as Condition, conditions as conditions
from .effects import (
    CLEAN as CLEAN,
    Effect as Effect,
    default_out as default_out,
    read_effects as read_effects,
    write_effects as write_effects,
)
from .scoring import Scored as Scored, score_conditions as score_conditions
from .table import effects_of as effects_of
