"""Load a verified model bundle, predict labels, and explain and evaluate predictions."""
