"""Regular expressions that are compiled when first needed: all of them would cost each cold start."""

import re
from functools import lru_cache

Find = tuple[str, int, int]
"""A kind, and where in normalised text it was found: begin and end."""

compiled = lru_cache(maxsize=None)(re.compile)
