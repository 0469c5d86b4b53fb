"""The function that scores chunks of batch jobs."""
