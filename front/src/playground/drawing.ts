// The plane on a canvas: points, arrows, lines, a shaded field; and a chart with fixed axes.
import { h } from "../house/dom.ts";

/** Of `course_utils.style`: generated points and their lines, real ones and D's "real", D's "generated". */
export const COLORS = { made: "#da7701", blue: "#1874ee", red: "#df2f42" };

const HALF = { x: 3.6, y: 2.7 }; // of the part of the plane that is seen
export const ASPECT = HALF.x / HALF.y;

export class Plane {
  readonly node: HTMLCanvasElement;
  ink = "#000";
  paper = "#fff";
  private readonly g: CanvasRenderingContext2D;
  private readonly small = h("canvas", { width: COLUMNS, height: ROWS }); // the field, a pixel a place
  private scale = 100; // pixels of the canvas to a unit of the plane
  private pixel = 1; // pixels of the canvas to one of the page

  constructor(label: string) {
    this.node = h("canvas", { class: "cx-plane", role: "img", "aria-label": label });
    this.g = this.node.getContext("2d")!;
  }

  /** Begins a picture, as sharp as the screen. */
  clear(): void {
    this.pixel = Math.min(2, devicePixelRatio || 1);
    const width = Math.max(60, Math.round(this.node.clientWidth * this.pixel));
    const height = Math.round(width / ASPECT);
    if (this.node.width !== width || this.node.height !== height) {
      this.node.width = width;
      this.node.height = height;
    }
    this.scale = width / (2 * HALF.x);
    const { g } = this;
    g.globalAlpha = 1;
    g.fillStyle = this.paper;
    g.fillRect(0, 0, width, height);
  }

  private x = (value: number): number => (value + HALF.x) * this.scale;
  private y = (value: number): number => (HALF.y - value) * this.scale;

  /** Shares (rows × columns, from `places`) as a colour between red (0) and blue (1), clear at one half. */
  field(values: Float64Array): void {
    const { g } = this;
    const pen = this.small.getContext("2d")!;
    const image = pen.createImageData(COLUMNS, ROWS);
    for (let k = 0; k < values.length; k++) {
      const share = 2 * values[k] - 1;
      image.data.set(share > 0 ? BLUE : RED, 4 * k);
      image.data[4 * k + 3] = 150 * Math.abs(share);
    }
    pen.putImageData(image, 0, 0);
    g.imageSmoothingEnabled = true;
    g.drawImage(this.small, 0, 0, this.node.width, this.node.height);
  }

  dots(x: Float64Array, color: string, radius: number, alpha = 1): void {
    const { g } = this;
    const r = radius * this.size();
    g.globalAlpha = alpha;
    g.fillStyle = color;
    g.beginPath();
    for (let k = 0; k < x.length; k += 2) {
      g.moveTo(this.x(x[k]) + r, this.y(x[k + 1]));
      g.arc(this.x(x[k]), this.y(x[k + 1]), r, 0, 2 * Math.PI);
    }
    g.fill();
    g.globalAlpha = 1;
  }

  crosses(x: Float64Array, color: string, radius: number): void {
    const r = radius * this.size();
    this.stroke(color, 1.3, 1, (g) => {
      for (let k = 0; k < x.length; k += 2) {
        const [a, b] = [this.x(x[k]), this.y(x[k + 1])];
        g.moveTo(a - r, b - r);
        g.lineTo(a + r, b + r);
        g.moveTo(a - r, b + r);
        g.lineTo(a + r, b - r);
      }
    });
  }

  /** A line through points (n, 2). */
  line(x: ArrayLike<number>, color: string, width: number, alpha: number): void {
    this.stroke(color, width, alpha, (g) => {
      g.moveTo(this.x(x[0]), this.y(x[1]));
      for (let k = 2; k < x.length; k += 2) g.lineTo(this.x(x[k]), this.y(x[k + 1]));
    });
  }

  /** Arrows from points (n, 2) along vectors (n, 2), `scale` times as long, at most `most` units of the plane. */
  arrows(
    x: Float64Array,
    v: Float64Array,
    scale: number,
    color: string,
    width: number,
    most = 0.9,
    alpha = 1,
  ): void {
    const head = 3.2 * this.size() + width;
    this.stroke(color, width, alpha, (g) => {
      for (let k = 0; k < x.length; k += 2) {
        const length = scale * Math.hypot(v[k], v[k + 1]);
        const s = (scale * Math.min(length, most)) / Math.max(length, 1e-9);
        if (!(length * this.scale > 1)) continue;
        const [a, b] = [this.x(x[k]), this.y(x[k + 1])];
        const [c, d] = [this.x(x[k] + s * v[k]), this.y(x[k + 1] + s * v[k + 1])];
        const angle = Math.atan2(d - b, c - a);
        g.moveTo(a, b);
        g.lineTo(c, d);
        for (const side of [2.6, -2.6]) {
          g.moveTo(c, d);
          g.lineTo(c + head * Math.cos(angle + side), d + head * Math.sin(angle + side));
        }
      }
    });
  }

  /** Sizes grow with the picture. */
  private size(): number {
    return this.pixel * Math.max(0.8, this.node.width / this.pixel / 620);
  }

  private stroke(
    color: string,
    width: number,
    alpha: number,
    draw: (g: CanvasRenderingContext2D) => void,
  ): void {
    const { g } = this;
    g.globalAlpha = alpha;
    g.strokeStyle = color;
    g.lineWidth = width * this.size();
    g.lineJoin = "round";
    g.beginPath();
    draw(g);
    g.stroke();
    g.globalAlpha = 1;
  }
}

const [COLUMNS, ROWS] = [36, 27];
const rgb = (color: string): number[] => [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
const BLUE = rgb(COLORS.blue);
const RED = rgb(COLORS.red);

/** The places (n, 2) of a grid over what is seen, row by row from the top. */
export function places(columns = COLUMNS, rows = ROWS): Float64Array {
  const x = new Float64Array(2 * columns * rows);
  for (let k = 0; k < columns * rows; k++) {
    x[2 * k] = HALF.x * ((2 * ((k % columns) + 0.5)) / columns - 1);
    x[2 * k + 1] = HALF.y * (1 - (2 * (Math.floor(k / columns) + 0.5)) / rows);
  }
  return x;
}

export interface Curve {
  name: string;
  color: string;
  dash: number[];
}

/** Curves over the steps of a run; the axes stand still. Each curve is a mean of the few steps that share a pixel. */
export class Chart {
  readonly node: HTMLCanvasElement;
  ink = "#000";
  paper = "#fff";
  private readonly g: CanvasRenderingContext2D;
  private readonly curves: readonly Curve[];
  private readonly most: number; // of the vertical axis
  private marks: readonly { at: number; name: string }[];
  private readonly sums: Float64Array[];
  private counts = new Float64Array(BINS);
  private length: number; // steps that the horizontal axis has

  constructor(
    label: string,
    curves: readonly Curve[],
    most: number,
    length: number,
    marks: readonly { at: number; name: string }[],
  ) {
    this.node = h("canvas", { class: "cx-plane", role: "img", "aria-label": label });
    this.node.style.height = "6.5em";
    this.g = this.node.getContext("2d")!;
    this.curves = curves;
    this.most = most;
    this.length = length;
    this.marks = marks;
    this.sums = curves.map(() => new Float64Array(BINS));
  }

  reset(length: number): void {
    this.length = length;
    this.counts.fill(0);
    for (const sums of this.sums) sums.fill(0);
  }

  /** Dotted lines with a name. */
  mark(marks: readonly { at: number; name: string }[]): void {
    this.marks = marks;
  }

  /** A further run on the same axis, which becomes twice as long. */
  double(): void {
    this.length *= 2;
    for (const row of [this.counts, ...this.sums])
      for (let k = 0; k < BINS; k++) row[k] = 2 * k < BINS ? row[2 * k] + row[2 * k + 1] : 0;
  }

  add(step: number, values: readonly number[]): void {
    const bin = Math.min(BINS - 1, Math.floor((BINS * step) / this.length));
    this.counts[bin]++;
    for (const [k, value] of values.entries()) this.sums[k][bin] += value;
  }

  draw(unit: string): void {
    const pixel = Math.min(2, devicePixelRatio || 1);
    const [w, height] = [this.node.clientWidth, this.node.clientHeight];
    if (!w || !height) return;
    if (this.node.width !== Math.round(w * pixel)) this.node.width = Math.round(w * pixel);
    if (this.node.height !== Math.round(height * pixel)) this.node.height = Math.round(height * pixel);
    const { g } = this;
    g.setTransform(pixel, 0, 0, pixel, 0, 0);
    g.fillStyle = this.paper;
    g.fillRect(0, 0, w, height);
    g.font = "11px system-ui, sans-serif";
    g.textBaseline = "middle";
    const [left, right, top, bottom] = [30, w - 96, 8, height - 18];
    const x = (step: number) => left + ((right - left) * step) / this.length;
    const y = (value: number) => bottom - ((bottom - top) * Math.min(value, this.most)) / this.most;
    g.fillStyle = g.strokeStyle = this.ink;
    g.lineWidth = 1;
    g.beginPath();
    g.moveTo(left, top);
    g.lineTo(left, bottom);
    g.lineTo(right, bottom);
    g.stroke();
    g.textAlign = "right";
    for (const value of [0, this.most / 2, this.most]) g.fillText(String(value), left - 4, y(value));
    g.textBaseline = "top";
    const said = (share: number) => (share * this.length).toLocaleString("en");
    const [middle, end] = [said(0.5), `${unit} ${said(1)}`];
    g.textAlign = "left";
    g.fillText("0", left, bottom + 4);
    g.textAlign = "right";
    g.fillText(end, right, bottom + 4);
    g.textAlign = "center";
    const room = (right - left) / 2 - g.measureText(middle).width / 2 - g.measureText(end).width;
    if (room > 6) g.fillText(middle, (left + right) / 2, bottom + 4);
    g.textBaseline = "middle";
    g.textAlign = "left";
    for (const { at, name } of this.marks) {
      g.setLineDash([1, 3]);
      g.beginPath();
      g.moveTo(left, y(at));
      g.lineTo(right, y(at));
      g.stroke();
      g.fillText(name, right + 4, y(at));
    }
    for (const [k, { color, dash }] of this.curves.entries()) {
      g.strokeStyle = color;
      g.lineWidth = 1.6;
      g.setLineDash(dash);
      g.beginPath();
      let begun = false;
      for (let bin = 0; bin < BINS; bin++) {
        if (!this.counts[bin]) continue;
        const at = [x((this.length * (bin + 0.5)) / BINS), y(this.sums[k][bin] / this.counts[bin])] as const;
        if (begun) g.lineTo(...at);
        else g.moveTo(...at);
        begun = true;
      }
      g.stroke();
    }
    g.setLineDash([]);
  }
}

const BINS = 250;
