// Runs the engine beside the page, so that drawing never waits.

import { Engine, type Request } from "./engine.ts";
import { type Packed, unpack } from "./networks.ts";

export interface Start {
  packed: Packed;
  weights: Uint8Array<ArrayBuffer>;
}

let engine: Promise<Engine> | null = null;
addEventListener("message", async ({ data }: MessageEvent<Start | Request>) => {
  if ("packed" in data) {
    engine = unpack(data.packed, data.weights).then(
      (known) => new Engine(known, (answer) => postMessage(answer)),
    );
    await engine;
    postMessage("ready");
  } else (await engine)?.ask(data);
});
