"""Reading NPZ files that may be damaged or hostile: sizes are read from headers before anything is inflated.

``numpy.load`` believes a file's headers and fails in a dozen ways where they lie; here there is one.
"""

import ast
import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from dali.errors import CheckpointError
from dali.files.text import quote
from dali.files.writing import reason

MAX_BYTES = 128 * 2**20  # of all arrays of a file, inflated; ours take 20 MB
MAX_HEADER = 1024  # bytes of an array's header
MAGIC = b"\x93NUMPY"
KINDS = re.compile(r"[<|]([fiu][1248]|b1|U\d{1,4})")  # numbers, truth values and short text
FAILURES = (
    OSError, ValueError, SyntaxError, EOFError, KeyError, RuntimeError, MemoryError,
    RecursionError, OverflowError, struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The arrays of an NPZ file, of exactly these names.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is damaged, holds other arrays, or arrays of other kinds than numbers, truth values and
            text, or more than 128 MB.
    """
    try:
        if not path.is_file():
            path.lstat()
            raise CheckpointError(f"{path} is not a regular file.")
        with zipfile.ZipFile(path) as archive:
            members = {item.filename.removesuffix(".npy"): item for item in archive.infolist()}
            if wrong := sorted(set(names) ^ set(members)):
                state = "lacks" if wrong[0] in names else "holds an unknown"
                raise CheckpointError(f"{path} {state} array {quote(wrong[0])}.")
            size = sum(item.file_size for item in members.values())
            if size > MAX_BYTES:
                raise CheckpointError(f"{path} holds {size:,} bytes; expected at most {MAX_BYTES:,}.")
            return {name: _read_array(archive, members[name], f"{path}: {name}") for name in names}
    except FileNotFoundError:
        raise
    except FAILURES as error:
        raise CheckpointError(f"{path} is damaged: {reason(error)}.") from error


def _read_array(archive: zipfile.ZipFile, item: zipfile.ZipInfo, name: str) -> np.ndarray:
    if item.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or item.flag_bits & 1:
        raise CheckpointError(f"{name} is compressed in another way than NumPy's, or encrypted.")
    with archive.open(item) as file:
        kind, fortran, shape, used = _read_header(file, name)
        count = 1
        for length in shape:
            count *= length  # of Python's integers, which do not overflow
        if count * kind.itemsize != item.file_size - used:
            raise CheckpointError(f"{name} has {item.file_size - used:,} bytes, which do not fit its shape {shape}.")
        data = file.read()
    return np.frombuffer(bytearray(data), kind).reshape(shape, order="F" if fortran else "C")


def _read_header(file: IO[bytes], name: str) -> tuple[np.dtype, bool, tuple[int, ...], int]:
    """Kind, order, shape, and bytes of the header (NumPy's format, versions 1 to 3)."""
    start = file.read(8)
    if start[:6] != MAGIC or start[6] not in (1, 2, 3):
        raise CheckpointError(f"{name} is not an array of NumPy's.")
    form = "<H" if start[6] == 1 else "<I"
    (length,) = struct.unpack(form, file.read(struct.calcsize(form)))
    if length > MAX_HEADER:
        raise CheckpointError(f"{name} has a header of {length:,} bytes; expected at most {MAX_HEADER:,}.")
    header = ast.literal_eval(file.read(length).decode("latin-1").strip())
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise CheckpointError(f"{name} has a header that is not NumPy's.")
    kind, fortran, shape = (header[key] for key in ("descr", "fortran_order", "shape"))
    if not isinstance(kind, str) or not KINDS.fullmatch(kind):
        raise CheckpointError(f"{name} holds values of the kind {quote(kind)}; expected numbers or text.")
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 4:
        raise CheckpointError(f"{name} has the shape {quote(shape)}.")
    return np.dtype(kind), bool(fortran), shape, 8 + struct.calcsize(form) + length
