// Shows HTML that Python made and tells Python what the person does. The state of the widget is that HTML and nothing else:
// what is typed travels in messages, and a field for a secret is emptied as its content is sent.

const SECRET = "input[type=password], textarea[data-secret]";
const WAIT_MS = 250; // between the last key and asking Python whether the value is right

function fieldsOf(scope, withSecrets) {
  const found = {};
  for (const field of scope.querySelectorAll("input[name], select[name], textarea[name]")) {
    if (field.matches(SECRET) && !withSecrets) continue;
    if (field.type === "radio" && !field.checked) continue;
    found[field.name] = field.type === "checkbox" ? (field.checked ? "yes" : "") : field.value;
    field.told = field.value;
  }
  return found;
}

// Whether a field holds what Python has yet to hear of: an answer to what was typed before must not undo it.
const hasUntold = (field) => field.value !== (field.told ?? field.defaultValue);

let inFlight = 0; // messages that Python has yet to answer

// Shows what Python makes of what was typed, such as an address without what pasting put around it, once the person is elsewhere.
function follow(field, value) {
  if (field === document.activeElement || field.matches(`${SECRET}, [type=radio], [type=checkbox]`) || hasUntold(field)) return;
  if (field.value !== value) field.value = field.told = value;
}

// Unfolds the step a person goes on with and folds it when they leave; nothing folds while it holds the focus.
function unfold(fold, isOpen) {
  if (isOpen || !fold.contains(document.activeElement)) return void (fold.open = isOpen);
  const left = ({ relatedTarget }) => {
    if (fold.contains(relatedTarget)) return;
    fold.removeEventListener("focusout", left);
    if (fold.dataset.open === "no") fold.open = false;
  };
  fold.addEventListener("focusout", left);
}

// The words about a step stand in the cell before its card. A folded line says number and title itself.
function withWords(root) {
  const words = root.closest(".jp-Cell")?.previousElementSibling;
  if (!words?.matches(".jp-MarkdownCell")) return;
  const fold = root.querySelector(".scim-fold");
  if (fold) words.classList.toggle("scim-folded", !fold.open);
}

// Makes `old` look like `fresh` and keeps what the person is at: focus, text being typed, opened details.
function morph(old, fresh) {
  if (old.hasAttribute("data-reveal")) return; // what it shows is in no HTML that Python makes
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open" && !name.startsWith("data-mine")) {
      old.removeAttribute(name);
      if (name === "checked") old.checked = false;
    }
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) === value) {
      if (name === "value" && !inFlight) follow(old, value); // a drawing from before an answer may show what was typed before
      continue;
    }
    if (name === "data-open") unfold(old, value === "yes");
    const isTold = name === "value" && !hasUntold(old);
    old.setAttribute(name, value);
    if (isTold) follow(old, value);
    if (name === "checked") old.checked = true;
    if (name === "selected") old.selected = true;
  }
  morphChildren(old, fresh);
}

function morphChildren(old, fresh) {
  const ids = new Set([...fresh.children].map((child) => child.id).filter(Boolean));
  let next = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const named = wanted.id && [...old.children].find((child) => child.id === wanted.id);
    const usable = named || (next && next.nodeName === wanted.nodeName && !next.id && !wanted.id ? next : null);
    if (!usable) {
      old.insertBefore(wanted, next);
      continue;
    }
    if (named) {
      // What stands before it and is gone is taken away: moving an element would take the focus from it.
      while (next && next !== named && !ids.has(next.id)) next = removed(next);
    }
    if (usable !== next) old.insertBefore(usable, next);
    if (usable.nodeType === Node.TEXT_NODE) {
      if (usable.data !== wanted.data) usable.data = wanted.data;
    } else if (usable.nodeType === Node.ELEMENT_NODE) morph(usable, wanted);
    next = usable.nextSibling;
  }
  while (next) next = removed(next);
}

// Takes a node away and returns the one that stood behind it.
function removed(node) {
  const after = node.nextSibling;
  node.remove();
  return after;
}

function jump(anchor) {
  const target = document.getElementById(anchor);
  if (!target) return;
  for (let fold = target.closest("details") ?? target.querySelector(":scope > details"); fold; fold = fold.parentElement.closest("details"))
    fold.open = true;
  document.querySelectorAll(".scim-drawn").forEach((rail) => rail.classList.remove("scim-drawn"));
  document.querySelectorAll("[data-drawer]").forEach((button) => button.setAttribute("aria-expanded", "false"));
  withWords(target.closest(".scim") ?? document.body); // the words of a step that is unfolded only now are to be seen, too
  // The words about a step stand in the cell before its card.
  const about = target.closest(".jp-Cell")?.previousElementSibling;
  const isShort = about?.matches(".jp-MarkdownCell") && about.offsetHeight > 0 && about.offsetHeight < window.innerHeight / 2;
  (isShort ? about : target).scrollIntoView({ block: "start" });
  target.focus({ preventScroll: true });
}

// Whether the person has pressed or typed anything since this piece came onto the page.
const PRESSES = ["pointerdown", "keydown", "input"];
let hasActed = false;
PRESSES.forEach((name) => addEventListener(name, () => (hasActed = true), { capture: true, once: true }));

// Brings the start into view once the cells have run: JupyterLab ends at the last of them. A person who acts meanwhile is left alone.
function land(anchor) {
  if (hasActed) return;
  const acts = [...PRESSES, "wheel"];
  const waits = [0, 300, 900].map((after) => setTimeout(() => jump(anchor), after));
  const leave = () => {
    waits.forEach(clearTimeout);
    acts.forEach((name) => removeEventListener(name, leave, true));
  };
  acts.forEach((name) => addEventListener(name, leave, true));
  setTimeout(leave, 1000);
}

// How a person has arranged a long table: what is looked for, and by which column it is sorted. A new drawing keeps it.
const arranged = new WeakMap();
const order = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

function arrange(part, change = {}) {
  const wanted = { ...arranged.get(part), ...change };
  if (!Object.keys(wanted).length) return;
  arranged.set(part, wanted);
  const body = part.querySelector("tbody");
  const rows = [...body.rows];
  if (wanted.column !== undefined) {
    const text = (row) => row.cells[wanted.column]?.textContent ?? "";
    rows.sort((one, other) => (wanted.down ? -1 : 1) * order.compare(text(one), text(other)));
    body.append(...rows);
    part.querySelectorAll("th").forEach((head, column) => {
      if (column === wanted.column) head.setAttribute("aria-sort", wanted.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }
  const words = (wanted.words ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
  const shown = rows.filter((row) => !row.hidden).length;
  const count = part.querySelector("output");
  if (count) count.textContent = words.length ? `${shown} of ${rows.length} rows` : `${rows.length} rows`;
}

// The rows that are shown, as a spreadsheet reads them. A cell that a spreadsheet would take for a formula is marked as text.
function asCsv(part) {
  const cell = (found) => {
    const text = found.textContent.trim();
    return `"${(/^[=+\-@\t]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  };
  const rows = [...part.querySelectorAll("tr")].filter((row) => !row.hidden);
  return rows.map((row) => [...row.cells].map(cell).join(",")).join("\r\n");
}

function sortBy(part, column) {
  const now = arranged.get(part);
  arrange(part, { column, down: now?.column === column && !now.down });
}

// One line about what went wrong, under the button that was pressed. It stays, whatever is drawn meanwhile, until the person does
// the next thing.
function alertIn(root, words, pressed) {
  root.querySelector(".scim-alert")?.remove();
  const line = document.createElement("p");
  line.className = "scim-alert";
  line.setAttribute("role", "alert");
  line.tabIndex = -1;
  line.textContent = words;
  putBack(root, line, pressed);
  line.focus();
}

function putBack(root, line, pressed) {
  const form = pressed?.closest("form");
  if (root.contains(form)) form.after(line);
  else root.prepend(line);
}

// A secret that must be shown: it lives in this element only, until it is hidden again.
function reveal(root, { secret, seconds, label }) {
  const place = root.querySelector("[data-reveal]");
  if (!place) return;
  const box = document.createElement("div");
  box.className = "scim-secret";
  const text = document.createElement("code");
  text.textContent = secret;
  const copy = document.createElement("button");
  copy.type = "button";
  copy.textContent = "Copy";
  copy.onclick = () => copied(copy, secret);
  const hide = document.createElement("button");
  hide.type = "button";
  hide.textContent = "Hide";
  hide.onclick = () => box.remove();
  box.setAttribute("aria-label", label);
  box.setAttribute("role", "group");
  box.append(text, copy, hide);
  place.replaceChildren(box);
  copy.focus();
  setTimeout(() => box.remove(), seconds * 1000);
}

async function copied(button, text) {
  const words = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select the text and copy it by hand";
  }
  setTimeout(() => (button.textContent = words), 2000);
}

// Header and rail stand over and beside the whole notebook where there is room for it, and in their cell elsewhere.
function placeBeside(root, el) {
  const panel = el.closest(".jp-NotebookPanel");
  if (!panel || !root.querySelector("[data-beside]")) return;
  panel.querySelectorAll(":scope > .scim-beside").forEach((other) => other.remove());
  root.classList.add("scim-beside");
  panel.classList.add("scim-guided");
  panel.append(root);
  const measure = () => {
    const notebook = panel.querySelector(".jp-NotebookPanel-notebook");
    panel.style.setProperty("--scim-top", `${notebook?.offsetTop ?? 0}px`);
    panel.style.setProperty("--scim-head", `${root.querySelector("[data-above]").offsetHeight}px`);
  };
  new ResizeObserver(measure).observe(root.querySelector("[data-above]"));
  measure();
}

function titled(root) {
  const title = root.querySelector("[data-title]")?.dataset.title;
  if (title) document.title = title;
  const [rail, here] = [root.querySelector("[data-beside]"), root.querySelector("[data-beside] [aria-current]")];
  if (here) rail.scrollTop = Math.max(0, here.offsetTop - rail.clientHeight / 2); // what is at hand stays in sight
}

// What a person ticks in the list of what they need stays with this browser; it is no secret and no setting.
const shelf = (() => {
  try {
    return window.localStorage;
  } catch {
    return null; // a browser that keeps nothing
  }
})();
function ticked(root) {
  const boxes = root.querySelectorAll("input[data-keep]");
  for (const box of boxes) box.checked = shelf?.getItem(`scim-${box.name}`) === "yes";
}

// What is chosen in a long list stands in sight, once for each choice: a person may scroll away from it.
function inSight(root) {
  for (const list of root.querySelectorAll(".scim-list")) {
    const chosen = list.querySelector("input:checked");
    if (!chosen || list.dataset.mineShows === chosen.value) continue;
    list.dataset.mineShows = chosen.value;
    const { top, bottom } = chosen.closest("label").getBoundingClientRect();
    const shown = list.getBoundingClientRect();
    if (top < shown.top || bottom > shown.bottom) list.scrollTop += top - shown.top - 2;
  }
}

function drawer(root, button) {
  const rail = root.querySelector("[data-beside]");
  button.setAttribute("aria-expanded", String(rail.classList.toggle("scim-drawn")));
  if (rail.classList.contains("scim-drawn")) rail.querySelector("a")?.focus();
  else button.focus();
}

// On paper nothing is folded. Afterwards it is again as the person had it.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll(".scim details:not([open])")].filter((fold) => !fold.closest(".scim-danger, .scim-mapping"));
  folded.forEach((fold) => (fold.open = true));
});
addEventListener("afterprint", () => folded.forEach((fold) => (fold.open = false)));

// Without its kernel the page would look alive and answer nothing. Python answers every message; where it does not, a bar says so.
const ANSWER_MS = 6000; // a kernel is idle while its worker works, and answers within a tenth of a second
const BEAT_MS = 10000;
const served = (path) => {
  const told = document.getElementById("jupyter-config-data")?.textContent;
  return `${(told && JSON.parse(told).baseUrl) || "/"}${path}`; // a server behind a proxy has its pages below an address of its own
};
const isServed = () => fetch(served("api"), { cache: "no-store" }).then(() => true, () => false);
const addressed = (root) => root.querySelectorAll("a[data-served]").forEach((link) => (link.href = served(link.dataset.served)));
async function lost(root) {
  const panel = document.querySelector(".jp-NotebookPanel") ?? document.body;
  if (panel.querySelector(":scope > .scim-dead")) return;
  const bar = document.createElement("div");
  bar.className = "scim scim-dead";
  bar.setAttribute("role", "alert");
  const folder = document.querySelector("[data-folder]")?.dataset.folder ?? "";
  const again = (await isServed())
    ? `${document.querySelector('[data-jp-item-name="start"]') ? "Press “Start the runbook” above" : "Run all cells"}. Every step is planned again, and nothing is written by that. Only secrets have to be typed again.`
    : `The program that serves this page has ended. Start it again in a terminal: python -m runbook_lib lab --resume ${folder}`;
  bar.innerHTML = "<p><strong>This page has lost its connection, so no button on it works.</strong> What was written is safe and on record.</p><p></p>";
  bar.lastChild.textContent = again;
  if (!root.isConnected) return;
  panel.append(bar);
}
const found = () => document.querySelectorAll(".scim-dead").forEach((bar) => bar.remove());

function render({ model, el }) {
  const root = document.createElement("div");
  root.className = "scim";
  root.dataset.lmSuppressShortcuts = "true"; // JupyterLab would take Enter and letters for commands
  root.innerHTML = model.get("html");
  el.append(root);
  requestAnimationFrame(() => {
    placeBeside(root, el);
    withWords(root);
  });
  root.querySelectorAll(".scim-fold").forEach((fold) => (fold.open = fold.dataset.open === "yes"));
  root.addEventListener("toggle", (event) => event.target.matches(".scim-fold") && withWords(root), true);
  ticked(root);
  titled(root);
  addressed(root);
  requestAnimationFrame(() => inSight(root));

  let pressed = null; // the button that was pressed last
  // An element that Python leads to is focused once; a page that is opened again leads nowhere.
  const led = () => root.querySelector("[data-focus]");
  let ledAt = led()?.dataset.focus;
  const draw = () => {
    const fresh = document.createElement("div");
    fresh.innerHTML = model.get("html");
    const alert = root.querySelector(".scim-alert");
    const [hadFocus, wasAt] = [alert && alert === document.activeElement, pressed];
    alert?.remove();
    morphChildren(root, fresh);
    root.querySelectorAll("[data-table]").forEach((part) => arrange(part));
    if (alert) putBack(root, alert, wasAt);
    if (hadFocus) alert.focus();
    ticked(root);
    titled(root);
    addressed(root);
    inSight(root);
    withWords(root);
    const target = led();
    if (!target || target.dataset.focus === ledAt) return;
    ledAt = target.dataset.focus;
    target.focus();
  };
  let unanswered = 0;
  const send = (message) => {
    clearTimeout(unanswered);
    unanswered = setTimeout(() => root.isConnected && lost(root), ANSWER_MS);
    inFlight += 1;
    try {
      model.send(message);
    } catch {
      lost(root); // the comm of a kernel that is gone
    }
  };
  const beat = root.querySelector("[data-beside]") ? setInterval(() => send({ event: "beat" }), BEAT_MS) : 0;
  const heard = (message) => {
    if (message.heard) {
      inFlight = Math.max(0, inFlight - 1);
      clearTimeout(unanswered);
      found();
    }
    if (message.jump) jump(message.jump);
    if (message.land) land(message.land);
    if (message.alert) alertIn(root, message.alert, pressed);
    if (message.secret) reveal(root, message);
  };
  model.on("change:html", draw);
  model.on("msg:custom", heard);

  let waiting = 0;
  const tell = (source, withSecrets) => {
    root.querySelector(".scim-alert")?.remove();
    if (source.matches("button")) pressed = source;
    const scope = source.closest("form") || root;
    const fields = fieldsOf(scope, withSecrets);
    clearTimeout(waiting); // what was typed is among them
    if (withSecrets) scope.querySelectorAll(SECRET).forEach((field) => (field.value = ""));
    send({ event: source.dataset.event, value: source.dataset.value || source.value || "", fields });
  };
  root.addEventListener("click", (event) => {
    const source = event.target.closest("[data-jump], [data-copy], [data-copy-text], [data-csv], [data-sort], [data-fold], [data-drawer], button[data-event]");
    if (!source) return;
    if (source.hasAttribute("data-drawer")) return drawer(root, source);
    if (source.hasAttribute("data-fold"))
      return document.querySelectorAll(".scim-fold").forEach((fold) => (fold.open = source.dataset.fold === "open"));
    if (source.dataset.copyText) return copied(source, source.dataset.copyText);
    if (source.hasAttribute("data-csv")) return copied(source, asCsv(source.closest("[data-table]")));
    if (source.dataset.sort) return sortBy(source.closest("[data-table]"), Number(source.dataset.sort));
    if (source.dataset.jump) return event.preventDefault(), jump(source.dataset.jump);
    if (source.dataset.copy) return copied(source, root.querySelector(`#${source.dataset.copy}`).textContent);
    if (source.type !== "submit") tell(source, false);
  });
  root.addEventListener("change", ({ target }) => {
    if (target.matches("input[data-keep]")) shelf?.setItem(`scim-${target.name}`, target.checked ? "yes" : "");
    setTimeout(draw, 2 * WAIT_MS); // a field that is left shows what was read from it
  });
  root.addEventListener("submit", (event) => {
    event.preventDefault();
    // A secret stays in its field while another one is known to be wrong.
    const wrong = [...event.target.querySelectorAll("[aria-invalid=true]")].find((field) => !hasUntold(field) && !field.matches(SECRET));
    if (wrong) return wrong.focus();
    tell(event.submitter || event.target.querySelector("[type=submit]"), true);
  });
  root.addEventListener("keydown", (event) => {
    const opener = event.key === "Escape" && root.querySelector(".scim-drawn") && root.querySelector("[data-drawer]");
    if (opener) drawer(root, opener);
  });
  // Enter in a field does what the form's first button does. Chromium does so by itself only in some forms of a notebook.
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || !event.target.matches("input:not([type=radio], [type=checkbox])")) return;
    event.preventDefault();
    const button = event.target.form?.querySelector("[type=submit]:enabled");
    if (button) event.target.form.requestSubmit(button);
  });
  root.addEventListener("input", (event) => {
    const field = event.target;
    if (field.matches("[data-find]")) return arrange(field.closest("[data-table]"), { words: field.value });
    if (!field.dataset.event || field.matches(SECRET)) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => tell(field, false), /^(radio|checkbox|select-one)$/.test(field.type) ? 0 : WAIT_MS);
  });

  return () => {
    clearInterval(beat);
    clearTimeout(unanswered);
    found();
    model.off("change:html", draw);
    model.off("msg:custom", heard);
    root.parentElement?.classList.remove("scim-guided");
    root.remove();
  };
}

export default { render };
