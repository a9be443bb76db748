// Small helpers: elements from text only, never from markup, so that no name of the cluster can become code.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") node.addEventListener("click", value);
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function badge(fine, text) {
  return h("span", { class: `badge ${fine === null ? "unknown" : fine ? "good" : "bad"}` }, `${fine ? "✓" : fine === null ? "?" : "✗"} ${text}`);
}

// Brings the children of `parent` to `items`, by id. A child is drawn again only where its item is another object, or,
// of an item with `parts`, where one of these is.
export function sync(parent, items, make) {
  const before = parent.children_ ?? new Map();
  const after = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    const old = before.get(item.id);
    let node = old?.node;
    if (!same(old?.item, item)) {
      node = make(item, old?.node);
      if (old && old.node !== node) {
        if (place === old.node) place = place.nextSibling;
        old.node.replaceWith(node);
      }
    }
    before.delete(item.id);
    after.set(item.id, { item, node });
    if (place === node) place = node.nextSibling;
    else parent.insertBefore(node, place);
  }
  for (const { node } of before.values()) node.remove();
  parent.children_ = after;
}

function same(old, item) {
  if (old === item) return true;
  const [one, other] = [old?.parts, item.parts];
  return Boolean(one && other) && one.length === other.length && one.every((part, index) => part === other[index]);
}
