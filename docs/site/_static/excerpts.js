// Under each result of the search stand the words around those that were looked for, and it leads to that place.
{
  const around = 240; // letters
  const query = (new URLSearchParams(location.search).get("q") ?? "").toLowerCase().trim();
  const stemmer = new Stemmer(); // Sphinx's own
  const words = splitQuery(query).map((word) => [word, stemmer.stemWord(word)]);

  // Where the first of a word's forms stands in a text, and how long it is there.
  function find(text, forms) {
    for (const form of forms) {
      const at = text.indexOf(form);
      if (at >= 0) return [at, form.length];
    }
    return null;
  }

  function best(pieces) {
    let most = 0;
    let chosen = null;
    for (const [mark, text] of pieces) {
      const small = text.toLowerCase();
      const whole = small.indexOf(query);
      const places = words.map((forms) => find(small, forms)).filter((place) => place);
      const count = places.length + (whole >= 0 ? words.length : 0);
      if (count > most) {
        most = count;
        chosen = { mark, text, at: whole >= 0 ? whole : places[0][0] };
      }
    }
    return chosen;
  }

  function excerpt(text, at) {
    const start = at < around / 3 ? 0 : text.indexOf(" ", at - around / 3) + 1;
    const end = start + around < text.length ? text.lastIndexOf(" ", start + around) : text.length;
    const shown = text.slice(start, end > at ? end : start + around);
    const line = document.createElement("p");
    line.className = "context";
    line.append(start > 0 ? "… " : "");
    let rest = shown;
    while (rest) {
      const small = rest.toLowerCase();
      const found = words.map((forms) => find(small, forms)).filter((place) => place);
      if (!found.length) break;
      const [where, length] = found.reduce((one, other) => (other[0] < one[0] ? other : one));
      const word = document.createElement("mark");
      word.textContent = rest.slice(where, where + length);
      line.append(rest.slice(0, where), word);
      rest = rest.slice(where + length);
    }
    line.append(rest, end < text.length ? " …" : "");
    return line;
  }

  function show(result) {
    const link = result.querySelector("a");
    const [page, anchor] = link.getAttribute("href").split(".html#");
    const all = window.courseTexts[page.replace(/\.html$/, "")] ?? [];
    const pieces = anchor === undefined ? all : all.filter(([mark]) => mark === anchor);
    const found = best(pieces); // null: it stands in code alone
    if (!found || result.querySelector(".context")) return;
    result.append(excerpt(found.text, found.at));
    if (anchor === undefined && found.mark) link.hash = found.mark;
  }

  const results = document.getElementById("search-results");
  const observer = new MutationObserver((changes) => {
    for (const change of changes) {
      for (const node of change.addedNodes) if (node.matches?.("ul.search > li")) show(node);
    }
  });
  observer.observe(results, { childList: true, subtree: true });
}
