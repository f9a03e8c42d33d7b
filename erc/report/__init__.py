"""Number -> paper: tables, figures, rater agreement.

May read everything of the package; nothing imports it but the grid, which ends in a table.
"""
