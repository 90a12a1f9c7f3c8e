// Asks the engine, in a worker where the page may have one.

import { type Answer, Engine, type Request } from "./engine.ts";
import { type Packed, unpack } from "./networks.ts";
import WORKER from "./worker.ts?text";

export interface Client {
  ask(request: Request): void;
  stop(): void;
}

/** Resolves when the networks are ready. */
export async function connect(
  packed: Packed,
  weights: Uint8Array<ArrayBuffer>,
  receive: (answer: Answer) => void,
): Promise<Client> {
  const worker = await started(packed, weights);
  if (!worker) {
    const engine = new Engine(await unpack(packed, weights), receive);
    return { ask: (request) => engine.ask(request), stop: () => {} };
  }
  worker.onmessage = ({ data }) => receive(data);
  return { ask: (request) => worker.postMessage(request), stop: () => worker.terminate() };
}

/** A worker that is ready, or null where the page's rules forbid one. */
function started(packed: Packed, weights: Uint8Array<ArrayBuffer>): Promise<Worker | null> {
  const url = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
  return new Promise<Worker | null>((resolve) => {
    try {
      const worker = new Worker(url);
      worker.onmessage = () => resolve(worker);
      worker.onerror = () => resolve(null);
      worker.postMessage({ packed, weights });
    } catch {
      resolve(null);
    }
  }).finally(() => URL.revokeObjectURL(url));
}
