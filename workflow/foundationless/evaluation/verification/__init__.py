"""Whether records say what their files say: what can be computed again is, and what is said twice must agree.

`cells` looks at one record and its predictions, `arms` at the cells of a task beside each other, `tree` at all that a
study left behind: weights, tables and verdict too. A misfit is a path and a sentence. Whoever can write a record can
also write its hashes: these find slips and naive edits, while numbers that are computed again hold against both.
"""
