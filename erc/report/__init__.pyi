from .comparisons import differences as differences
from .figures.drawing import draw_figures as draw_figures
from .page.building import build as build
from .projection import vectors as vectors
from .raters import agreement as agreement, show_raters as show_raters
from .tables import (
    compare_table as compare_table,
    tables_and_left_out as tables_and_left_out,
    write_tables as write_tables,
)
