/** The page's address, which names a view and what it shows. */

/** Return the view that the address names, and what it says of it. */
export function read() {
  const [view, shown] = location.hash.slice(1).split("?");
  return {view, shown: new URLSearchParams(shown ?? "")};
}

/**
 * Let the address name what its view shows now, so that it can be bookmarked; the browser's history gets no entry.
 * @param {string} view
 * @param {Record<string, string>} shown
 */
export function bookmark(view, shown) {
  if (read().view === view) history.replaceState(null, "", addressOf(view, shown));
}

/**
 * Return the address of a view, from the # on.
 * @param {string} view
 * @param {Record<string, string>} shown
 */
export function addressOf(view, shown) {
  const fields = Object.entries(shown).map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%2F", "/")}`);
  return `#${view}?${fields.join("&")}`;
}
