"""Batch jobs under random faults: `candor torture`. Fakes of S3 and Step Functions stand beside it."""
