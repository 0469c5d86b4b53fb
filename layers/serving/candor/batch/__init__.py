"""Batch scoring: rows of files, jobs that plan, score and finish, and the steps that run them on AWS."""
