"""What libraries write to standard error of their own accord, sent to nowhere."""

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def errors_muted() -> Iterator[None]:
    """Within it, nothing that is written to standard error arrives, that of C code neither.

    For code that complains there and raises as well, or complains of what is no fault.
    """
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # closed (`2>&-`)
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
