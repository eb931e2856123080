"""MathSE (arXiv 2511.06805): a multimodal model teaches itself mathematics. Start at `algorithm.py`."""
