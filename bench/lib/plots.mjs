// plots.mjs: pictures of figures as SVG text. Draws with Observable Plot on a document that is none of a browser. Pure: the same
// figures give the same text.
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { FALLBACK, FOR_AWAIT, NATIVE, YARDSTICK } from './names.mjs';

const WIDTH = 760;
const HEIGHT = 440;
/** Each peer has one colour in all plots. */
const SERIES = [NATIVE, YARDSTICK, FALLBACK, 'zeromq.js', 'ws', FOR_AWAIT];
const MARGINS = { marginLeft: 64, marginRight: 150, marginTop: 64, marginBottom: 48 };

/** Both axes logarithmic; each series is a line whose name stands at its end. `points`: [{ x, y, series, least, most }]. */
export function linePlot({ title, xLabel, yLabel, points, xTicks, xFormat, yFormat }) {
  const ends = lastOfEach(points);
  const spreads = points.filter(({ least, most }) => least !== undefined && most > least);
  return render({
    title: `${title}, ${yLabel}`,
    x: { type: 'log', axis: null },
    y: { type: 'log', label: null, tickFormat: yFormat, grid: true },
    marks: [
      Plot.gridX(xTicks),
      Plot.axisX(xTicks, { label: xLabel, labelAnchor: 'center', labelArrow: 'none', text: xFormat }),
      Plot.ruleX(spreads, { x: 'x', y1: 'least', y2: 'most', stroke: 'series', strokeOpacity: 0.4, strokeWidth: 3 }),
      Plot.line(points, { x: 'x', y: 'y', stroke: 'series', strokeWidth: 2 }),
      Plot.dot(points, { x: 'x', y: 'y', fill: 'series', r: 3.5 }),
      Plot.text(spaced(ends), { x: 'x', y: 'labelY', text: 'series', fill: 'series', textAnchor: 'start', dx: 10 }),
    ],
  });
}

/** A bar for each of `bars`: [{ label, value, series }], in their order, over a logarithmic scale that begins at 1. */
export function barPlot({ title, xLabel, bars }) {
  const shown = (value) => (value >= 100 ? String(Math.round(value)) : value.toFixed(1));
  return render({
    title,
    marginLeft: 190,
    marginRight: 70,
    height: 120 + bars.length * 24,
    x: { type: 'log', label: xLabel, labelAnchor: 'center', labelArrow: 'none', grid: true, tickFormat: plain },
    y: { label: null, domain: bars.map(({ label }) => label) },
    marks: [
      Plot.barX(bars, { y: 'label', x1: 1, x2: 'value', fill: 'series' }),
      Plot.text(bars, { y: 'label', x: 'value', text: ({ value }) => shown(value), textAnchor: 'start', dx: 5 }),
    ],
  });
}

const plain = (value) => value.toLocaleString('en-US');

function render({ title, marks, ...options }) {
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const heading = Plot.text([title], { frameAnchor: 'top-left', dy: -52, fontSize: 15, fontWeight: 'bold' });
  const svg = Plot.plot({
    document,
    ...{ width: WIDTH, height: HEIGHT, ...MARGINS },
    style: { background: 'white', color: '#222', fontFamily: 'sans-serif', fontSize: '12px' },
    color: { scheme: 'Observable10', domain: SERIES },
    className: 'bench',
    ...options,
    marks: [...marks, heading],
  });
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  return `${svg.outerHTML}\n`;
}

function lastOfEach(points) {
  const last = new Map();
  for (const point of points) if (!(last.get(point.series)?.x > point.x)) last.set(point.series, point);
  return [...last.values()];
}

/** Names that would lie upon each other are moved apart, from the lowest upwards. */
function spaced(ends) {
  const APART = 1.22; // a line of text, as a factor on the scale
  let floor = 0;
  return [...ends]
    .sort((one, other) => one.y - other.y)
    .map((end) => {
      floor = Math.max(end.y, floor * APART);
      return { ...end, labelY: floor };
    });
}
