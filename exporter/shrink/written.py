"""The files and the entries in bundle.json of one precision, in a folder that may be changed."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from whyport.exporter.shrink.candidates import full_graphs, named
from whyport.runtime.bundle.folder import Bundle, write_sidecar
from whyport.runtime.bundle.sidecar import CONFORMANCE_JSON, Sidecar, precision_of
from whyport.runtime.bundle.variants import precisions_of, tolerance_key, variant_file


@dataclass(frozen=True)
class Written:
    """The smaller graphs of a precision beside a bundle's own."""

    bundle: Bundle
    """The bundle without the precision."""
    precision: str
    contents: dict[str, bytes] = field(repr=False)
    """The smaller graphs by the file in full size."""

    def write(self, figures: Mapping[str, Mapping[str, float]], tolerances: Mapping[str, float]) -> Bundle:
        """Write the graphs and bundle.json, and read the bundle again.

        Args:
            figures: measurements by the file in full size.
            tolerances: by the name that the bundle's own have.
        """
        graphs, folder = full_graphs(self.bundle), Path(self.bundle.place)
        for file in graphs:
            place = folder / variant_file(file, self.precision)
            place.unlink(missing_ok=True)
            if file in self.contents:
                place.write_bytes(self.contents[file])
        own = [named(graphs[file], self.precision) for file in self.contents]
        # What a reader needs of a graph's figures is there, too.
        own = [
            replace(each, figures={**each.figures, **figures.get(file, {})})
            for file, each in zip(self.contents, own, strict=True)
        ]
        sidecar = self.bundle.sidecar
        allowed = {tolerance_key(self.precision, name): value for name, value in tolerances.items()}
        write_sidecar(
            folder, replace(sidecar, graphs=(*sidecar.graphs, *own), tolerances={**sidecar.tolerances, **allowed})
        )
        return Bundle.read(folder)


def without(bundle: Bundle, names: Collection[str]) -> Bundle:
    """The bundle without the variants of some names, whose files are removed from its folder."""
    folder, sidecar = Path(bundle.place), bundle.sidecar
    for graph in sidecar.graphs:
        if precision_of(graph.variant) in names:
            (folder / graph.file).unlink()
    graphs = tuple(graph for graph in sidecar.graphs if precision_of(graph.variant) not in names)
    own = tuple(tolerance_key(name, "") for name in names)
    tolerances = {name: value for name, value in sidecar.tolerances.items() if not name.startswith(own)}
    write_sidecar(folder, replace(sidecar, graphs=graphs, tolerances=tolerances))
    return Bundle.read(folder)


def write_tolerances(bundle: Bundle) -> Bundle:
    """Put the variants that a bundle has, with their files and tolerances, into its conformance.json."""
    folder, sidecar = Path(bundle.place), bundle.sidecar
    document = json.loads(bundle.read_bytes(CONFORMANCE_JSON))
    document["variants"] = {name: _replayed(sidecar, name, document["graphs"]) for name in precisions_of(sidecar)}
    (folder / CONFORMANCE_JSON).write_text(json.dumps(document, allow_nan=False) + "\n", encoding="utf-8")
    write_sidecar(folder, sidecar)
    return Bundle.read(folder)


def _replayed(sidecar: Sidecar, precision: str, files: Collection[str]) -> dict[str, Mapping[str, object]]:
    """A variant's file for each graph that is replayed and has one, and its tolerances."""
    there = {graph.file for graph in sidecar.graphs}
    own = {file: variant_file(file, precision) for file in files}
    prefix = tolerance_key(precision, "")
    allowed = {name: value for name, value in sidecar.tolerances.items() if name.startswith(prefix)}
    tolerances = {name.removeprefix(prefix): value for name, value in allowed.items()}
    return {"graphs": {file: mine for file, mine in own.items() if mine in there}, "tolerances": tolerances}
