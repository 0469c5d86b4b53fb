"""The function that finishes batch jobs."""
