"""One file for each figure, with a ``FIGURE`` (name, texts, how it is drawn); ``drawing.py`` lists and writes them.

    spec.py        a figure's description, and the grid as figures see it
    style.py       colours, markers, sizes and parts that figures share
    matrix.py      a heat map of shares with numbers
    themed_svg.py  a figure as SVG that takes the colours of the page
    drawing.py     the list of figures -> files

A new figure is a new file and one line in the list of drawing.py.
"""
