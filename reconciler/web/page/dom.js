// Elements from data: everything that comes from a daemon becomes an attribute's value or a text node, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. Attributes that are null, undefined or false are left out; `data` is a map of data attributes. */
export const h = (tag, attributes, ...children) => built(document.createElement(tag), attributes, children);

/** An SVG element, likewise. */
export const s = (tag, attributes, ...children) => built(document.createElementNS(SVG, tag), attributes, children);

function built(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name === "data") Object.assign(element.dataset, Object.fromEntries(Object.entries(value).filter(([, v]) => v != null)));
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(element, child);
    else if (child instanceof Node) element.append(child);
    else if (child !== null && child !== undefined && child !== false) element.append(document.createTextNode(String(child)));
  }
}

/** A name from YAML or a commit: its direction ends with it. */
export const name = (text, attributes) => h("bdi", attributes, text);

/** A table whose roles stay when a narrow screen shows its rows as cards. `rows` are arrays of cells; the first cell heads its row. */
export function table({ caption, columns, rows, id, hidden }) {
  const head = h("tr", { role: "row" }, columns.map((column) => h("th", { role: "columnheader", scope: "col", class: column.class }, column.title)));
  const body = rows.map(({ key, cells, attributes }) =>
    h("tr", { role: "row", data: { key }, ...attributes }, cells.map((cell, index) =>
      h(index === 0 ? "th" : "td", {
        role: index === 0 ? "rowheader" : "cell", scope: index === 0 ? "row" : null, class: columns[index].class, data: { label: columns[index].title },
      }, h("span", { class: "cell" }, cell)))));
  return h("table", { role: "table", id, class: "table" },
    h("caption", { class: hidden ? "unseen" : null }, caption),
    h("thead", { role: "rowgroup" }, head), h("tbody", { role: "rowgroup" }, body));
}

/** Make `parent` have these children with as little change as can be: what has focus, is open or is being written stays. */
export function morph(parent, children) {
  const wanted = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
  const keyed = new Map([...parent.children].filter((child) => child.dataset?.key).map((child) => [child.dataset.key, child]));
  let next = parent.firstChild;
  for (const fresh of wanted) {
    const key = fresh.dataset?.key;
    const old = key ? keyed.get(key) : next?.dataset?.key ? null : next;
    if (old && same(old, fresh)) {
      if (old === next) next = next.nextSibling;
      else parent.insertBefore(old, next);
      update(old, fresh);
    } else {
      parent.insertBefore(fresh, next);
    }
    keyed.delete(key);
  }
  while (next) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
}

function same(old, fresh) {
  return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && (old.dataset?.key ?? "") === (fresh.dataset?.key ?? "");
}

function update(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name: attribute } of [...old.attributes]) {
    if (!fresh.hasAttribute(attribute) && !(attribute === "open" && old.nodeName === "DETAILS")) old.removeAttribute(attribute);
  }
  for (const { name: attribute, value } of [...fresh.attributes]) {
    if (old.getAttribute(attribute) !== value) old.setAttribute(attribute, value);
  }
  if (old.nodeName !== "INPUT" && old.nodeName !== "TEXTAREA") morph(old, [...fresh.childNodes]);
}
