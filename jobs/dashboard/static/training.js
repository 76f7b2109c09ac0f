// Keeps losses and samples live: reads the same page again and takes over what has changed. The
// server escapes everything in its templates, and the page's policy runs no inline script.
const LIVE_POLL_MS = 5000;
const IDLE_POLL_MS = 30000;
const news = document.getElementById("news");

const names = (root) => [...root.querySelectorAll("[data-plot]")].map((each) => each.dataset.plot);
const json = (root, name) => root.getElementById(name).textContent;

function drawn(place, text) {
  const figure = JSON.parse(text);
  const settings = { responsive: true, displayModeBar: false };
  return Plotly.react(place, figure.data, figure.layout, settings);
}

function takeLosses(fresh) {
  if (names(document).join() !== names(fresh).join()) {
    document.getElementById("loss").replaceWith(fresh.getElementById("loss"));
    for (const place of document.querySelectorAll("[data-plot]")) {
      place.textContent = "";
      drawn(place, json(document, place.dataset.plot));
    }
    return;
  }
  for (const place of document.querySelectorAll("[data-plot]")) {
    const name = place.dataset.plot;
    const text = json(fresh, name);
    if (text === json(document, name)) continue;
    document.getElementById(name).textContent = text;
    const other = fresh.querySelector(`[data-plot="${CSS.escape(name)}"]`);
    place.setAttribute("aria-label", other.getAttribute("aria-label"));
    const caption = place.closest("figure").querySelector("figcaption");
    caption.replaceChildren(...other.closest("figure").querySelector("figcaption").childNodes);
    drawn(place, text);
  }
}

function takeSamples(fresh) {
  const known = document.getElementById("samples");
  const found = fresh.getElementById("samples");
  if (known.innerHTML !== found.innerHTML) known.replaceWith(found);
}

async function read() {
  const answer = await fetch("/training", { cache: "no-store" });
  if (!answer.ok) throw new Error(await answer.text());
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  takeLosses(fresh);
  takeSamples(fresh);
}

async function isLive() {
  const answer = await fetch("/api/run", { cache: "no-cache" });
  return (await answer.json()).is_live ?? false;
}

async function poll() {
  let pause = IDLE_POLL_MS;
  try {
    const live = await isLive();
    await read();
    const words = live ? "Running; this view follows." : "The training so far; nothing runs now.";
    if (news.textContent !== words) news.textContent = words;
    pause = live ? LIVE_POLL_MS : IDLE_POLL_MS;
  } catch (error) {
    news.textContent = `The page's server does not answer (${error.message}); it may have stopped.`;
  }
  setTimeout(poll, document.hidden ? IDLE_POLL_MS : pause);
}
poll();
