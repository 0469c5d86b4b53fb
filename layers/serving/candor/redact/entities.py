"""Define entity types, by the names of Amazon Comprehend, and the entity."""

from typing import NamedTuple

TYPES = (
    "ADDRESS",
    "API_KEY",  # no Comprehend name
    "AWS_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "BANK_ACCOUNT_NUMBER",
    "BANK_ROUTING",
    "CN_RESIDENT_ID",  # no Comprehend name
    "CREDIT_DEBIT_NUMBER",
    "DATE_TIME",
    "DRIVER_ID",
    "EMAIL",
    "INTERNATIONAL_BANK_ACCOUNT_NUMBER",
    "IP_ADDRESS",
    "LICENSE_PLATE",
    "MAC_ADDRESS",
    "NAME",
    "PASSPORT_NUMBER",
    "PASSWORD",
    "PHONE",
    "SSN",
    "URL",
    "USERNAME",
    "US_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER",
)
"""All entity types, in alphabetical order."""


class Entity(NamedTuple):
    """One piece of personal data: text[begin:end] of the text as the caller wrote it."""

    type: str
    """One of TYPES."""
    begin: int
    """Offset of the first character, in code points."""
    end: int
    """Offset after the last character, in code points."""
