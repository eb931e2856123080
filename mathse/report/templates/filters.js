// Filters the gallery. Their state stands in the address: #gallery&stage=Round+1&q=area
(() => {
  const form = document.getElementById("filters");
  if (!form) return;
  const cards = [...document.querySelectorAll(".card")].map((card) => ({ card, text: card.textContent.toLowerCase() }));
  const groups = [...document.querySelectorAll(".group")];
  const output = form.querySelector("output");
  const none = document.querySelector(".none");

  const wanted = () => [...new FormData(form)].filter(([, value]) => value);

  function apply() {
    const chosen = wanted();
    let count = 0;
    for (const { card, text } of cards) {
      const fits = chosen.every(([name, value]) =>
        name === "q" ? value.toLowerCase().split(/\s+/).every((word) => text.includes(word)) : card.dataset[name] === value);
      card.hidden = !fits;
      count += fits;
    }
    for (const group of groups) group.hidden = !group.querySelector(".card:not([hidden])");
    none.hidden = count > 0;
    output.textContent = `${count} of ${cards.length} shown`;
    return chosen;
  }

  function remember() {
    const chosen = new URLSearchParams(apply());
    const hash = chosen.toString() ? `#gallery&${chosen}` : location.hash.startsWith("#gallery&") ? "#gallery" : location.hash;
    if (hash !== location.hash) history.replaceState(null, "", hash);
  }

  function recall() {
    if (!location.hash.startsWith("#gallery&")) return;
    const given = new URLSearchParams(location.hash.slice(9));
    for (const field of form.elements) if (field.name) field.value = given.get(field.name) ?? "";
    document.getElementById("gallery").scrollIntoView();
  }

  form.hidden = false;
  form.addEventListener("input", remember);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(remember));
  addEventListener("hashchange", () => { recall(); apply(); });
  recall();
  apply();
})();
