import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { unpackCharts } from "../src/explorer/sprites.ts";

test("packed charts come back as addresses that hold their text", async () => {
  const charts = ['<svg viewBox="0 0 9 9"><text>β → 1 %</text></svg>', "<svg/>"];
  const packed = gzipSync(Buffer.from(JSON.stringify(charts))).toString("base64");
  const addresses = await unpackCharts(packed);
  assert.equal(addresses.length, 2);
  for (const [k, address] of addresses.entries()) {
    const [head, text] = address.split(/,(.*)/s);
    assert.equal(head, "data:image/svg+xml;charset=utf-8");
    assert.equal(decodeURIComponent(text), charts[k]);
  }
});
