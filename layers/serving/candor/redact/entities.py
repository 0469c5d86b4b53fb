"""What is looked for, by the names of Amazon Comprehend, and how a find is told."""

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


class Entity(NamedTuple):
    """One find: text[begin:end] is what was found, in code points of the text as the caller wrote it."""

    type: str
    begin: int
    end: int
