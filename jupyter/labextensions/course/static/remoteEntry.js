// A JupyterLab extension, as it is loaded, without a build: a notebook that was only opened is whole and unchanged.
//
// JupyterLab marks it as changed twice: when it writes the kernel's name and Python version into it, and when the
// explorers stored in it come to life (as their state is saved with the notebook). From the first change of a cell on,
// all is left to JupyterLab.
//
// On a busy machine JupyterLab may connect to the kernel before it has read the explorers from the notebook. It then
// says "model not found" for good; so they are asked for again.

const OF_THE_KERNEL = ["kernelspec", "language_info"];
const VIEW = "application/vnd.jupyter.widget-view+json";
const SECONDS = [1, 2, 4, 8, 16, 32]; // after a kernel was connected

function leaveClean(context) {
  const model = context.model;
  let ofTheKernel = false;
  let changed = false;
  model.metadataChanged.connect((_, change) => {
    ofTheKernel = OF_THE_KERNEL.includes(change.key);
  });
  model.contentChanged.connect(() => {
    changed ||= context.isReady && !ofTheKernel;
    ofTheKernel = false;
  });
  model.stateChanged.connect((_, change) => {
    if (change.name !== "dirty" || !change.newValue) return;
    Promise.resolve().then(() => {
      if (!changed) model.dirty = false;
    });
  });
}

function showLost(panel) {
  if (panel.isDisposed) return;
  for (const { outputArea } of panel.content.widgets) {
    outputArea?.widgets.forEach((output, number) => {
      const shown = output.widgets?.find((part) => part.mimeType === VIEW);
      const lost = shown?.hasClass("jupyter-widgets") && !shown.node.childElementCount; // a text in a widget's place
      if (lost) shown.renderModel(outputArea.model.get(number));
    });
  }
}

function createNew(panel, context) {
  leaveClean(context);
  context.sessionContext.connectionStatusChanged.connect((_, status) => {
    if (status !== "connected") return;
    for (const seconds of SECONDS) setTimeout(() => showLost(panel), 1000 * seconds);
  });
}

const plugin = {
  id: "course:whole",
  description: "A notebook that was only opened is whole and unchanged",
  autoStart: true,
  activate: (app) => void app.docRegistry.addWidgetExtension("Notebook", { createNew }),
};

window._JUPYTERLAB = window._JUPYTERLAB || {};
window._JUPYTERLAB.course = { init() {}, get: async () => () => ({ __esModule: true, default: plugin }) };
