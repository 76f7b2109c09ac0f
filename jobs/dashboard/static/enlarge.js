// Enlarges a thumbnail in a dialog: by click or Enter, then arrow keys, Escape. Without this script
// a thumbnail is a link to the large picture.
const dialog = document.getElementById("large");
const image = document.getElementById("large-image");
const words = document.getElementById("large-words");
let links = [];
let at = 0;

function show(number) {
  at = (number + links.length) % links.length;
  const link = links[at];
  image.src = link.href;
  image.alt = link.dataset.words;
  words.textContent = link.dataset.words;
  dialog.dataset.image = link.dataset.image;
  dialog.dispatchEvent(new Event("shown"));
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a.enlarge");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  // Thumbnails in closed details are not there for the arrow keys.
  links = [...document.querySelectorAll("a.enlarge")].filter((each) => each.offsetParent);
  show(links.indexOf(link));
  dialog.showModal();
});
dialog.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) show(at + step);
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
dialog.addEventListener("close", () => links[at]?.focus());
document.getElementById("before").addEventListener("click", () => show(at - 1));
document.getElementById("after").addEventListener("click", () => show(at + 1));
