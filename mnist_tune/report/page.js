"use strict";
// Draws the figures one after the other, in the colours of the theme and as wide as the page is.
(() => {
  const stored = (id) => JSON.parse(document.getElementById(id).textContent);
  const { margin: usual, gap, legendLine } = stored("arrangement");
  const plots = [...document.querySelectorAll("[data-figure]")];
  const config = {
    displaylogo: false,
    displayModeBar: "hover",
    modeBarButtons: [["toImage", "resetScale2d"]],
    doubleClick: "reset",
  };

  // Figures name colours as CSS does: var(--ink). Plotly does not know what that is.
  function coloured(value, style) {
    if (typeof value === "string") {
      const name = /^var\((--\w+)\)$/.exec(value);
      return name ? style.getPropertyValue(name[1]).trim() : value;
    }
    if (Array.isArray(value)) return value.map((each) => coloured(each, style));
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, coloured(each, style)]));
    }
    return value;
  }

  // What panels.arrange does in Python, for another width.
  function arrange(figure, width) {
    const { layout } = figure;
    const shape = layout.meta;
    const margin = { ...usual, ...shape.margin };
    const across = width - margin.l - margin.r;
    const columns = Math.max(1, Math.min(shape.panels, shape.most, Math.floor(width / shape.least)));
    const rows = Math.ceil(shape.panels / columns);
    const names = figure.data.filter((trace) => trace.showlegend).map((trace) => trace.name.length);
    const aLine = Math.max(1, Math.floor(across / (Math.max(...names, 1) * 6.5 + 50)));
    const legend = names.length ? Math.ceil(names.length / aLine) * legendLine + 12 : 0;
    const down = rows * shape.height + (rows - 1) * gap.y;
    const one = (1 - ((columns - 1) * gap.x) / across) / columns;
    for (let index = 0; index < shape.panels; index += 1) {
      const axis = index === 0 ? "" : String(index + 1);
      const left = (index % columns) * (one + gap.x / across);
      const top = 1 - (Math.floor(index / columns) * (shape.height + gap.y)) / down;
      layout["xaxis" + axis].domain = [left, Math.min(left + one, 1)];
      layout["yaxis" + axis].domain = [Math.max(top - shape.height / down, 0), top];
    }
    layout.width = width;
    layout.height = down + margin.t + margin.b + legend;
    layout.margin = { ...margin, b: margin.b + legend };
  }

  async function draw(plot) {
    const figure = coloured(stored("figure-" + plot.dataset.figure), getComputedStyle(document.documentElement));
    arrange(figure, plot.clientWidth);
    // A finger that drags over a figure wants to scroll the page.
    figure.layout.dragmode = matchMedia("(pointer: coarse)").matches ? false : "zoom";
    const image = { toImageButtonOptions: { filename: plot.dataset.figure, scale: 2 } };
    await Plotly.react(plot, figure.data, figure.layout, { ...config, ...image });
  }

  let drawing = 0;
  async function drawAll() {
    const mine = (drawing += 1);
    for (const plot of plots) {
      await new Promise((resume) => setTimeout(resume)); // the page stays responsive between figures
      if (mine !== drawing) return;
      await draw(plot);
    }
    document.documentElement.dataset.drawn = "all";
  }

  let width = document.documentElement.clientWidth;
  let waiting;
  addEventListener("resize", () => {
    if (document.documentElement.clientWidth === width) return;
    width = document.documentElement.clientWidth;
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 150);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  drawAll();

  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    const text = document.getElementById(button.dataset.copy);
    button.addEventListener("click", async () => {
      getSelection().selectAllChildren(text);
      let done = true;
      try {
        await navigator.clipboard.writeText(text.textContent);
      } catch {
        done = document.execCommand("copy"); // a file has no clipboard in some browsers
      }
      button.nextElementSibling.textContent = done ? "copied" : "selected; copy it with Ctrl+C";
    });
  }
})();
