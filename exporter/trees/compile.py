"""A sum of trees as a compiled model: its graph, written anew over rows of codes."""

from whyport.exporter.draft import Draft
from whyport.exporter.graphs.column_inputs import take_inputs
from whyport.exporter.graphs.compiled import Compiled, OnnxFile
from whyport.exporter.reasons.of_trees import tree_capabilities
from whyport.exporter.trees.read import TreeSum
from whyport.exporter.trees.write import write_trees
from whyport.runtime.bundle.signature import TensorSpec


def compile_trees(found: TreeSum, draft: Draft) -> Compiled:
    """Compile a sum of trees that gives the scores of the draft's task.

    Args:
        found: the trees over the draft's columns, and the link to the probabilities.
        draft: what is known of the bundle.
    """
    model = write_trees(found, draft.task, len(draft.features))
    take_inputs(model, draft.inputs)
    return Compiled(
        outputs=tuple(TensorSpec(name, "float32", ("N", len(found.trees.offset))) for name in draft.task.outputs),
        capabilities=tree_capabilities(""),
        onnx=OnnxFile(model),
        trees=found.trees,
    )
