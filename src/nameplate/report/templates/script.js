// Without this script the page shows everything but the answers of models in between; with it, a gallery can be
// narrowed, walked through by keys and saved as a table, and all of the page prints. Texts of strangers only ever
// become text nodes, and cells that are no formulas.
(() => {
  "use strict";
  const gallery = document.getElementById("gallery");
  // Only where there are images.
  const filter = document.getElementById("gallery-filter");
  const cards = gallery ? [...gallery.querySelectorAll("[data-kind]")] : [];

  // The answers of models in between ------------------------------------------------------------------------------

  let rest = null;
  const unpack = async () => {
    const packed = document.getElementById("gallery-rest");
    if (!packed || !("DecompressionStream" in window)) return;
    const bytes = Uint8Array.from(atob(packed.textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    rest = JSON.parse(await new Response(stream).text());
  };
  const make = (tag, kind, text) => {
    const node = document.createElement(tag);
    if (kind) node.className = kind;
    if (text) node.textContent = text;
    return node;
  };
  const rowOf = (card) => card.id.slice("row=".length);
  const columnsOf = (card) => (rest && Object.hasOwn(rest.rows, rowOf(card)) ? rest.rows[rowOf(card)] : []);
  const drawSaid = (column, [question, outcome, rule, note, ...pieces], isFirst) => {
    const line = make("p", "ruling");
    if (!isFirst) line.append(make("span", "quiet", `${question}:`), " ");
    const [tone, sign, word] = [["none", "", rule], ["bad", "✗ ", "wrong"], ["good", "✓ ", "right"]][outcome + 1];
    const mark = make("span", `mark ${tone}`, word);
    if (sign) {
      const drawn = make("span", "", sign);
      drawn.setAttribute("aria-hidden", "true");
      mark.prepend(drawn);
    }
    const reasons = [outcome < 0 ? "" : rule, note].filter(Boolean).join("; ");
    line.append(mark, " ", make("span", "quiet", reasons));
    const words = make("p", isFirst ? "words first" : "words");
    for (let at = 0; at < pieces.length; at += 2) {
      const tones = [null, "", "other"];
      words.append(pieces[at] ? make("mark", tones[pieces[at]], pieces[at + 1]) : pieces[at + 1]);
    }
    if (!pieces.length) words.append(make("em", "quiet", "nothing"));
    column.append(line, words);
  };
  const drawRest = (card) => {
    const given = columnsOf(card);
    if (!given.length || card.dataset.drawn) return;
    card.dataset.drawn = "yes";
    const columns = card.querySelector(".columns");
    for (const [model, ...said] of given) {
      const [place, name] = rest.models[model];
      const column = make("div", "column");
      column.dataset.place = place;
      column.append(make("p", "who", name));
      said.forEach((each, index) => drawSaid(column, rest.said[each], index === 0));
      const after = [...columns.children].find((other) => !(Number(other.dataset.place) < place));
      columns.insertBefore(column, after ?? null);
    }
    columns.classList.add("many");
    if (columns.scrollWidth > columns.clientWidth) columns.classList.add("scroll");
    columns.tabIndex = 0;
    columns.setAttribute("role", "region");
    columns.setAttribute("aria-label", `All answers about image ${rowOf(card)}`);
  };
  const nearby = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) if (entry.isIntersecting) drawRest(entry.target);
    },
    { rootMargin: "800px" },
  );

  // Filters -------------------------------------------------------------------------------------------------------

  const controls = filter ? [...filter.querySelectorAll("input, select")] : [];
  const facets = [...new Set(controls.map((control) => control.name))].filter((name) => name && name !== "text");
  const search = controls.find((control) => control.name === "text");
  const save = document.getElementById("gallery-csv");
  const valueOf = (facet) => {
    const of = controls.filter((control) => control.name === facet);
    return of.find((control) => control.type !== "radio" || control.checked).value;
  };
  const valuesOf = (card, facet) => (facet === "kind" ? card.dataset.kind.split(" ") : [card.dataset[facet]]);
  const setValue = (facet, value) => {
    for (const control of controls.filter((each) => each.name === facet)) {
      if (control.type === "radio") control.checked = control.value === value;
      else control.value = value;
    }
  };
  // What each image can be chosen by: lists, for it may be of several kinds.
  const facts = new Map(
    cards.map((card) => [card, Object.fromEntries(facets.map((facet) => [facet, valuesOf(card, facet)]))]),
  );
  const has = (card, facet, value) => !value || facts.get(card)[facet].includes(value);

  const texts = new Map();
  const textOf = (card) => {
    if (!texts.has(card)) {
      const others = columnsOf(card).flatMap(([, ...said]) => said.map((each) => rest.said[each].slice(4).join("")));
      texts.set(card, [card.textContent, ...others].join("\n").toLowerCase());
    }
    return texts.get(card);
  };
  const found = (card, words) => words.every((word) => textOf(card).includes(word));

  const fillChoices = () => {
    for (const select of filter.querySelectorAll("select")) {
      const values = [...new Set(cards.map((card) => card.dataset[select.name]).filter(Boolean))];
      for (const value of values.sort((a, b) => a.localeCompare(b))) select.append(new Option(value, value));
      select.closest("label").hidden = values.length < 2;
    }
  };
  // Beside each choice: how many images there are if only this one is changed.
  const count = (facet, pool) => {
    const counts = new Map([["", pool.length]]);
    for (const card of pool) {
      for (const value of facts.get(card)[facet]) if (value) counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    const num = (value) => counts.get(value) ?? 0;
    for (const control of controls.filter((each) => each.name === facet)) {
      if (control.type === "radio") {
        const counter = control.closest("label").querySelector("[data-count]");
        counter.textContent = num(control.value);
        control.disabled = !control.checked && counter.textContent === "0";
      } else {
        for (const option of control.options) option.text = `${option.value || "any"} (${num(option.value)})`;
      }
    }
  };
  const apply = () => {
    const wanted = facets.map((facet) => [facet, valueOf(facet)]);
    const words = search ? search.value.toLowerCase().split(/\s+/).filter(Boolean) : [];
    const matching = words.length ? cards.filter((card) => found(card, words)) : cards;
    const passes = (card, but) => wanted.every(([facet, value]) => facet === but || has(card, facet, value));
    const shown = new Set(matching.filter((card) => passes(card)));
    for (const card of cards) if (card.hidden === shown.has(card)) card.hidden = !card.hidden;
    for (const facet of facets) count(facet, matching.filter((card) => passes(card, facet)));
    document.getElementById("gallery-status").textContent = `Showing ${shown.size} of ${cards.length} images.`;
    save.disabled = !shown.size;
  };
  const widen = (card) => {
    if (!card.hidden) return;
    for (const facet of facets) setValue(facet, facet === "split" ? card.dataset.split : "");
    if (search) search.value = "";
    apply();
  };

  // A table of the answers that are shown ---------------------------------------------------------------------------

  const FIELDS = "row_id split name title category kind checkpoint prompt right verdict answer".split(" ");
  const joined = (...words) => words.filter(Boolean).join("; ");
  const writtenSaid = (ruling) => {
    const [reasons, mark, asked] = [...ruling.children].reverse();
    const words = ruling.nextElementSibling;
    const prompt = asked ? asked.textContent.slice(0, -":".length) : gallery.dataset.headline;
    const right = mark.matches(".none") ? "" : String(mark.matches(".good"));
    const text = words.querySelector("em") ? "" : words.textContent;
    return [prompt, right, joined(right ? "" : mark.textContent, reasons.textContent), text];
  };
  const packedSaid = (said) => {
    const [question, outcome, rule, note, ...pieces] = rest.said[said];
    const text = pieces.filter((_, at) => at % 2).join("");
    return [question, ["", "false", "true"][outcome + 1], joined(rule, note), text];
  };
  const linesOf = (card) => {
    const packed = columnsOf(card).map(([model, ...said]) => [...rest.models[model].slice(0, 2), said.map(packedSaid)]);
    const places = new Set(packed.map(([place]) => place));
    // Not those that were drawn from the packed ones.
    const written = [...card.querySelectorAll("[data-place]")]
      .filter((column) => !places.has(Number(column.dataset.place)))
      .map((column) => {
        const model = column.querySelector(".who").firstChild.textContent.trim();
        return [Number(column.dataset.place), model, [...column.querySelectorAll(".ruling")].map(writtenSaid)];
      });
    const { split, name, category, kind } = card.dataset;
    const title = card.querySelector(".title").firstChild.textContent.trim();
    const image = [rowOf(card), split, name, title, category, kind];
    const models = [...written, ...packed].sort(([one], [other]) => one - other);
    return models.flatMap(([, model, answers]) => answers.map((answer) => [...image, model, ...answer]));
  };
  // RFC 4180; and what a spreadsheet might take for a formula gets an apostrophe before it, which makes it a text.
  const cell = (text) => {
    const safe = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const download = () => {
    const lines = [FIELDS, ...cards.filter((card) => !card.hidden).flatMap(linesOf)];
    // Without the mark before it, Excel takes UTF-8 for something else.
    const parts = ["\ufeff", ...lines.map((line) => `${line.map(cell).join(",")}\r\n`)];
    const link = make("a");
    link.download = "predictions.csv";
    link.href = URL.createObjectURL(new Blob(parts, { type: "text/csv;charset=utf-8" }));
    link.click();
    // Later: it is read after the click.
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  };

  // Keys and links ------------------------------------------------------------------------------------------------

  let current = null;
  const goTo = (card) => {
    current = card;
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "start" });
    const link = card.querySelector("a[href^='#row=']");
    if (link) history.replaceState(null, "", link.getAttribute("href"));
  };
  const step = (by) => {
    const shown = cards.filter((card) => !card.hidden);
    const at = shown.indexOf(document.activeElement?.closest?.("[data-kind]") ?? current);
    const ahead = shown.findIndex((card) => card.getBoundingClientRect().bottom > 0);
    const next = at >= 0 ? at + by : Math.max(ahead, 0);
    if (shown[next]) goTo(shown[next]);
  };
  const decoded = (text) => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  };
  const follow = () => {
    const id = decoded(location.hash.slice(1));
    const card = id.startsWith("row=") ? document.getElementById(id) : null;
    if (!card || !cards.includes(card)) return;
    widen(card);
    goTo(card);
  };
  const help = document.getElementById("keys");
  const keys = {
    j: () => step(1),
    ArrowRight: () => step(1),
    k: () => step(-1),
    ArrowLeft: () => step(-1),
    f: () => search?.focus(),
    "?": () => help?.showModal(),
  };
  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help?.open) return;
    if (event.target === search && event.key === "Escape") {
      search.value = "";
      apply();
      (current ?? gallery.querySelector("[data-kind]:not([hidden])"))?.focus();
      return;
    }
    const on = document.getElementById("keys-on");
    const act = Object.hasOwn(keys, event.key) ? keys[event.key] : null;
    if (!act || !on?.checked || event.target.matches("select, [type=search]")) return;
    // Arrows choose among radio buttons, and scroll what they are used on where it can be scrolled.
    const isBusy = event.target.type === "radio" || event.target.scrollWidth > event.target.clientWidth;
    if (event.key.startsWith("Arrow") && isBusy) return;
    event.preventDefault();
    act();
  };

  if (gallery && filter) {
    fillChoices();
    apply();
    filter.hidden = false;
    filter.addEventListener("input", apply);
    document.getElementById("keys-button")?.addEventListener("click", () => help.showModal());
    save.addEventListener("click", download);
    addEventListener("keydown", onKey);
    addEventListener("hashchange", follow);
    follow();
    unpack().then(() => {
      texts.clear();
      // A table without some of the answers would look whole.
      save.hidden = !rest && document.getElementById("gallery-rest") !== null;
      for (const card of cards) nearby.observe(card);
      document.documentElement.dataset.ready = "yes";
    });
  }

  // Printing ------------------------------------------------------------------------------------------------------

  let opened = [];
  addEventListener("beforeprint", () => {
    for (const card of cards) if (!card.hidden) drawRest(card);
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const details of opened) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
  });
})();
