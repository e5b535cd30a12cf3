"""The system's errors, dug out of safetensors."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from safetensors import SafetensorError


@contextmanager
def system_errors() -> Iterator[None]:
    """Raise what the system said as the `OSError` that it is: safetensors reports it as text ("... (os error 28)").

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    try:
        yield
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        code = int(number[1])
        raise OSError(code, os.strerror(code)) from error
