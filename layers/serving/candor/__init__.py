"""Candor: the package that serving and training share."""
