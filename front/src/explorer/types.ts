// What `course_utils.explorers` tells the front end (parts.py), and what the parts of a view share.

import type { AnyModel } from "@anywidget/types";
import type { Point, Range } from "../house/numbers.ts";
import type { Sprite } from "./sprites.ts";

interface Part {
  name: string;
  size: number;
  group: string;
}

export interface SliderState extends Part {
  kind: "slider";
  ticks: string[];
  strides: number[];
  play: boolean;
  interval: number;
}

export interface ChoiceState extends Part {
  kind: "choice";
  options: string[];
  sprite?: number;
  frames?: number[];
}

export interface PadState extends Part {
  kind: "pad";
  x: Range;
  y: Range;
  columns: number;
  rows: number;
  axes: [string, string];
  classes: string[];
  palette: string[];
  points?: number[];
  count?: number;
  strides?: number[];
  labels?: number[];
  paths?: { xy: number[]; length: number; strides: number[]; mark: number };
}

export type ControlState = SliderState | ChoiceState | PadState;

export interface PanelState {
  title: string;
  group: string;
  /** The number of its sprite; -1: its frames are charts, all of the size `tile`. */
  sprite: number;
  tile?: [height: number, width: number];
  frames: number[];
  strides: number[];
  strip: number;
  count: number;
  columns: number;
}

export interface ReadoutState {
  label: string;
  group: string;
  strides: number[];
  panel: number;
  values: (number | string)[];
  decimals?: number;
  maximum?: number;
}

export interface SpriteState {
  src: string;
  tile: [height: number, width: number];
  columns: number;
}

export interface State {
  title: string;
  hint: string;
  controls: ControlState[];
  panels: PanelState[];
  readouts: ReadoutState[];
  sprites: SpriteState[];
  /** Base64 of the gzipped JSON list of SVG texts; empty where no panel shows charts. */
  charts: string;
  index: number[];
  position: number[];
  live_panel: number;
  live_frame: { position?: [number, number]; src?: string };
}

export type Model = AnyModel<State>;

/** What is shown now. `dims` indexes everything: one number a control, then the pad's nearest point. */
export interface Now {
  dims: number[];
  /** Where the pad's cursor stands, and the place whose image is shown. */
  position: Point;
  shown: Point;
  /** The dots of the map, x and y in turn; null without dots. */
  dots: number[] | null;
  /** The frame last decoded by a kernel, and whether it is the one shown. */
  live: { position: Point; image: HTMLImageElement } | null;
  fresh: boolean;
}

/** What the parts of one view share. */
export interface App {
  id: string;
  controls: ControlState[];
  panels: PanelState[];
  readouts: ReadoutState[];
  pad: PadState | null;
  padAt: number;
  livePanel: number;
  sprites: Sprite[];
  /** Addresses of the charts, by number; empty until they are unpacked. */
  charts: string[];
  now: Now;
  still: MediaQueryList;
  set(control: number, value: number): void;
  move(x: number, y: number): void;
}

/** A part of the view: its node, `update` to follow the state, `stop` at its end. */
export interface View {
  node: HTMLElement;
  update(): void;
  stop?(): void;
}
