// What the server has sent: rows by id, and which of them a filter lets through.

export class Model {
  rows = new Map();

  take(news) {
    if (news.all) this.rows.clear();
    for (const id of news.gone) this.rows.delete(id);
    for (const row of news.put) this.rows.set(row.id, row);
  }

  get(id) {
    return this.rows.get(id);
  }

  of(kind) {
    return [...this.rows.values()].filter((row) => row.kind === kind).sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  namespaces() {
    const found = new Set();
    for (const row of this.rows.values()) if (row.namespace) found.add(row.namespace);
    return [...found].sort();
  }
}

export class Filter {
  constructor({ search = "", namespace = "", labels = "", troubled = false } = {}) {
    this.words = search.toLowerCase().split(/\s+/).filter(Boolean);
    this.namespace = namespace;
    this.labels = labels.split(",").map((part) => part.trim()).filter(Boolean).map((part) => part.split("="));
    this.troubled = troubled;
  }

  get empty() {
    return !this.words.length && !this.namespace && !this.labels.length && !this.troubled;
  }

  lets(row) {
    if (this.namespace && row.namespace !== this.namespace) return false;
    if (this.troubled && row.fine) return false;
    for (const [key, value] of this.labels) {
      const held = row.labels?.[key];
      if (held === undefined || (value !== undefined && String(held) !== value)) return false;
    }
    if (!this.words.length) return true;
    const text = words(row);
    return this.words.every((word) => text.includes(word));
  }
}

const texts = new WeakMap();

function words(row) {
  let text = texts.get(row);
  if (text === undefined) {
    text = JSON.stringify(row).toLowerCase();
    texts.set(row, text);
  }
  return text;
}
