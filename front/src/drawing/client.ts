// Asks the engine, in a worker where the page may have one.

import { type Answer, Engine, type Request } from "./engine.ts";
import { unpack } from "./networks.ts";
import type { Start, Started } from "./worker.ts";
import WORKER from "./worker.ts?text";

export interface Client {
  ask(request: Request): void;
  stop(): void;
}

/** Resolves when the networks are ready; rejects where they cannot be read. */
export async function connect(start: Start, receive: (answer: Answer) => void): Promise<Client> {
  const worker = await started(start);
  if (!worker) {
    const engine = new Engine(await unpack(start.packed, start.weights), receive);
    return { ask: (request) => engine.ask(request), stop: () => {} };
  }
  let asked = 0;
  worker.onmessage = ({ data }) => receive(data);
  worker.onerror = ({ message }) => receive({ kind: "failure", number: asked, reason: message });
  return {
    ask(request) {
      asked = request.number;
      worker.postMessage(request);
    },
    stop: () => worker.terminate(),
  };
}

/** A worker that is ready, or null where the page's rules forbid one. */
function started(start: Start): Promise<Worker | null> {
  const url = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
  return new Promise<Worker | null>((resolve, reject) => {
    try {
      const worker = new Worker(url);
      worker.onmessage = ({ data }: MessageEvent<Started>) => {
        if (data === "ready") return resolve(worker);
        worker.terminate();
        reject(data.reason);
      };
      worker.onerror = () => resolve(null);
      worker.postMessage(start);
    } catch {
      resolve(null);
    }
  }).finally(() => URL.revokeObjectURL(url));
}
