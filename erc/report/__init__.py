"""Run folders -> tables, figures, a page; ratings -> agreement. May read everything of the package.

    rendering.py      report values (document, section, table); numbers, Markdown, LaTeX
    finished_run.py   one finished run: result, predictions, embeddings, data set
    grid_results.py   run folders -> rows of the table
    coverage.py       what intervals and p values were measured to do, in sentences
    comparisons.py    intervals and differences of rows
    single_tables.py  each table of a grid as a value
    modalities.py     what each modality adds
    group_tables.py   metrics by speaker's sex and by kind of speech
    notes.py          the sentences above the tables
    table_files.py    table.csv and table.tex
    against.py        two grids: differences of their rows of the same name
    tables.py         all tables -> one document; table.md, table.csv, table.tex
    raters.py         how far the raters of a corpus agree
    robustness_tables.py   robustness.csv of finished runs -> a section and a sentence
    robustness_command.py  ``python -m erc robustness``
    projection.py     vectors in front of the heads -> a map in two dimensions
    arrangement.py    whether the vectors arrange the emotions as the raters do
    figures/          one file per figure
    page/             one HTML page with everything

``python -m fire erc.report build --runs=runs/paper --out=report/`` writes tables, figures and one HTML page of a grid.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
