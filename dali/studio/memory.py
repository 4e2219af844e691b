"""What the server does with memory that it no longer needs."""

import ctypes
import sys
from functools import cache

M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
LARGE = 1 << 20  # bytes


@cache
def return_large_blocks() -> None:
    """Has glibc hand blocks of LARGE bytes and more back to the system as soon as they are freed.

    Left alone, its limit rises to the largest block that was ever freed. The frames of films (10 MB a pane) then lie
    among small objects that outlive them, and the server keeps the room that they took.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
        if mallopt is not None:
            mallopt(M_MMAP_THRESHOLD, LARGE)
