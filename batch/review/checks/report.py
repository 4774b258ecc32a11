"""Whether _report.json says what the parts' footers add up to."""

import dataclasses
from collections.abc import Iterator
from itertools import groupby

from whyport.batch.output.folder import REPORT_FILE
from whyport.batch.output.result import FileReport, JobReport
from whyport.batch.output.totals import Totals
from whyport.batch.review.checks.audited import Audited
from whyport.runtime.errors import AuditError

SAID_BY_THE_REPORT_ALONE = ("passed_over", "performance", "bundle_signature")
"""Keys that only a signature can vouch for: other files passed over, time taken, and the bundle's signature then."""


def check_report(audited: Audited) -> str:
    """Check every figure of the report but those that nothing else in the folder knows."""
    report, run = audited.report, audited.run
    again = JobReport.of(
        files=[*_files(audited)],
        skipped=[*report.skipped],
        passed_over=report.passed_over,
        parts=report.parts,
        provider=run.job.provider,
        performance=report.performance,
    )
    again = dataclasses.replace(again, bundle_signature=report.bundle_signature)
    expected, got = dataclasses.asdict(again), dataclasses.asdict(report)
    for key, value in expected.items():
        if key not in audited.report_document and not got[key]:
            continue  # the report of an earlier run, which did not count this
        if got[key] != value:
            raise AuditError(
                f"{key}: expected {value}, as the parts have, got {got[key]}, in {audited.out / REPORT_FILE}"
            )
    return f"{len(expected) - len(SAID_BY_THE_REPORT_ALONE)} figures are those of the parts"


def _files(audited: Audited) -> Iterator[tuple[FileReport, Totals]]:
    """The keys that a run reports of each input that it scored."""
    for index, parts in groupby(audited.parts, lambda part: part.span.index):
        mark, totals = audited.run.inputs[index], Totals()
        for part in parts:
            totals += part.totals
        yield FileReport(mark.source_file, mark.rows or 0, totals.rows_out, totals.rows_rejected), totals
