"""What pretrain_tiny.py is made of: lessons, the families' tiny members, their tokenizers, the training."""
