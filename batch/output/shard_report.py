"""What one of several processes that share a job has done of it."""

from dataclasses import dataclass

from whyport.batch.output.result import FILES_SKIPPED, Performance


@dataclass(frozen=True)
class ShardReport:
    """What a shard has done of its job."""

    shard: str
    parts: int
    """The shard's parts that are there now."""
    rows: int
    """The rows that these parts are of."""
    bad_files: dict[str, str]
    """The inputs whose parts could not be made, with the reasons; the run that finishes the job tries them again."""
    provider: str
    performance: Performance

    @property
    def exit_code(self) -> int:
        """The exit code of the command."""
        return FILES_SKIPPED if self.bad_files else 0

    def lines(self) -> list[str]:
        """The report for a terminal."""
        seconds, rates = self.performance.seconds["total"], self.performance.rows_per_second["total"]
        kept = self.performance.resumed_parts
        before = f", {kept} of them from an attempt before" if kept else ""
        return [
            f"shard     {self.shard}",
            f"parts     {self.parts}, of {self.rows} rows{before}",
            *(f"          left out: {reason}" for reason in self.bad_files.values()),
            f"time      {seconds:.1f} s, {rates:.0f} rows/s on {self.provider}",
            *self.performance.workers_lines,
            "next      the same command without --shard, once all shards have ended",
        ]
