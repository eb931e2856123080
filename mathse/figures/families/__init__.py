"""One file a family, each with `figure(rng, level) -> Figure`. A new file here is a new family: nothing else changes."""
