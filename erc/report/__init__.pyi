from .comparisons import differences as differences
from .figures.drawing import draw_figures as draw_figures
from .grid_results import left_out as left_out
from .page.building import build as build
from .projection import vectors as vectors
from .raters import agreement as agreement, show_raters as show_raters
from .tables import compare_table as compare_table, write_tables as write_tables
