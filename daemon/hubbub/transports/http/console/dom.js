/** Elements. Text from the hub is always set as text, never as markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Return the element with an id.
 * @param {string} id
 * @returns {any}
 */
export function at(id) {
  return document.getElementById(id);
}

/**
 * Make an element.
 * @param {string} name
 * @param {Record<string, any>} [attributes] a function is a listener of that event; null and false are left out
 * @param {...(Node | string | number | null)} children
 * @returns {any}
 */
export function make(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/**
 * Make an element of SVG, as `make` does.
 * @param {string} name
 * @param {Record<string, any>} [attributes]
 * @param {...Node} children
 * @returns {any}
 */
export function draw(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter(child => child !== null).map(child => (child instanceof Node ? child : String(child))));
  return element;
}

/**
 * Set the text of an element, unless it is that already.
 * @param {Node} element
 * @param {string} text
 */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Let the children of `parent` be those of `rows`: each is made once for its key, and updated from then on.
 * @template Row
 * @param {Element} parent
 * @param {Row[]} rows
 * @param {(row: Row) => string} keyOf
 * @param {(row: Row) => HTMLElement} create
 * @param {(element: any, row: Row) => void} update
 */
export function reconcile(parent, rows, keyOf, create, update) {
  const known = new Map(Array.from(parent.children, child => [child.dataset?.key ?? child.getAttribute("data-key"), child]));
  let next = parent.firstElementChild;
  for (const row of rows) {
    const key = keyOf(row);
    let element = known.get(key);
    if (element === undefined) {
      element = create(row);
      element.setAttribute("data-key", key);
    }
    known.delete(key);
    update(element, row);
    if (element === next) next = next.nextElementSibling;
    else parent.insertBefore(element, next);
  }
  for (const gone of known.values()) gone.remove();
}
