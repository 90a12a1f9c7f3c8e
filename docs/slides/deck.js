// Turns the pages, makes what is shown as large as its slide allows, magnifies figures, opens the speaker's notes. No
// network, no server.
{
  const deck = document.querySelector(".deck");
  const slides = [...document.querySelectorAll(".slide")];
  const lens = document.querySelector(".lens");
  const FIGURE = ".shown > .course-figure";
  let now = 0;
  let typed = ""; // digits of a slide's number

  // Turning ------------------------------------------------------------------------------------------------------

  function go(to) {
    const moved = now;
    lens.close();
    turned(Math.max(0, Math.min(slides.length - 1, to)));
    if (moved !== now && !slides[now].contains(document.activeElement)) document.activeElement?.blur();
    if (inOverview()) slides[now].scrollIntoView({ block: "nearest" });
    if (onPage()) slides[now].scrollIntoView();
    if (moved === 0 && now > 0) began ??= Date.now();
  }

  function turned(to) {
    now = to;
    for (const [k, slide] of slides.entries()) slide.classList.toggle("now", k === now);
    keep();
    tell();
  }

  // Safari refuses a hundred changes of the address within half a minute, which a key that is held down makes.
  function keep() {
    try {
      history.replaceState(null, "", `#${now + 1}`);
    } catch {
      // The address tells an earlier page until the next turn.
    }
  }

  /** The slide that the address names, #4 or #slide-4, counted from 0; null if it names none. */
  function addressed() {
    const [, number] = /^#(?:slide-)?(\d+)$/.exec(location.hash) ?? [];
    return number === undefined ? null : Number(number) - 1;
  }

  const inOverview = () => deck.classList.contains("overview");

  // On a telephone held upright all slides are on one page; what is read there is the slide that counts.
  const telephone = matchMedia("(max-width: 700px) and (orientation: portrait)");
  const onPage = () => deck.classList.contains("page");
  addEventListener("scroll", () => {
    if (!onPage()) return;
    const read = slides.findLastIndex((slide) => slide.getBoundingClientRect().top < innerHeight / 2);
    if (Math.max(0, read) !== now) turned(Math.max(0, read));
  });

  const turns = {
    ArrowRight: () => go(now + 1),
    ArrowDown: () => go(now + 1),
    " ": (event) => go(event.shiftKey ? now - 1 : now + 1),
    Enter: () => (typed ? go(Number(typed) - 1) : inOverview() ? overview() : go(now + 1)),
    ArrowLeft: () => go(now - 1),
    ArrowUp: () => go(now - 1),
    Backspace: () => go(now - 1),
    Home: () => go(0),
    End: () => go(slides.length - 1),
    s: openNotes,
    o: overview,
    b: () => {
      lens.close();
      deck.classList.toggle("dark");
    },
    z: magnifyNext,
    f: () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()),
  };
  // What a presenter sends turns the page wherever the focus is; all else belongs to an explorer that has it.
  const presenter = { PageDown: () => go(now + 1), PageUp: () => go(now - 1) };

  // A letter by its place where the keyboard writes others, as Korean or Greek ones.
  function named({ key, code }) {
    if (/^[!-~]$/.test(key)) return key.toLowerCase();
    return /^Key[A-Z]$/.test(code) ? code[3].toLowerCase() : key;
  }

  function press(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const inside = event.target.closest?.(".stage, a, summary");
    const keys = { ...turns, ...(lens.open ? moves : {}) };
    const turn = presenter[event.key] ?? (inside ? null : keys[named(event)]);
    if (event.key === "Escape" && inOverview()) overview();
    if (event.key === "Escape") lens.close();
    if (event.key !== "Enter") typed = /^\d$/.test(event.key) && !inside ? typed + event.key : "";
    if (!turn) return;
    event.preventDefault();
    event.stopPropagation();
    turn(event);
    if (event.key === "Enter") typed = "";
  }
  addEventListener("keydown", press, { capture: true });
  addEventListener("hashchange", () => go(addressed() ?? now));

  function overview() {
    lens.close();
    if (!onPage()) deck.classList.toggle("overview");
    slides[now].scrollIntoView({ block: "nearest" });
  }
  deck.addEventListener("click", (event) => {
    if (!inOverview()) return;
    const slide = event.target.closest(".slide");
    overview();
    if (slide) go(slides.indexOf(slide));
  });

  // A closer look ------------------------------------------------------------------------------------------------

  // Text in a figure has at least 7 points, of which 72 are 100 pixels of its file. Magnified it has 1.5rem or more.
  const SMALLEST = (7 * 100) / 72;
  const shows = () => !inOverview() && !deck.classList.contains("dark");
  const move = (across, down) => () => lens.scrollBy((across * innerWidth) / 8, (down * innerHeight) / 8);
  const moves = { ArrowLeft: move(-1, 0), ArrowRight: move(1, 0), ArrowUp: move(0, -1), ArrowDown: move(0, 1) };

  function magnify(figure) {
    const large = figure.cloneNode();
    large.style.width = `${(1.5 * figure.naturalWidth) / SMALLEST}rem`;
    lens.replaceChildren(large);
    if (!lens.open) lens.showModal();
    lens.scrollTo(0, 0);
  }

  /** The first figure of the slide, then its next one, then the slide again. */
  function magnifyNext() {
    const all = shows() ? [...slides[now].querySelectorAll(FIGURE)] : [];
    const next = lens.open ? all.findIndex(({ src }) => src === lens.firstChild.src) + 1 : 0;
    if (all[next]) magnify(all[next]);
    else lens.close();
  }

  // The pointer moves over the whole of it as it moves over the window; a finger drags it.
  function follow({ clientX, clientY, pointerType }) {
    if (pointerType !== "mouse") return;
    const part = (at, size) => Math.max(0, Math.min(1, (at / size - 0.1) / 0.8));
    lens.scrollTo(
      part(clientX, innerWidth) * (lens.scrollWidth - lens.clientWidth),
      part(clientY, innerHeight) * (lens.scrollHeight - lens.clientHeight),
    );
  }
  deck.addEventListener("click", (event) => {
    const figure = event.target.closest(FIGURE);
    if (!figure || !shows()) return;
    magnify(figure);
    follow(event);
  });
  lens.addEventListener("pointermove", follow);
  lens.addEventListener("click", () => lens.close());

  // A swipe turns the page, but not one that begins in an explorer, nor two fingers that enlarge, nor one that moves
  // what is enlarged.
  let from = null;
  deck.addEventListener("touchstart", (event) => {
    const [finger, other] = event.touches;
    from = other || onPage() || event.target.closest(".stage") || visualViewport.scale > 1.01 ? null : finger;
  });
  deck.addEventListener("touchend", (event) => {
    const [to] = event.changedTouches;
    const [across, down] = from ? [to.clientX - from.clientX, to.clientY - from.clientY] : [0, 0];
    if (Math.abs(across) > Math.max(60, Math.abs(down))) go(now - Math.sign(across));
    from = null;
  });

  // The speaker's notes, in a window of their own ----------------------------------------------------------------

  let speaker = null;
  let began = null;

  function openNotes() {
    if (speaker && !speaker.closed) return void speaker.focus();
    speaker = open("", "", "width=900,height=760");
    if (!speaker) return void alert("The browser refused a second window: allow pop-ups for this page.");
    const page = speaker.document;
    page.title = `Notes: ${document.title}`;
    page.documentElement.className = "speaker";
    page.documentElement.lang = "en";
    const look = Object.assign(page.createElement("link"), { rel: "stylesheet" });
    look.href = document.querySelector("link[rel=stylesheet]").href;
    page.head.replaceChildren(look);
    page.body.innerHTML =
      "<header><h1></h1><span></span><output title='Since the first slide was turned'></output></header>" +
      "<main tabindex='0'></main><footer></footer>";
    speaker.onkeydown = pressInNotes;
    tell();
  }
  // The next deck, or this one loaded anew, opens its own: a page from the disk may not touch another's window.
  addEventListener("pagehide", () => speaker?.close());

  // The up and down arrows, Home and End scroll the notes; all else is as on the slides.
  function pressInNotes(event) {
    if (!["ArrowUp", "ArrowDown", "Home", "End", "s", "f"].includes(named(event))) press(event);
  }

  function tell() {
    if (!speaker || speaker.closed) return;
    const page = speaker.document;
    const headline = (slide) => slide?.querySelector("h1, h2").innerHTML;
    page.querySelector("h1").innerHTML = headline(slides[now]);
    page.querySelector("header span").textContent = `${now + 1} / ${slides.length}`;
    page.querySelector("main").innerHTML = slides[now].querySelector(".notes").innerHTML;
    page.querySelector("main").scrollTop = 0;
    page.querySelector("footer").innerHTML = `Next: ${headline(slides[now + 1]) ?? "the end"}`;
    tick();
  }

  function tick() {
    if (!speaker || speaker.closed) return;
    const seconds = began === null ? 0 : Math.floor((Date.now() - began) / 1000);
    const two = String(seconds % 60).padStart(2, "0");
    speaker.document.querySelector("output").textContent = `${Math.floor(seconds / 60)}:${two}`;
  }
  setInterval(tick, 1000);

  // As large as the slide allows ---------------------------------------------------------------------------------

  // The ink of a tall formula may stand out of its box; what counts is whether the whole of it is inside the body.
  const wide = (box) => box.scrollWidth > box.clientWidth + 1;
  const over = (box) => wide(box) || box.scrollHeight > box.clientHeight + 1;

  // Each part as wide as it may be, then all smaller, step by step, until the height suffices: --fit from 1 to 0.
  function fitText(body) {
    const pictures = [...body.querySelectorAll(FIGURE)];
    const parts = [...body.querySelectorAll(".formula, .table, .code, .points")].map((node) => ({ node, fit: 20 }));
    const set = ({ node, fit }) => node.style.setProperty("--fit", fit / 20);
    parts.forEach(set);
    for (const part of parts) {
      while (part.fit > 0 && wide(part.node)) {
        part.fit--;
        set(part);
      }
    }
    // Points leave a figure above them the height that it can use.
    const low = ({ clientWidth, clientHeight, naturalWidth, naturalHeight }) =>
      clientWidth / clientHeight > (1.01 * naturalWidth) / naturalHeight;
    const points = parts.find(({ node }) => node.matches(".under > .points"));
    while (points?.fit > 0 && pictures.some(low)) {
      points.fit--;
      set(points);
    }
    const shown = body.querySelector(".shown:has(> .formula)");
    const formulas = [...(shown?.children ?? [])];
    const out = () => {
      const room = shown?.getBoundingClientRect();
      const boxes = formulas.map((node) => node.getBoundingClientRect());
      return boxes.some(({ top, bottom }) => top < room.top - 1 || bottom > room.bottom + 1);
    };
    const boxed = parts.filter(({ node }) => node.matches(".table, .code"));
    const high = () => over(body) || out() || boxed.some(({ node }) => over(node));
    while (parts.some(({ fit }) => fit > 0) && high()) {
      for (const part of parts) {
        part.fit = Math.max(0, part.fit - 1);
        set(part);
      }
    }
  }

  const bodies = [...document.querySelectorAll(".body")];
  const fit = () => bodies.forEach(fitText);
  let unprinted = null; // how the deck looked before it was printed

  // An explorer fills its slide; on one page with the others it is as high as it needs.
  function arrange() {
    deck.classList.toggle("page", telephone.matches && unprinted === null);
    for (const stage of document.querySelectorAll(".stage")) stage.toggleAttribute("data-fill", !onPage());
  }
  // What is laid out anew is measured: that must not find it drawn smaller. This listener comes before all others, and
  // an observer made now is called after all others, but before anything is drawn.
  addEventListener("resize", () => {
    arrange();
    if (!inOverview()) return;
    deck.classList.remove("overview");
    const last = new ResizeObserver(() => {
      last.disconnect();
      deck.classList.toggle("overview", !onPage());
    });
    last.observe(deck);
  });

  // A printed page is 1280 pixels wide, whatever the window; explorers lay themselves out anew where that resizes.
  const paper = Object.assign(document.createElement("style"), { textContent: ":root { font-size: 16px; }" });
  addEventListener("beforeprint", () => {
    unprinted ??= deck.className;
    deck.classList.remove("overview", "dark");
    lens.close();
    document.head.append(paper);
    dispatchEvent(new Event("resize"));
  });
  addEventListener("afterprint", () => {
    deck.className = unprinted ?? deck.className;
    unprinted = null;
    paper.remove();
    dispatchEvent(new Event("resize"));
  });

  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const alive = (place) =>
    new Promise((done) => {
      const seen = () => {
        if (place.querySelector(":scope > img")) return;
        still.disconnect();
        done();
      };
      const still = new MutationObserver(seen);
      still.observe(place, { childList: true });
      seen();
    });

  arrange();
  const opened = addressed() ?? 0;
  go(opened);
  fit();
  addEventListener("resize", fit);
  const pictures = [...document.querySelectorAll(FIGURE)].map((picture) => picture.decode());
  Promise.all([document.fonts.ready, ...[...document.querySelectorAll("[data-widget-model]")].map(alive)])
    .then(frame)
    .then(frame)
    .then(() => {
      fit();
      return Promise.all(pictures);
    })
    .then(() => {
      if (onPage() && opened > 0) go(opened); // what stands above has got its height only now
      document.documentElement.dataset.ready = "true";
    });
}
