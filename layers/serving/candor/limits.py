"""Limits that a caller can meet, each with its unit and its reason.

Every other module imports its limits from here. GET /v1/model publishes those of texts and requests, and an error that
refuses a value names the limit it exceeds.
"""

# One document.
MAX_TEXT_BYTES = 20_000  # bytes of UTF-8; IMDB's longest review has 12,988, Amazon Comprehend refuses more than 5,000
MAX_ID_LENGTH = 100  # characters of a document's id, which its result repeats

# One request to the API.
MAX_DOCUMENTS = 100  # documents of a batch: they fit one pass of the model, which takes 128 texts
MAX_EXPLAINED = 10  # explained documents of a batch: an explanation takes several times as long as a prediction
MAX_BODY_BYTES = 1_000_000  # bytes of the body: room for MAX_DOCUMENTS documents of 10,000 bytes each
MAX_JSON_DEPTH = 32  # nested arrays and objects of the body: a valid request has 3, and Python's parser recurses
MAX_ANSWER_BYTES = 6_000_000  # bytes of an answer's results, quotes escaped: Lambda takes 6,291,556 bytes in all
MAX_GATEWAY_BYTES = 10_000_000  # bytes of a body that API Gateway, and the development server like it, hands on

# The development server.
MAX_CONNECTIONS = 128  # at a time, each with a thread
MAX_GATEWAY_SECONDS = 30  # in which a request must arrive, counted from the connection or the answer before

# One file of texts.
MAX_LINE_BYTES = 1_000_000  # bytes of a line, or of a CSV record with quoted line ends: a whole one is held in memory
MAX_UNPACKED = 200  # times its size that a gzip file may unpack to: English text takes 3, a gzip bomb 1,000
ALWAYS_UNPACKED = 64 << 20  # bytes that a gzip file may unpack to whatever its ratio: short ones may be all of a kind
MANY_MEMBERS = 1_000  # members of a gzip from which their mean size counts: a member takes as long as 500 bytes of text
MIN_MEMBER_BYTES = 80  # bytes of a gzip's member on average, packed
MAX_JSON_BYTES = 64_000_000  # bytes of an array in a .json file: it is held in memory, where JSON lines are not
MAX_LABEL_LENGTH = 200  # characters of a label: a longer one is a text in the wrong column
MAX_SHOWN_NAME = 30  # characters of a column or label in a message: longer ones may be texts in the wrong place
MAX_SHOWN_WORDS = 3  # words of one, likewise
MAX_SHOWN_NAMES = 20  # columns that a message lists
MAX_SHOWN_LINES = 10  # numbers of lines that a message lists
MAX_INPUT_BYTES = 40 * 10**9  # bytes of an object in the inbox: one function can read as many in its 15 minutes
MAX_COLUMNS = 4_096  # columns of a table or fields of its first JSON rows: each is looked at to find the texts
MAX_FILE_RECORDS = 200_000_000  # lines or records of a file, blank ones too: they can be counted in those 15 minutes

# One part of the results, which ends with the record that reaches either number.
CHUNK_ROWS = 20_000  # rows, the default of `--rows` and BatchChunkRows: scored in far less than a function's 15 minutes
CHUNK_BYTES = 16 << 20  # bytes of input: long texts reach them before CHUNK_ROWS, and parts stay of similar size

# One batch job on AWS.
MAX_PARTS = 10_000  # parts: the function that counts their rows can read as many in its 15 minutes
JOB_CONCURRENCY = 5  # chunks at a time, the default of BatchConcurrency: half of a new account's 10 executions
