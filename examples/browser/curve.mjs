// The density of a column's training values, drawn.

const SVG = "http://www.w3.org/2000/svg";
const [CURVE_WIDTH, CURVE_HEIGHT] = [100, 24];

/** The density of the training values in their bins, as a step curve. */
export function curve({ minimum, maximum, bin_edges: edges, bin_fractions: fractions }) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${CURVE_WIDTH} ${CURVE_HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const bounds = [minimum, ...edges, maximum];
  const bins = fractions.map((fraction, i) => ({ from: bounds[i], to: bounds[i + 1], fraction }));
  const wide = bins.filter(({ from, to }) => to > from);
  // A bin of one value is nearly without width: as one of ten, it does not flatten the others.
  const density = ({ from, to, fraction }) => fraction / Math.max(to - from, (maximum - minimum) / 10);
  const highest = Math.max(...wide.map(density));
  const x = (value) => ((CURVE_WIDTH * (value - minimum)) / (maximum - minimum)).toFixed(2);
  const y = (bin) => (CURVE_HEIGHT * (1 - density(bin) / highest)).toFixed(2);
  const steps = wide.map((bin) => `L${x(bin.from)} ${y(bin)}L${x(bin.to)} ${y(bin)}`).join("");
  const path = document.createElementNS(SVG, "path");
  if (wide.length > 0) path.setAttribute("d", `M0 ${CURVE_HEIGHT}${steps}L${CURVE_WIDTH} ${CURVE_HEIGHT}Z`);
  svg.append(path);
  return svg;
}
