"""One HTML page with everything: the answer first, then tables, statistics, figures, and an embedding map to explore.

markup.py         marks and data -> HTML
explorer.py       predictions and vectors of every run -> what the browser unpacks
media.py          transcripts and audio, on request only
answer.py         what was compared, what won, by how much, and whether to believe it
sections.py       facts, states of the cells, figures, alignment, raters
html.py           all values -> the text of the page: template.html, parts.html, style.css, script/
building.py       the command
"""
