"""The final answer out of a solution, and whether two answers are equal.

Most answers are numbers, letters and words, and are compared here, exactly (`exact`). What is left and looks like a formula
goes to math-verify (`worker`), which can hang or eat all memory: it runs in one worker process, which is killed when
time is up. Nothing that a model wrote is ever evaluated as code.

>>> from mathse.types import Problem
>>> problem = Problem("1", "What is 5 + 7?", (), "B", choices=("10", "12"))
>>> extract("5 + 7 = 12. The answer to this problem is 12.", problem)
'B'
>>> equal("3/4", "0.75")
True
"""

from mathse.answers.equality import compare, equal
from mathse.answers.extraction import extract
from mathse.answers.options import Asked
from mathse.answers.worker import Grader

PARSER = 3  # raised when `extract`, `equal` or `printed` changes meaning: part of a score's identity

__all__ = ["PARSER", "Asked", "Grader", "compare", "equal", "extract"]
