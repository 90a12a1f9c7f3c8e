// Code that folds for all cells at once, drawers that the keyboard opens; what is printed is unfolded and light.
{
  const cells = [...document.querySelectorAll("details.course-code")];
  const button = document.querySelector(".course-fold");

  let folded = false;
  function fold(now) {
    folded = now;
    for (const cell of cells) cell.open = !folded;
    button.textContent = folded ? "Show the code" : "Hide the code";
  }

  // A browser may refuse to keep anything for pages that are files.
  function kept(value) {
    try {
      if (value === undefined) return localStorage.getItem("course-code");
      localStorage.setItem("course-code", value);
    } catch {
      return null;
    }
  }

  if (button && cells.length) {
    button.hidden = false;
    if (kept() === "folded" && !location.hash) fold(true);
    button.addEventListener("click", () => {
      fold(!folded);
      kept(folded ? "folded" : "open");
    });
  }

  for (const opener of document.querySelectorAll("button[data-opens]")) {
    const drawer = document.getElementById(opener.dataset.opens);
    opener.addEventListener("click", () => drawer.click());
  }

  let closed = [];
  let theme;
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const each of closed) if (!each.matches(".course-code")) each.open = true;
    theme = document.body.dataset.theme;
    document.body.dataset.theme = "light";
  });
  addEventListener("afterprint", () => {
    for (const each of closed) each.open = false;
    document.body.dataset.theme = theme;
  });
}
