from .answer import plan_run as plan_run
from .asked_for import Asked as Asked, asked_for as asked_for
from .commands import plan as plan
