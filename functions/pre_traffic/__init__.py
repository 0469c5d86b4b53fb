"""The hook that checks a new version of the API before it gets traffic."""
