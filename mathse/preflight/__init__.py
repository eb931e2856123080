"""Before a run: will it fit, and does it compute what it should? `python -m mathse.preflight` asks both; train.py the first."""
