"""The function that plans batch jobs."""
