// Shows a film that plays by itself. It is started here and not by the attribute `autoplay`: a busy Chromium forgets that.

export default function ({ parentElement, data }) {
  const film = parentElement.querySelector("video");
  film.setAttribute("aria-label", data.label);
  film.classList.toggle("inverted", data.invert);
  if (film.src === data.source) return;
  film.src = data.source;
  film.muted = true; // or the browser refuses to play by itself
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) {
    film.play().catch(() => {}); // a browser that plays nothing by itself shows its own button
  }
}
