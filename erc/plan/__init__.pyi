from .answer import answer as answer
from .asked_for import Asked as Asked, asked_for as asked_for
from .commands import plan as plan
