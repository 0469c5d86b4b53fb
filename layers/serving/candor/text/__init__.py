"""Turn text into features: clean-up, hashed tokens, character offsets and warnings about unusual input."""
