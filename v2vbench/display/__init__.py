"""What notebooks show.

For each notebook there is a file of its name, whose functions return pictures and tables to display: 04_evaluate shows
those of `evaluate`. `pictures` draws, `table` lays out, and `palette` has the colours, which the report uses too.
"""
