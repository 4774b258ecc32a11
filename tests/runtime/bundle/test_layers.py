import dataclasses

from support.bundles import linear_sidecar
from whyport.runtime.bundle.codec import encode
from whyport.runtime.bundle.layers import Layer, figures_of, layers_of
from whyport.runtime.bundle.sidecar import Sidecar, decode_sidecar

LAYERS = (
    Layer("features.18.conv", 320, (7, 7)),
    Layer("a.maps.y", 2, (5, 3)),
    Layer("steps", 4, (12,)),
)
SIDECAR = linear_sidecar(True, ("a", "b", "c"), ("no", "yes"))


def with_figures(figures: dict[str, float]) -> Sidecar:
    graphs = (dataclasses.replace(graph, figures=figures) for graph in SIDECAR.graphs)
    return dataclasses.replace(SIDECAR, graphs=tuple(graphs))


def test_layers_are_figures_of_the_torch_graph() -> None:
    sidecar = decode_sidecar(encode(with_figures({"size": 3.0} | figures_of(LAYERS))))
    assert layers_of(sidecar) == LAYERS


def test_a_bundle_without_them_has_none() -> None:
    assert layers_of(SIDECAR) == ()
    assert layers_of(with_figures({"maps.a.channels": 3.0, "maps.a.depth": 4.0})) == ()
