from .overview import cells_status as cells_status
from .program import main as main
