import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync, gzipSync } from "node:zlib";
import { inflate } from "../src/house/inflate.ts";

const text = Buffer.from("β → 1 %, ".repeat(50_000));

test("what zlib packs comes back, where no Blob can be read", async (t) => {
  // As in WebKit, in a worker of a page from the disk.
  for (const reader of ["stream", "arrayBuffer", "text"] as const) {
    t.mock.method(Blob.prototype, reader, () => {
      throw new DOMException("The I/O read operation failed.", "NotReadableError");
    });
  }
  assert.deepEqual(Buffer.from(await inflate(new Uint8Array(gzipSync(text)), "gzip")), text);
  assert.deepEqual(Buffer.from(await inflate(new Uint8Array(deflateSync(text)), "deflate")), text);
});

test("broken bytes are refused", async () => {
  const packed = new Uint8Array(deflateSync(text));
  await assert.rejects(inflate(packed.slice(0, packed.length / 2), "deflate"), TypeError);
  await assert.rejects(inflate(packed.slice(10), "deflate"), TypeError);
});
