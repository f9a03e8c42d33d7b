from .against import compare_grids as compare_grids
from .arrangement import vectors as vectors
from .comparisons import differences as differences, intervals as intervals
from .figures.drawing import draw_figures as draw_figures
from .figures.style import FONTS as FONTS
from .grid_results import choose_row as choose_row, load as load, metrics_of as metrics_of
from .group_tables import groups_of as groups_of
from .notes import PROTOCOLS as PROTOCOLS
from .page.building import build as build
from .raters import agreement as agreement, show_raters as show_raters
from .rendering import Table as Table, ends_text as ends_text, short as short, table_to_markdown as table_to_markdown
from .robustness_command import robustness as robustness
from .tables import (
    compare_table as compare_table,
    tables_and_left_out as tables_and_left_out,
    write_tables as write_tables,
)
