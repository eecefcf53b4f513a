// Before the first paint: the theme of Airflow around us, unless a person chose another here.
(() => {
  const root = document.documentElement;

  const stored = (name) => {
    try {
      return localStorage.getItem(name);
    } catch {
      return null;
    }
  };

  const outer = () => {
    try {
      return parent === window ? null : parent.document.documentElement;
    } catch {
      return null;
    }
  };

  const wanted = () => {
    const own = stored("kwiksync.theme") ?? "auto";
    if (own !== "auto") return own;
    if (matchMedia("(prefers-contrast: more)").matches) return "contrast";
    const frame = outer();
    if (frame?.classList.contains("dark")) return "dark";
    if (frame?.classList.contains("light")) return "light";
    const airflow = stored("theme");
    if (airflow === "dark" || airflow === "light") return airflow;
    return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  };

  const apply = () => {
    root.dataset.theme = wanted();
    root.dataset.text = stored("kwiksync.text") ?? "normal";
  };

  apply();
  addEventListener("storage", apply);
  addEventListener("kwiksync-display", apply);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  const frame = outer();
  if (frame) new MutationObserver(apply).observe(frame, { attributes: true, attributeFilter: ["class"] });
})();
