"""Videos of your own, scored without a project: `v2vbench score`, and the same from Python.

    from v2vbench import score
    scores = score("real/", ["mine/", "theirs/"])
    scores

shows the table and the players in a notebook. `scores.comparison` is what a project's metrics/compare.json is,
`scores.frame()` a table with a row a metric and method, `scores.runs` the values of single clips.

`run` has the function, `command` what the command line does around it.
"""
