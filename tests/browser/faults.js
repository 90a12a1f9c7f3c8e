// What is wrong with the slide that is shown: text below 24 pixels, text or pictures that are cut off or lie on each
// other. The page has no text in what is drawn in a figure or on a canvas: it is not looked at. Excepted are indices,
// which a formula sets smaller (it itself is measured), and the ticks inside an explorer's charts. A row of pictures in
// an explorer may lose a few pixels of its lower edge.
() => {
  const slide = document.querySelector(".slide.now"), faults = [], boxes = [];
  const seen = (node) => node.checkVisibility({ visibilityProperty: true, opacityProperty: true })
    && !node.closest(".notes, .cx-status, .cx-hidden, style, script");
  const text = (node) => (node.textContent || node.alt || "").trim().slice(0, 40);
  const name = (node) => `${node.tagName.toLowerCase()}.${node.className} “${text(node)}”`;
  function whole(box, node, slack) {
    for (let around = node.parentElement; around; around = around.parentElement) {
      if (around !== slide && getComputedStyle(around).overflow === "visible") continue;
      const room = around.getBoundingClientRect();
      if (box.left < room.left - slack || box.top < room.top - slack || box.right > room.right + slack
        || box.bottom > room.bottom + slack) faults.push(`cut off: ${name(node)}`);
      if (around === slide) return;
    }
  }
  const walk = document.createTreeWalker(slide, NodeFilter.SHOW_TEXT);
  for (let words = walk.nextNode(); words; words = walk.nextNode()) {
    const node = words.parentElement;
    if (!words.data.trim() || !seen(node) || node.closest(".cx svg")) continue;
    const formula = node.closest("math"), measured = formula ?? node;
    const size = parseFloat(getComputedStyle(measured).fontSize) * (measured.currentCSSZoom ?? 1);
    if (size < 23.99) faults.push(`${size.toFixed(1)} pixels: ${name(node)}`);
    if (formula) continue;
    const range = document.createRange();
    range.selectNodeContents(words);
    for (const box of range.getClientRects()) {
      whole(box, node, 2);
      boxes.push([box, node]);
    }
  }
  for (const node of slide.querySelectorAll("img, canvas, .body math")) {
    const box = node.getBoundingClientRect();
    if (!seen(node) || !box.width) continue;
    whole(box, node, node.tagName === "CANVAS" ? 8 : 2);
    if (node.closest(".formula")) boxes.push([box, node]);
    if (node.complete === false || node.naturalWidth === 0) faults.push(`not there: ${name(node)}`);
  }
  for (const [k, [a, node]] of boxes.entries()) {
    for (const [b, other] of boxes.slice(k + 1)) {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 3 && down > 0.4 * Math.min(a.height, b.height)) faults.push(`${name(node)} lies on ${name(other)}`);
    }
  }
  if (!boxes.some(([, node]) => node.closest(".body")) && !slide.querySelector(".body :is(img, math)")) faults.push("nothing is shown");
  return faults;
}
