// Tells the kernel, if there is one, what the model holds.

export interface Saver {
  /** Within so many milliseconds, always the latest. */
  soon(): void;
  /** At the view's end: what has not been told is told now. */
  stop(): void;
}

export function makeSaver(model: { save_changes(): void }, milliseconds: number): Saver {
  let waiting: ReturnType<typeof setTimeout> | undefined;
  const save = () => {
    waiting = undefined;
    try {
      model.save_changes();
    } catch {
      // The kernel is gone: what the page holds goes on working.
    }
  };
  return {
    soon() {
      waiting ??= setTimeout(save, milliseconds);
    },
    stop() {
      if (waiting === undefined) return;
      clearTimeout(waiting);
      save();
    },
  };
}
