"""The log of a run: metrics.jsonl for analysis, TensorBoard for watching."""

import json
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from dali.runs.checkpoint import METRICS, write_text


class Log:
    """Appends rows; on resume drops those written after the checkpoint that the run goes on from."""

    def __init__(self, folder: Path, update_count: int):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / METRICS
        kept = [row for row in read_metrics(folder) if row["update"] <= update_count]
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


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """All rows of a run's metrics.jsonl; none where there is no file. A last line cut short by a kill is left out."""
    path = folder / METRICS
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]
