// Without this script the page shows every picture; with it, the gallery can be narrowed and prints unfolded.
(() => {
  const gallery = document.getElementById("gallery");
  const filter = document.getElementById("gallery-filter");
  if (gallery && filter) {
    const cards = [...gallery.querySelectorAll("[data-kind]")];
    const status = document.getElementById("gallery-status");
    filter.hidden = false;
    filter.addEventListener("change", (event) => {
      const kind = event.target.value;
      let shown = 0;
      for (const card of cards) {
        card.hidden = kind !== "all" && card.dataset.kind !== kind;
        shown += card.hidden ? 0 : 1;
      }
      status.textContent = `Showing ${shown} of ${cards.length} images.`;
    });
  }
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details.print:not([open])")];
    for (const details of opened) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
  });
})();
