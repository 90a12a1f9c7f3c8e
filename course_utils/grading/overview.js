"use strict";
// Points typed into the boxes: kept in this browser at once, and written into the table's own lines. A line comes from
// Python in five pieces, of which the second is the cell of the points and the fourth the note on them.
const table = JSON.parse(document.getElementById("table").textContent);
const boxes = [...document.querySelectorAll("input[data-line]")];
const says = document.getElementById("says");
const typed = new Map(); // points by the number of their line
const wrong = new Set(); // boxes in which something else was typed

let store = null; // a browser may refuse to keep anything
try {
  localStorage.setItem("grades", "");
  localStorage.removeItem("grades");
  store = localStorage;
} catch {
  document.getElementById("refused").hidden = false;
}

const inTable = (box) => box.defaultValue;
const nameOf = (box) => `${location.pathname} ${box.dataset.answer}`;

// "3.5" for "3,50"; null where it is no number of points.
function points(box) {
  const text = box.value.trim();
  if (text === "") return "";
  const number = /^\d{1,3}([.,]\d{1,2})?$/.test(text) ? Number(text.replace(",", ".")) : NaN;
  return number <= Number(box.dataset.of) ? String(number) : null;
}

function show(box) {
  const now = points(box);
  const note = document.getElementById(`note-${box.dataset.line}`);
  box.setAttribute("aria-invalid", String(now === null));
  if (now === null) note.textContent = `A number from 0 to ${box.dataset.of}, please.`;
  else note.textContent = typed.has(box.dataset.line) ? "" : note.dataset.text;
  document.getElementById(`cell-${box.dataset.line}`).textContent = now || "–";
}

function count() {
  for (const progress of document.querySelectorAll("[data-progress]")) {
    const own = boxes.filter((box) => box.dataset.homework === progress.dataset.progress);
    progress.textContent = `${own.filter(points).length} of ${own.length} marked`;
  }
}

function keep(box) {
  const now = points(box);
  if (now === null) {
    wrong.add(box);
    typed.delete(box.dataset.line);
  } else {
    wrong.delete(box);
    typed.set(box.dataset.line, now);
  }
  try {
    if (now !== null) store?.setItem(nameOf(box), JSON.stringify({ points: now, was: inTable(box) }));
  } catch {
    document.getElementById("refused").hidden = false;
  }
  show(box);
  count();
}

// What was typed before: it counts if the table has not been changed since, else it is only mentioned.
function recall(box) {
  const note = document.getElementById(`note-${box.dataset.line}`);
  let before = null;
  try {
    before = JSON.parse(store?.getItem(nameOf(box)) ?? "null");
  } catch {} // somebody else's
  if (before && before.was === inTable(box)) {
    box.value = before.points;
    if (points(box) === before.points) typed.set(box.dataset.line, before.points);
    else box.value = inTable(box);
  } else if (before && before.points !== inTable(box)) {
    note.dataset.text += ` You typed ${before.points || "nothing"} here; the table was changed since.`;
  }
  show(box);
}

function save() {
  const [box] = wrong;
  if (box) {
    says.textContent = "Not saved: a box holds no number of points.";
    box.focus();
    return;
  }
  const text = table.lines.map(([before, open, between, note, after], number) => {
    const now = typed.get(String(number));
    return now === undefined ? before + open + between + note + after : before + now + between + after;
  });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", ...text], { type: "text/csv" }));
  link.download = table.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  says.textContent = `Saved as a download. Put it in the place of ${table.name}, then grade again.`;
}

for (const box of boxes) {
  recall(box);
  box.addEventListener("input", () => keep(box));
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const rest = boxes.slice(boxes.indexOf(box) + 1);
    (rest.find((other) => other.value.trim() === "") ?? rest[0])?.focus();
  });
}
count();
document.getElementById("save")?.addEventListener("click", save);
addEventListener("beforeunload", (event) => {
  if (typed.size > 0 && (!store || !document.getElementById("refused").hidden)) event.preventDefault();
});
