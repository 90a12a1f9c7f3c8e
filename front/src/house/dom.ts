// Small tools for the page.

type Child = Node | string;

/** An element with properties (or, where it has no such property, attributes) and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Record<string, unknown> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) (node as unknown as Record<string, unknown>)[name] = value;
    else node.setAttribute(name, String(value));
  }
  // In JupyterLab the arrow keys would otherwise leave the cell.
  if (tag === "input" || tag === "button") node.setAttribute("data-lm-suppress-shortcuts", "true");
  node.append(...children);
  return node;
}

/** Whether a colour, as the browser computes it, is nearer to white than to black. */
export function isLight(color: string): boolean {
  const [r, g, b] = (color.match(/[\d.]+/g) ?? ["0", "0", "0"]).map(Number);
  return 0.3 * r + 0.6 * g + 0.1 * b > 128;
}

/** Scrolls to an element, and again while the page above it still takes its size, until the reader does something. */
export function bring(element: Element): void {
  const scroll = () => element.scrollIntoView({ block: "start" });
  const sizes = new ResizeObserver(scroll);
  const over = new AbortController();
  over.signal.addEventListener("abort", () => sizes.disconnect());
  for (const act of ["wheel", "touchstart", "pointerdown", "keydown"])
    addEventListener(act, () => over.abort(), { capture: true, passive: true, signal: over.signal });
  setTimeout(() => over.abort(), 3000);
  scroll();
  sizes.observe(document.body);
}
