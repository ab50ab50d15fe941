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

// Makes `old` look like `fresh` and keeps what the person is at: focus, text being typed, opened details.
function morph(old, fresh) {
  if (old.hasAttribute("data-reveal")) return; // what it shows is in no HTML that Python makes
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") {
      old.removeAttribute(name);
      if (name === "checked") old.checked = false;
    }
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) === value) continue;
    const follows = name === "value" && old !== document.activeElement && !old.matches(SECRET) && !hasUntold(old);
    old.setAttribute(name, value);
    if (follows) old.value = old.told = value;
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
  // The words about a step stand in the cell before its card.
  const about = target.closest(".jp-Cell")?.previousElementSibling;
  (about?.matches(".jp-MarkdownCell") ? about : target).scrollIntoView({ block: "start" });
  target.focus({ preventScroll: true });
}

// One line about what went wrong. It stays, whatever is drawn meanwhile, until the person does the next thing.
function alertIn(root, words) {
  root.querySelector(":scope > .scim-alert")?.remove();
  const line = document.createElement("p");
  line.className = "scim-alert";
  line.setAttribute("role", "alert");
  line.textContent = words;
  root.prepend(line);
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

// The rail stands beside the whole notebook where there is room for it, and in its cell elsewhere.
function placeBeside(root, el) {
  const panel = el.closest(".jp-NotebookPanel");
  if (!panel || !root.querySelector("[data-beside]")) return;
  panel.querySelectorAll(":scope > .scim-beside").forEach((other) => other.remove());
  root.classList.add("scim-beside");
  panel.classList.add("scim-guided");
  panel.append(root);
}

function render({ model, el }) {
  const root = document.createElement("div");
  root.className = "scim";
  root.dataset.lmSuppressShortcuts = "true"; // JupyterLab would take Enter and letters for commands
  root.innerHTML = model.get("html");
  el.append(root);
  requestAnimationFrame(() => placeBeside(root, el));

  // An element that Python leads to is focused once; a page that is opened again leads nowhere.
  const led = () => root.querySelector("[data-focus]");
  let ledAt = led()?.dataset.focus;
  const draw = () => {
    const fresh = document.createElement("div");
    fresh.innerHTML = model.get("html");
    const alert = root.querySelector(":scope > .scim-alert");
    alert?.remove();
    morphChildren(root, fresh);
    if (alert) root.prepend(alert);
    const target = led();
    if (!target || target.dataset.focus === ledAt) return;
    ledAt = target.dataset.focus;
    target.focus();
  };
  const heard = (message) => {
    if (message.jump) jump(message.jump);
    if (message.alert) alertIn(root, message.alert);
    if (message.secret) reveal(root, message);
  };
  model.on("change:html", draw);
  model.on("msg:custom", heard);

  const tell = (source, withSecrets) => {
    root.querySelector(":scope > .scim-alert")?.remove();
    const scope = source.closest("form") || root;
    const fields = fieldsOf(scope, withSecrets);
    if (withSecrets) scope.querySelectorAll(SECRET).forEach((field) => (field.value = ""));
    model.send({ event: source.dataset.event, value: source.dataset.value || source.value || "", fields });
  };
  root.addEventListener("click", (event) => {
    const source = event.target.closest("[data-jump], [data-copy], button[data-event]");
    if (!source) return;
    if (source.dataset.jump) return event.preventDefault(), jump(source.dataset.jump);
    if (source.dataset.copy) return copied(source, root.querySelector(`#${source.dataset.copy}`).textContent);
    if (source.type !== "submit") tell(source, false);
  });
  root.addEventListener("submit", (event) => {
    event.preventDefault();
    tell(event.submitter || event.target.querySelector("[type=submit]"), true);
  });
  // Enter in a field does what the form's first button does. Chromium does so by itself only in some forms of a notebook.
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || !event.target.matches("input:not([type=radio], [type=checkbox])")) return;
    event.preventDefault();
    const button = event.target.form?.querySelector("[type=submit]:enabled");
    if (button) event.target.form.requestSubmit(button);
  });
  let waiting = 0;
  root.addEventListener("input", (event) => {
    const field = event.target;
    if (!field.dataset.event || field.matches(SECRET)) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => tell(field, false), /^(radio|checkbox|select-one)$/.test(field.type) ? 0 : WAIT_MS);
  });

  return () => {
    model.off("change:html", draw);
    model.off("msg:custom", heard);
    root.parentElement?.classList.remove("scim-guided");
    root.remove();
  };
}

export default { render };
