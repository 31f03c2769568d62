// The page is complete without this: it only hides what is not looked at right now.
(() => {
  "use strict";
  const all = (root, selector) => [...root.querySelectorAll(selector)];
  const root = document.documentElement;

  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  // one run at a time
  const tabs = all(document, "[role=tab]");
  const panels = all(document, ".run");
  const choose = (index) => {
    tabs.forEach((tab, place) => {
      tab.setAttribute("aria-selected", place === index);
      tab.tabIndex = place === index ? 0 : -1;
      panels[place].classList.toggle("off", place !== index);
    });
  };
  if (tabs.length > 1) {
    document.querySelector(".tabs").hidden = false;
    panels.forEach((panel) => panel.setAttribute("role", "tabpanel"));
    tabs.forEach((tab, place) => tab.addEventListener("click", () => choose(place)));
    choose(0);
  }

  // one step at a time
  const movers = new Map();
  all(document, "[data-stepper]").forEach((stepper) => {
    const steps = all(stepper, ".step");
    const pills = all(stepper, ".pills button");
    if (steps.length < 2) return;
    const [previous, next, where] = [".previous", ".next", ".where"].map((name) => stepper.querySelector(name));
    const views = all(stepper.closest(".run"), ".views li");
    let now = stepper.dataset.start === "last" ? steps.length - 1 : 0;
    const move = (by) => {
      now = Math.min(Math.max(now + by, 0), steps.length - 1);
      steps.forEach((step, place) => step.classList.toggle("off", place !== now));
      pills.forEach((pill, place) => pill.toggleAttribute("aria-current", place === now));
      previous.disabled = now === 0;
      next.disabled = now === steps.length - 1;
      where.textContent = `${now + 1} of ${steps.length}`;
      if (pills.length) views.forEach((view) => view.classList.toggle("acts", view.dataset.who === steps[now].dataset.actor));
    };
    previous.addEventListener("click", () => move(-1));
    next.addEventListener("click", () => move(1));
    pills.forEach((pill, place) => pill.addEventListener("click", () => move(place - now)));
    all(stepper, "[hidden]").forEach((part) => { part.hidden = false; });
    stepper.classList.add("live");
    movers.set(stepper, move);
    move(0);
  });

  // arrow keys: the tabs or the stepper that has the focus, else the cache lines of the run that is shown
  document.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const place = tabs.indexOf(document.activeElement);
    if (place >= 0) {
      const index = (place + by + tabs.length) % tabs.length;
      choose(index);
      tabs[index].focus();
    } else {
      const stepper = document.activeElement.closest("[data-stepper]") ?? document.querySelector(".run:not(.off) .stepper.live");
      if (!movers.has(stepper)) return;
      movers.get(stepper)(by);
    }
    event.preventDefault();
  });

  // the messages
  all(document, ".run").forEach((run) => {
    const tools = run.querySelector(".tools");
    if (!tools) return;
    tools.hidden = false;
    const messages = all(run, ".message");
    const open = (state) => messages.forEach((message) => { message.open = state; });
    tools.querySelector(".open-all").addEventListener("click", () => open(true));
    tools.querySelector(".close-all").addEventListener("click", () => open(false));
    tools.querySelector(".only-about").addEventListener("change", (event) => {
      run.classList.toggle("only", event.target.checked);
    });
  });

  // a link to something that is hidden shows it
  const reveal = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (!target) return;
    const panel = panels.indexOf(target.closest(".run"));
    if (panel >= 0 && tabs.length > 1) choose(panel);
    if (target.matches("details")) {
      target.open = true;
      if (getComputedStyle(target).display === "none") target.closest(".run").querySelector(".only-about").click();
    }
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();
})();
