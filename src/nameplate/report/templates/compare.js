// Without this script the page shows every picture; with it, they can be narrowed by kind, by model and by name.
(() => {
  const gallery = document.getElementById("gallery");
  const filter = document.getElementById("gallery-filter");
  const model = document.getElementById("by-model");
  const name = document.getElementById("by-name");
  const status = document.getElementById("gallery-status");
  const cards = [...gallery.querySelectorAll("[data-kind]")];
  const kindOf = (card, wanted) => {
    if (!model.value || wanted === "mixed") return card.dataset.kind;
    const before = card.dataset.right[0] === "1", after = card.dataset.right[Number(model.value)] === "1";
    return before ? (after ? "right_both" : "regressed") : (after ? "fixed" : "still_wrong");
  };
  const narrow = () => {
    const kind = filter.querySelector("[name=kind]:checked").value;
    const wanted = name.value.trim().toLowerCase();
    let shown = 0;
    for (const card of cards) {
      card.hidden = (kind !== "all" && kindOf(card, kind) !== kind) || !card.dataset.name.toLowerCase().includes(wanted);
      shown += card.hidden ? 0 : 1;
    }
    status.textContent = `Showing ${shown} of ${cards.length} images.`;
  };
  filter.hidden = false;
  filter.addEventListener("input", narrow);
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details.print:not([open])")];
    for (const details of opened) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
  });
})();
