"""What a caller may send. Served at /v1/model, and named in each error that refuses more."""

MAX_TEXT_BYTES = 20_000  # UTF-8; the longest IMDB review has 12,988, Amazon Comprehend refuses over 5,000
MAX_DOCUMENTS = 100
MAX_EXPLAINED = 10  # documents a request
MAX_BODY_BYTES = 1_000_000
MAX_ID_LENGTH = 100  # characters
