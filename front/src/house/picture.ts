// An explorer as a picture: its elements painted, as the page shows them, onto one canvas.

const CLEAR = /^rgba\(.*, 0\)$|^transparent$/;

/** What the page shows of an element, `scale` pixels to a CSS pixel; parts marked `data-tool` are left out. */
export function pictureOf(root: HTMLElement, scale = 2, margin = 12): HTMLCanvasElement {
  const box = root.getBoundingClientRect();
  const canvas = document.createElement("canvas");
  canvas.width = Math.round((box.width + 2 * margin) * scale);
  canvas.height = Math.round((root.scrollHeight + 2 * margin) * scale);
  const g = canvas.getContext("2d")!;
  g.scale(scale, scale);
  g.fillStyle = paperOf(root);
  g.fillRect(0, 0, canvas.width, canvas.height);
  g.translate(margin - box.left, margin - box.top);
  paint(g, root, 1);
  return canvas;
}

/** The colour of the ground under an element. */
export function paperOf(element: Element): string {
  for (let at: Element | null = element; at; at = at.parentElement) {
    const color = getComputedStyle(at).backgroundColor;
    if (!CLEAR.test(color)) return color;
  }
  return "#fff";
}

function paint(g: CanvasRenderingContext2D, element: Element, alpha: number): void {
  const style = getComputedStyle(element);
  const shown = alpha * Number(style.opacity);
  if (style.display === "none" || style.visibility === "hidden" || !shown) return;
  if (element instanceof SVGElement || (element as HTMLElement).dataset.tool !== undefined) return;
  const box = element.getBoundingClientRect();
  if (style.position === "absolute" && box.width <= 1) return; // for screen readers only
  g.globalAlpha = shown;
  paintBox(g, style, box);
  if (element instanceof HTMLCanvasElement || element instanceof HTMLImageElement) {
    g.imageSmoothingEnabled = style.imageRendering !== "pixelated";
    g.drawImage(element, box.left, box.top, box.width, box.height);
  } else if (element instanceof HTMLInputElement) {
    paintInput(g, element, style, box);
  }
  for (const child of element.childNodes) {
    g.globalAlpha = shown;
    if (child instanceof Element) paint(g, child, shown);
    else if (child instanceof Text) paintText(g, child, style);
  }
}

function paintBox(g: CanvasRenderingContext2D, style: CSSStyleDeclaration, box: DOMRect): void {
  const rounded = (grow: number) => {
    g.beginPath();
    const radius = Math.min(Number.parseFloat(style.borderTopLeftRadius) || 0, box.height / 2);
    g.roundRect(box.left - grow, box.top - grow, box.width + 2 * grow, box.height + 2 * grow, radius);
  };
  if (!CLEAR.test(style.backgroundColor)) {
    rounded(0);
    g.fillStyle = style.backgroundColor;
    g.fill();
  }
  const lines = [
    [style.borderTopStyle, style.borderTopWidth, style.borderTopColor, -0.5],
    [style.outlineStyle, style.outlineWidth, style.outlineColor, 0.5],
  ] as const;
  for (const [kind, width, color, side] of lines) {
    const w = Number.parseFloat(width);
    if (kind === "none" || !w || CLEAR.test(color)) continue;
    rounded(side * w);
    g.lineWidth = w;
    g.strokeStyle = color;
    g.stroke();
  }
}

/** A slider as its line and its knob, a box that is ticked or not; other inputs lie invisibly over what they choose. */
function paintInput(
  g: CanvasRenderingContext2D,
  input: HTMLInputElement,
  style: CSSStyleDeclaration,
  box: DOMRect,
): void {
  const middle = box.top + box.height / 2;
  g.fillStyle = g.strokeStyle = style.accentColor === "auto" ? "#1976d2" : style.accentColor;
  g.lineWidth = 2;
  if (input.type === "range") {
    const [low, high] = [Number(input.min), Number(input.max)];
    const share = high > low ? (Number(input.value) - low) / (high - low) : 0;
    const line = g.globalAlpha;
    g.globalAlpha = line * 0.35;
    g.fillRect(box.left, middle - 2, box.width, 4);
    g.globalAlpha = line;
    g.beginPath();
    g.arc(box.left + 8 + share * (box.width - 16), middle, 8, 0, 2 * Math.PI);
    g.fill();
  } else if (input.type === "checkbox") {
    g.strokeRect(box.left + 1, box.top + 1, box.width - 2, box.height - 2);
    if (input.checked) g.fillRect(box.left + 3, box.top + 3, box.width - 6, box.height - 6);
  }
}

function paintText(g: CanvasRenderingContext2D, text: Text, style: CSSStyleDeclaration): void {
  g.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  g.fillStyle = style.color;
  g.textBaseline = "middle";
  g.textAlign = "left";
  for (const { line, box } of linesOf(text)) g.fillText(line, box.left, box.top + box.height / 2);
}

/** The lines in which the page has broken a text, and where each stands. */
function linesOf(text: Text): { line: string; box: DOMRect }[] {
  const lines: { line: string; box: DOMRect }[] = [];
  const range = document.createRange();
  for (const word of text.data.matchAll(/\S+\s*/g)) {
    range.setStart(text, word.index);
    range.setEnd(text, word.index + word[0].trimEnd().length);
    const box = range.getBoundingClientRect();
    const last = lines.at(-1);
    if (last && Math.abs(last.box.top - box.top) < box.height / 2) last.line += word[0];
    else if (box.width) lines.push({ line: word[0], box });
  }
  return lines;
}
