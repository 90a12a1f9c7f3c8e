// Runs the engine beside the page, so that drawing never waits.

import { Engine, type Request } from "./engine.ts";
import { type Packed, unpack } from "./networks.ts";

export interface Start {
  packed: Packed;
  weights: Uint8Array<ArrayBuffer>;
}

/** What a start is answered: a failure names what the browser says of it. */
export type Started = "ready" | { reason: string };

let engine: Engine | null = null;
addEventListener("message", async ({ data }: MessageEvent<Start | Request>) => {
  if (!("packed" in data)) return engine?.ask(data);
  let said: Started = "ready";
  try {
    engine = new Engine(await unpack(data.packed, data.weights), (answer) => postMessage(answer));
  } catch (error) {
    said = { reason: String(error) };
  }
  postMessage(said);
});
