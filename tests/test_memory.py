"""What the dashboard's server keeps of memory that was freed."""

import subprocess
import sys

import pytest

COUNT = """
import ctypes, sys
import numpy as np
from dali.studio.memory import return_large_blocks

class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]

mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Mallinfo
if sys.argv[1] == "asked":
    return_large_blocks()
np.ones(16 << 20, np.uint8)  # freed at once, which raises glibc's limit
before = mallinfo().hblks
frames = np.ones(10 << 20, np.uint8)
print(mallinfo().hblks - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a matter of glibc")
@pytest.mark.parametrize(("asked", "blocks"), [("asked", 1), ("left alone", 0)])
def test_a_large_array_gets_a_block_that_goes_back_to_the_system(asked, blocks):
    done = subprocess.run([sys.executable, "-c", COUNT, asked], capture_output=True, text=True, check=True)
    assert int(done.stdout) == blocks
