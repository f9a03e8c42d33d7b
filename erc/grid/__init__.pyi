from .cells import CONFIG as CONFIG, SIGNAL_ROWS as SIGNAL_ROWS, TABLE_ROWS as TABLE_ROWS, rows_of as rows_of
from .overview import cells_status as cells_status
from .program import main as main
