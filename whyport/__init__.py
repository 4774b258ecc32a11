"""Portable model bundles, and Parquet streamed through predictions and the reasons for them.

Every public name is here and is imported on use: `import whyport` needs no other package, and `whyport --help` stays
fast. A function's packages beyond numpy are imported when it is called; MissingPackageError names the extra to install.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whyport.batch.arrow_scorer import ArrowScorer
    from whyport.batch.compare.compare import compare
    from whyport.batch.faithfulness.public import faithfulness
    from whyport.batch.groups.public import compare_groups
    from whyport.batch.methods.catalogue import METHODS
    from whyport.batch.report.report import report, to_shap
    from whyport.batch.review.review import audit, show
    from whyport.batch.review.sign import lineage, sign
    from whyport.batch.run.run import plan, run, run_shard
    from whyport.exporter.export_model import export
    from whyport.exporter.shrink.public import shrink
    from whyport.exporter.train.train import train
    from whyport.runtime.attribution import Attribution
    from whyport.runtime.bundle.folder import Bundle
    from whyport.runtime.errors import (
        AuditError,
        BundleError,
        BundleFormatError,
        ColumnError,
        DataError,
        DigestError,
        ExportError,
        InterruptedJobError,
        JobError,
        MissingPackageError,
        MissingValueError,
        NotFiniteError,
        OutputError,
        ParityError,
        ProviderError,
        SignatureError,
        StoreError,
        TrainingError,
        UnseenValueError,
        UnsupportedOperatorError,
        UsageError,
        ValueRangeError,
        WhyportError,
    )
    from whyport.runtime.predict import predict
    from whyport.runtime.session import Session
    from whyport.runtime.verify import verify

__all__ = [
    "METHODS",
    "ArrowScorer",
    "Attribution",
    "AuditError",
    "Bundle",
    "BundleError",
    "BundleFormatError",
    "ColumnError",
    "DataError",
    "DigestError",
    "ExportError",
    "InterruptedJobError",
    "JobError",
    "MissingPackageError",
    "MissingValueError",
    "NotFiniteError",
    "OutputError",
    "ParityError",
    "ProviderError",
    "Session",
    "SignatureError",
    "StoreError",
    "TrainingError",
    "UnseenValueError",
    "UnsupportedOperatorError",
    "UsageError",
    "ValueRangeError",
    "WhyportError",
    "audit",
    "compare",
    "compare_groups",
    "export",
    "faithfulness",
    "lineage",
    "plan",
    "predict",
    "report",
    "run",
    "run_shard",
    "show",
    "shrink",
    "sign",
    "to_shap",
    "train",
    "verify",
]

_HOMES = {
    "METHODS": "whyport.batch.methods.catalogue:METHODS",
    "ArrowScorer": "whyport.batch.arrow_scorer:ArrowScorer",
    "Attribution": "whyport.runtime.attribution:Attribution",
    "Bundle": "whyport.runtime.bundle.folder:Bundle",
    "Session": "whyport.runtime.session:Session",
    "audit": "whyport.batch.review.review:audit",
    "compare": "whyport.batch.compare.compare:compare",
    "compare_groups": "whyport.batch.groups.public:compare_groups",
    "export": "whyport.exporter.export_model:export",
    "lineage": "whyport.batch.review.sign:lineage",
    "faithfulness": "whyport.batch.faithfulness.public:faithfulness",
    "plan": "whyport.batch.run.run:plan",
    "predict": "whyport.runtime.predict:predict",
    "report": "whyport.batch.report.report:report",
    "run": "whyport.batch.run.run:run",
    "run_shard": "whyport.batch.run.run:run_shard",
    "show": "whyport.batch.review.review:show",
    "shrink": "whyport.exporter.shrink.public:shrink",
    "sign": "whyport.batch.review.sign:sign",
    "to_shap": "whyport.batch.report.report:to_shap",
    "train": "whyport.exporter.train.train:train",
    "verify": "whyport.runtime.verify:verify",
}
"""The module of each name; errors, which are not listed here, are in runtime/errors.py."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'whyport' has no attribute {name!r}")
    module, _, attribute = _HOMES.get(name, f"whyport.runtime.errors:{name}").partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
