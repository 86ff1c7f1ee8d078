"use strict";
// Elements, numbers and times. Whatever comes from the server becomes text, never markup.
// The state of the server as of the last event; every part of the page draws from it.
let overview = null;

const $ = id => document.getElementById(id);
const make = (tag, kind, ...content) => {
  const node = document.createElement(tag);
  if (kind) node.className = kind;
  node.append(...content);
  return node;
};
// A screen reader announces what changes, so only what is new is set.
const setText = (node, text) => {
  if (node.textContent !== text) node.textContent = text;
};
// Shows exactly these children, and leaves the focus where it is.
const setChildren = (parent, children) => {
  const isSame = children.length === parent.children.length && children.every((child, at) => child === parent.children[at]);
  if (isSame) return;
  const focused = document.activeElement;
  parent.replaceChildren(...children);
  if (parent.contains(focused)) focused.focus({ preventScroll: true });
};

// Rows have roles of their own: a style that turns them into blocks would take those of a table.
const cell = (kind, ...content) => {
  const node = make("td", kind, ...content);
  node.setAttribute("role", "cell");
  return node;
};
const labelled = (label, node) => {
  node.dataset.label = label;
  return node;
};
const row = (...cells) => {
  const node = make("tr", undefined, ...cells);
  node.setAttribute("role", "row");
  return node;
};
// Fills a table, or shows the text for an empty one instead.
const setRows = (id, rows) => {
  setChildren($(id), rows);
  $(id).parentNode.hidden = !rows.length;
  $(`${id}-none`).hidden = rows.length > 0;
};

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const number = count => count < 1e6 ? count.toLocaleString("en") : compact.format(count);
const rate = count => {
  if (count === 0) return "0";
  if (count < .095) return "<0.1";
  return count >= 100 ? number(Math.round(count)) : count.toFixed(1);
};
const bytes = count => {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (count >= 1000 && at < 4) { count /= 1000; at += 1; }
  return (at && count < 100 ? count.toFixed(1) : Math.round(count)) + " " + units[at];
};
const percent = share => share > 0 && share < .01 ? "<1 %" : `${Math.round(100 * share)} %`;
const plural = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
const time = micros => new Date(micros / 1000).toLocaleTimeString("en-GB");
const countCell = (label, count, kind) => {
  const node = labelled(label, cell(count ? `n ${kind || ""}` : "n dim", number(count)));
  if (count >= 1e6) node.title = count.toLocaleString("en");
  return node;
};
const setCount = (node, count, kind = "", column = "") => {
  setText(node, number(count));
  node.className = `n ${count ? kind : "dim"} ${column}`;
  node.title = count >= 1e6 ? count.toLocaleString("en") : "";
};
