// The board to draw on: by mouse, finger or pen, and by the keyboard.

import { h } from "../house/dom.ts";
import { clamp, type Point } from "../house/numbers.ts";
import { DIGITS } from "./digits.ts";
import { erased, type Move, moved, PEN, type Stroke } from "./strokes.ts";

const SIZE = 560; // pixels of the canvas
const RUBBER = 0.06; // radius on the board
const STEP = 0.03;
const MOVES: Record<string, Move> = {
  ArrowLeft: { right: -STEP },
  ArrowRight: { right: STEP },
  ArrowUp: { down: -STEP },
  ArrowDown: { down: STEP },
  "[": { degrees: -6 },
  "]": { degrees: 6 },
  "+": { scale: 1.08 },
  "=": { scale: 1.08 },
  "-": { scale: 1 / 1.08 },
};

export interface Board {
  node: HTMLElement;
  strokes(): readonly Stroke[];
  /** Another drawing; the present one can be got back by `undo`. */
  put(strokes: readonly Stroke[]): void;
  undo(): void;
  erasing: boolean;
}

/** changed: called when the drawing is another one. */
export function makeBoard(first: readonly Stroke[], changed: () => void): Board {
  const canvas = h("canvas", { width: SIZE, height: SIZE });
  const node = h(
    "div",
    {
      class: "cx-board dr-board",
      tabIndex: 0,
      role: "application",
      "aria-roledescription": "drawing board",
      "aria-label":
        "Draw a digit here. By keyboard: 0 to 9 put a digit, the arrow keys move it, [ and ] turn it, " +
        "plus and minus scale it, Backspace takes the last change back, Delete clears.",
      "data-lm-suppress-shortcuts": "true",
    },
    canvas,
  );
  const g = canvas.getContext("2d")!;
  let strokes = first;
  let untouched = true; // the first stroke takes the place of what lay there
  const before: (readonly Stroke[])[] = [];
  let pointer: number | null = null; // the one that draws
  const board: Board = { node, strokes: () => strokes, put, undo, erasing: false };

  function show(next: readonly Stroke[]) {
    strokes = next;
    untouched = false;
    draw();
    changed();
  }
  function draw() {
    g.fillStyle = "#000";
    g.fillRect(0, 0, SIZE, SIZE);
    if (!strokes.length) {
      g.fillStyle = "#999";
      g.font = `${SIZE / 20}px system-ui, sans-serif`;
      g.textAlign = "center";
      g.fillText("draw here", SIZE / 2, SIZE / 2);
    }
    for (const [first, ...rest] of strokes) drawLine(first, rest);
  }
  function drawLine(from: Point, to: readonly Point[]) {
    g.strokeStyle = "#fff";
    g.lineWidth = PEN * SIZE;
    g.lineCap = g.lineJoin = "round";
    g.beginPath();
    g.moveTo(from[0] * SIZE - 0.01, from[1] * SIZE); // a line of no length would not be drawn: a dot is a short one
    for (const [x, y] of [from, ...to]) g.lineTo(x * SIZE, y * SIZE);
    g.stroke();
  }
  function remember() {
    before.push(strokes);
    if (before.length > 100) before.shift();
  }
  // Another drawing under a pen that still lies on the board: it draws on when it is set down anew.
  function put(next: readonly Stroke[]) {
    pointer = null;
    remember();
    show(next);
  }
  function undo() {
    pointer = null;
    const last = before.pop();
    if (last) show(last);
  }

  // Pointers: only one draws at a time, and no longer once something else has changed the drawing. -----------------

  let rubs = false; // whether it erases
  let last: Point = [0, 0]; // where it was
  function at(event: PointerEvent): Point {
    const box = canvas.getBoundingClientRect();
    return [
      clamp((event.clientX - box.left) / box.width, 0, 1),
      clamp((event.clientY - box.top) / box.height, 0, 1),
    ];
  }
  function touch(points: readonly Point[]) {
    const path = [last, ...points];
    last = path[points.length];
    if (rubs) show(points.reduce((rest, to, k) => erased(rest, path[k], to, RUBBER), [...strokes]));
    else {
      strokes = [...strokes.slice(0, -1), [...strokes[strokes.length - 1], ...points]];
      drawLine(path[0], points); // the rest stands: a long scribble costs no more than a short one
      changed();
    }
  }
  node.addEventListener("pointerdown", (event) => {
    if ((pointer !== null && pointer !== event.pointerId) || event.button > 0) return;
    pointer = event.pointerId;
    rubs = board.erasing;
    node.setPointerCapture(pointer);
    node.classList.add("cx-pointed");
    remember();
    last = at(event);
    if (rubs) touch([last]);
    else show([...(untouched ? [] : strokes), [last]]);
  });
  node.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    if (!event.buttons) {
      pointer = null; // it was lifted where the page could not see it, as while a dialog was open
      return;
    }
    const events = event.getCoalescedEvents?.() ?? [];
    touch((events.length ? events : [event]).map(at));
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"] as const)
    node.addEventListener(name, (event) => {
      if (event.pointerId === pointer) pointer = null;
    });

  node.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    node.classList.remove("cx-pointed");
    const { key } = event;
    if (/^\d$/.test(key)) put(DIGITS[Number(key)]);
    else if (key in MOVES) put(moved(strokes, MOVES[key]));
    else if (key === "Backspace") undo();
    else if (key === "Delete") put([]);
    else return;
    event.preventDefault();
  });

  draw();
  return board;
}
