"""The version of Candor, read by the package, the command, the OpenAPI document and the wheel."""

__version__ = "0.1.0"
