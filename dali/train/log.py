"""The log of a run: metrics.jsonl for analysis, TensorBoard for watching."""

import json
import sys
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from dali.files.text import plain
from dali.files.writing import write_text
from dali.runs.folder import METRICS
from dali.runs.metrics import read_log


class Log:
    """Appends rows; on resume drops those written after the checkpoint that the run goes on from."""

    def __init__(self, folder: Path, update_count: int):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / METRICS
        rows, problems = read_log(folder)
        for problem in problems:
            print(plain(problem), file=sys.stderr)
        kept = [row for row in rows if row["update"] <= update_count]
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in kept))
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=update_count + 1)

    def __enter__(self) -> "Log":
        self.file = self.path.open("a", encoding="utf-8")
        return self

    def __exit__(self, *exception) -> None:
        self.file.close()
        self.board.close()

    def write(self, row: dict[str, float]) -> None:
        """One row: scalars, among them env_steps and update."""
        self.file.write(json.dumps(row) + "\n")
        self.file.flush()
        for name, value in row.items():
            self.board.add_scalar(name, value, row["update"])
