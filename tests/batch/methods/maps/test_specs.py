import dataclasses

import pyarrow as pa

from support.bundles import linear_sidecar
from whyport.batch.methods.catalogue import METHODS
from whyport.batch.methods.maps.specs import array_specs
from whyport.batch.output.columns import array_type
from whyport.runtime.bundle.layers import Layer, figures_of
from whyport.runtime.bundle.sidecar import Sidecar

SIDECAR = linear_sidecar(True, ("a", "b", "c"), ("no", "yes"))


def map_type(sidecar: Sidecar) -> pa.DataType:
    extra = METHODS["grad-cam"].extras[0]
    return array_type(extra, {spec.name: spec.row_shape() for spec in array_specs(sidecar, {})})


def test_maps_over_y_and_x_are_tensors() -> None:
    figures = figures_of([Layer("first", 8, (12, 10)), Layer("last", 16, (6, 5))])
    graphs = tuple(dataclasses.replace(graph, figures=figures) for graph in SIDECAR.graphs)

    got = map_type(dataclasses.replace(SIDECAR, graphs=graphs))

    assert got == pa.fixed_shape_tensor(pa.float32(), (6, 5), dim_names=("y", "x"))


def test_other_maps_are_lists() -> None:
    assert map_type(SIDECAR) == pa.list_(pa.float32())
