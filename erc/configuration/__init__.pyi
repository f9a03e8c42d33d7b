from .buildable import BUILDABLE as BUILDABLE, FOREIGN as FOREIGN, locate as locate
from .check import (
    TOP_LEVEL as TOP_LEVEL,
    check_config as check_config,
    taken_up as taken_up,
    wandb_offline as wandb_offline,
)
from .hydra_tree import check_hydra as check_hydra
from .start import (
    check_command_line as check_command_line,
    compose_run as compose_run,
    nearest_option as nearest_option,
)
from .values import accepts as accepts, describe as describe
