"""What flows between stages: one Arrow schema per stage, and the closed sets of reasons for which a row stops.

Each stage keeps the columns it was given and appends its own, so a shard can be read without a join. Rejected rows
have the columns of the stage plus `reason` (a code below) and `detail` (free text for a person).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, get_args

import pyarrow as pa

StageName = Literal["ingest", "fetch", "caption", "clean", "split", "train", "score", "report"]
STAGES: tuple[StageName, ...] = get_args(StageName)

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)

ComponentName = Literal["vision", "projector", "language"]
COMPONENTS: tuple[ComponentName, ...] = get_args(ComponentName)


class IngestReason(StrEnum):
    """Why a table row never became a row of the run."""

    MISSING_NAME = "missing_name"
    MISSING_IMAGE = "missing_image"
    MISSING_FILE = "missing_file"
    FILE_BLOCKED = "file_blocked"
    DUPLICATE_ID = "duplicate_id"
    MALFORMED = "malformed"


class FetchStatus(StrEnum):
    """How a row's image ended: `ok` is kept, all others are reasons.

    Whether the answer was asked for now or known from before is a figure of the run, not a status of the row.
    """

    OK = "ok"
    MISSING_URL = "missing_url"
    BAD_URL = "bad_url"
    SCHEME_BLOCKED = "scheme_blocked"
    ADDRESS_BLOCKED = "address_blocked"
    DNS_ERROR = "dns_error"
    CONNECT_ERROR = "connect_error"
    TLS_ERROR = "tls_error"
    TIMEOUT = "timeout"
    HTTP_404 = "http_404"
    HTTP_410 = "http_410"
    HTTP_403 = "http_403"
    HTTP_429 = "http_429"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    REDIRECT_LOOP = "redirect_loop"
    OPTED_OUT = "opted_out"
    ROBOTS_DISALLOWED = "robots_disallowed"
    TOO_MANY_BYTES = "too_many_bytes"
    TRUNCATED = "truncated"
    NOT_AN_IMAGE = "not_an_image"
    DECODE_ERROR = "decode_error"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_SMALL = "too_small"
    BAD_ASPECT = "bad_aspect"
    BLANK = "blank"
    PLACEHOLDER = "placeholder"


class ImageChange(StrEnum):
    """What was done to an image before it was kept, in this order; an image without any is kept byte for byte."""

    FIRST_FRAME = "first_frame"
    UPRIGHT = "upright"
    EIGHT_BIT = "eight_bit"
    SRGB = "srgb"
    MATTED = "matted"
    DOWNSCALED = "downscaled"
    REENCODED = "reencoded"


class CaptionReason(StrEnum):
    """Why the teacher gave no usable text for a row."""

    NO_ANSWER = "no_answer"
    BAD_FORMAT = "bad_format"


class CleanReason(StrEnum):
    """Why a caption is not taught. A row keeps all its codes; the first in this order is its `reason`."""

    EMPTY = "empty"
    REFUSAL = "refusal"
    LEAKED = "leaked"
    WRAPPED = "wrapped"
    GARBLED = "garbled"
    MOJIBAKE = "mojibake"
    TAIL_LOOP = "tail_loop"
    INNER_LOOP = "inner_loop"
    SENTENCE_REPEAT = "sentence_repeat"
    NGRAM_COVER = "ngram_cover"
    FEW_WORDS = "few_words"
    COUNTING = "counting"
    WORD_SALAD = "word_salad"
    WRONG_SCRIPT = "wrong_script"
    WRONG_LANGUAGE = "wrong_language"
    NO_WHOLE_SENTENCE = "no_whole_sentence"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    NAME_ABSENT = "name_absent"
    NAME_AMBIGUOUS = "name_ambiguous"
    OTHER_NAME = "other_name"
    SHARED_TEXT = "shared_text"


class Repair(StrEnum):
    """What was mended in a caption, in this order; the raw text is always kept beside it."""

    FIXED_ENCODING = "fixed_encoding"
    UNWRAPPED = "unwrapped"
    COLLAPSED_WHITESPACE = "collapsed_whitespace"
    TRIMMED_TO_SENTENCE = "trimmed_to_sentence"
    DROPPED_REPEATED_SENTENCE = "dropped_repeated_sentence"
    CANONICAL_NAME = "canonical_name"


class NameVerdict(StrEnum):
    """What a text says about a name, by the one matcher that cleaning and scoring share."""

    EXACT = "exact"
    CASE_VARIANT = "case_variant"
    DIACRITIC_VARIANT = "diacritic_variant"
    ALIAS = "alias"
    AMBIGUOUS = "ambiguous"
    OTHER_NAME = "other_name"
    ABSENT = "absent"


class SplitReason(StrEnum):
    """Why an example is in no split."""

    RARE_NAME = "rare_name"


_text = pa.string()

ROW_FIELDS = [
    pa.field("row_id", _text, nullable=False),
    pa.field("name", _text, nullable=False),
    pa.field("title", _text),
    pa.field("text", _text),
    pa.field("product_code", _text),
    pa.field("category", _text),
    pa.field("image_url", _text),
    pa.field("image_blob", _text),
    pa.field("page_url", _text),
    pa.field("attributes", _text),
]
"""After `ingest`. `name` is the registry's display form, "" in a table without names. `text` is the table's caption.
`image_blob` is the SHA-256 of an image that came with the table; it lies in `store/images/ab/cd/SHA256.raw`, and
`image_url` is then what the table calls it. `attributes` is a JSON object of the other columns."""

IMAGE_FIELDS = [
    pa.field("image_status", _text),
    pa.field("image_sha256", _text),
    pa.field("image_ext", _text),
    pa.field("image_width", pa.int32()),
    pa.field("image_height", pa.int32()),
    pa.field("image_bytes", pa.int64()),
    pa.field("image_changes", pa.list_(_text)),
    pa.field("image_source_sha256", _text),
    pa.field("image_source_width", pa.int32()),
    pa.field("image_source_height", pa.int32()),
    pa.field("image_phash", _text),
    pa.field("http_status", pa.int32()),
    pa.field("fetch_attempts", pa.int32()),
]
"""Appended by `fetch`. The file is `store/images/ab/cd/SHA256.ext`, after `image_changes`; `image_source_*` is what the
link or the table gave. `image_phash` is a 64-bit perceptual hash of the kept pixels, 16 hex digits."""

CAPTION_FIELDS = [
    pa.field("caption_raw", _text),
    pa.field("finish_reason", _text),
    pa.field("teacher_model", _text),
    pa.field("teacher_template", _text),
    pa.field("request_key", _text),
    pa.field("teacher_attempts", pa.int32()),
    pa.field("first_problem", _text),
    pa.field("qa_pairs", pa.list_(pa.struct([("question", _text), ("answer", _text)]))),
]
"""Appended by `caption`: the last answer as the teacher gave it. `first_problem` says what was wrong with the first.
`teacher_template` is the question's id and version. Where pairs of questions and answers were asked for, they are in
`qa_pairs`, less those whose question says the name, and `caption_raw` is their answers as one text."""

CLEAN_FIELDS = [
    pa.field("caption", _text),
    pa.field("name_verdict", _text),
    pa.field("repairs", pa.list_(_text)),
    pa.field("reasons", pa.list_(_text)),
    pa.field("changes", pa.list_(pa.struct([("repair", _text), ("before", _text), ("after", _text)]))),
]
"""Appended by `clean`: the text to learn from, what was mended, every reason code that can be seen in the row alone,
and for each repair the place before and after it, clipped to 160 characters."""

SPLIT_FIELDS = [
    pa.field("split", _text),
    pa.field("group_id", _text),
]
"""Appended by `split`. Rows of one `group_id` are always in one split."""

REJECTED_FIELDS = [pa.field("reason", _text, nullable=False), pa.field("detail", _text)]
"""Appended to the stage's own columns in `rejected/`."""

SCHEMAS: dict[StageName, pa.Schema] = {
    "ingest": pa.schema(ROW_FIELDS),
    "fetch": pa.schema(ROW_FIELDS + IMAGE_FIELDS),
    "caption": pa.schema(ROW_FIELDS + IMAGE_FIELDS + CAPTION_FIELDS),
    "clean": pa.schema(ROW_FIELDS + IMAGE_FIELDS + CAPTION_FIELDS + CLEAN_FIELDS),
    "split": pa.schema(ROW_FIELDS + IMAGE_FIELDS + CAPTION_FIELDS + CLEAN_FIELDS + SPLIT_FIELDS),
}


def rejected_schema(stage: StageName) -> pa.Schema:
    """The schema of `rejected/` for one stage: its own columns, then reason and detail."""
    return pa.schema(list(SCHEMAS[stage]) + REJECTED_FIELDS)
