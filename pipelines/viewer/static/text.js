"use strict";
// Sets formulas and code inside elements of class "math". The page holds escaped text only; what is made here is made
// node by node, so text never becomes markup.

const FORMULA = /\$\$([\s\S]+?)\$\$|\\\[([\s\S]+?)\\\]|\\\(([\s\S]+?)\\\)|\$(?!\s)((?:\\.|[^$\\\n])+?)(?<!\s)\$(?!\d)/g;
const CODE = /```[ \t]*\w*\n([\s\S]*?)```/g;
const TOKEN = /(#[^\n]*|\/\/[^\n]*)|("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|\b(def|return|if|elif|else|for|while|in|import|from|class|not|and|or|True|False|None|let|const|function|int|float|print|range|break|continue|with|as|lambda|try|except)\b|\b(\d+(?:\.\d+)?)\b/g;
const MOST = 20000; // characters of one text that are looked at

function pieces(text, pattern, make, rest) {
  const found = document.createDocumentFragment();
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > at) found.append(rest(text.slice(at, match.index)));
    found.append(make(match));
    at = match.index + match[0].length;
  }
  if (at < text.length) found.append(rest(text.slice(at)));
  return found;
}

function span(kind, text) {
  const element = document.createElement("span");
  element.className = kind;
  element.textContent = text;
  return element;
}

function formula(match) {
  const display = match[1] !== undefined || match[2] !== undefined;
  const element = document.createElement("span");
  try {
    katex.render(match[1] ?? match[2] ?? match[3] ?? match[4], element, {
      displayMode: display, throwOnError: true, trust: false, strict: "ignore", maxSize: 20, maxExpand: 300,
    });
  } catch {
    element.textContent = match[0]; // not a formula: as it was written
  }
  return element;
}

function code(match) {
  const element = span("code", "");
  const kinds = ["c", "s", "k", "d"];
  element.append(pieces(match[1], TOKEN, (m) => span(kinds[[1, 2, 3, 4].findIndex((i) => m[i] !== undefined)], m[0]),
    (text) => document.createTextNode(text)));
  return element;
}

function typeset(element) {
  const text = element.textContent;
  if (text.length > MOST || element.children.length || !/[$`]|\\[[(]/.test(text)) return;
  element.replaceChildren(pieces(text, CODE, code, (rest) => pieces(rest, FORMULA, formula, (t) => document.createTextNode(t))));
  if (element.scrollWidth > element.clientWidth) element.tabIndex = 0; // a wide formula is scrolled by keyboard too
}

// Only what comes into view is set: a page may hold thousands of steps.
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) { seen.unobserve(entry.target); typeset(entry.target); }
}, { rootMargin: "400px" });
document.querySelectorAll(".math").forEach((element) => seen.observe(element));
