"""Problems that others made: read out of files or the hub, checked row by row, kept apart from the benchmarks."""
