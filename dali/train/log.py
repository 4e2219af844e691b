"""The log of a run: metrics.jsonl for analysis, TensorBoard for watching, films of dreams for both."""

import json
import struct
import sys
import threading
from pathlib import Path

from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter

from dali.errors import CheckpointError, TrainingError
from dali.files.text import plain
from dali.files.writing import reason, write_text
from dali.runs.films import write_film
from dali.runs.folder import METRICS
from dali.runs.metrics import read_log

FILM = "dream beside truth"  # what TensorBoard calls films
WRITER = "_AsyncWriterThread"  # TensorBoard's own; it hands its error on to the next row, besides printing it


class Log:
    """Appends rows; on resume drops those written after the checkpoint that the run goes on from.

    What cannot be written, such as on a full disk, raises TrainingError.
    """

    def __init__(self, folder: Path, update_count: int):
        self.path = folder / METRICS
        rows, problems = read_log(folder)
        for problem in problems:
            print(plain(problem), file=sys.stderr)
        kept = [row for row in rows if row["update"] <= update_count]
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in kept))
        self.hook = threading.excepthook
        threading.excepthook = self._quiet
        try:
            self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=update_count + 1)
        except OSError as error:
            threading.excepthook = self.hook
            raise self._error(error) from error

    def __enter__(self) -> "Log":
        try:
            self.file = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise self._error(error) from error
        return self

    def __exit__(self, kind: type | None, raised: BaseException | None, trace: object) -> None:
        try:
            self.file.close()
            self.board.close()
        except OSError as error:
            if raised is None:  # else the first error is the one to tell
                raise self._error(error) from error
        finally:
            threading.excepthook = self.hook

    def write(self, row: dict[str, float]) -> None:
        """One row: scalars, among them env_steps and update."""
        try:
            self.file.write(json.dumps(row) + "\n")
            self.file.flush()
            for name, value in row.items():
                self.board.add_scalar(name, value, row["update"])
        except OSError as error:
            raise self._error(error) from error

    def film(self, gif: bytes, step: int, update: int) -> None:
        """The film of an environment step, for TensorBoard and as a file of the run.

        Where the file cannot be written that is said, and training goes on: nothing depends on it.
        """
        try:
            write_film(self.path.parent, step, gif)
        except CheckpointError as error:
            print(plain(str(error)), file=sys.stderr)
        width, height = struct.unpack("<HH", gif[6:10])
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=gif)
        try:
            self.board._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=FILM, image=image)]), update)
        except OSError as error:
            raise self._error(error) from error

    def _error(self, error: OSError) -> TrainingError:
        return TrainingError(f"The log {self.path} cannot be written: {reason(error)}. The last checkpoint stands.")

    def _quiet(self, failure: threading.ExceptHookArgs) -> None:
        if not (type(failure.thread).__name__ == WRITER and isinstance(failure.exc_value, OSError)):
            self.hook(failure)
