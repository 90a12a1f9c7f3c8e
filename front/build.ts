// Builds each entry of src/ into one module beside the Python that shows it. `--check` compares instead of writing:
// the built files are committed, since a kernel on Colab has no Node.
import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { argv, exit } from "node:process";
import { fileURLToPath } from "node:url";
import { build, type Plugin, transform } from "esbuild";

const ENTRIES = ["explorer", "drawing", "playground"];
const BANNER = "// Built from front/src by `make front`; change it there.";

const COMMON = {
  bundle: true,
  target: "es2022",
  charset: "utf8",
  minify: true,
  legalComments: "none",
  write: false,
} as const;

const css: Plugin = {
  name: "styles as text",
  setup: ({ onLoad }) =>
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(await readFile(path, "utf8"), { loader: "css", minify: true });
      return { contents: code, loader: "text" };
    }),
};

/** `import TEXT from "./worker.ts?text"`: the module and all it needs as one script, for a worker to run. */
const script: Plugin = {
  name: "scripts as text",
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /\.ts\?text$/ }, ({ path, resolveDir }) => ({
      path: resolve(resolveDir, path.replace(/\?text$/, "")),
      namespace: "text",
    }));
    onLoad({ filter: /./, namespace: "text" }, async ({ path }) => {
      const { outputFiles } = await build({ ...COMMON, entryPoints: [path], format: "iife" });
      return { contents: outputFiles[0].text, loader: "text" };
    });
  },
};

let stale = false;
for (const entry of ENTRIES) {
  const { outputFiles } = await build({
    ...COMMON,
    entryPoints: [fileURLToPath(new URL(`src/${entry}/index.ts`, import.meta.url))],
    format: "esm",
    plugins: [css, script],
    banner: { js: BANNER },
  });
  const path = new URL(`../course_utils/explorers/${entry}.js`, import.meta.url);
  const built = outputFiles[0].text;
  if (!argv.includes("--check")) {
    await writeFile(path, built);
  } else if ((await readFile(path, "utf8").catch(() => "")) !== built) {
    console.error(`course_utils/explorers/${entry}.js is not what front/src builds: make front`);
    stale = true;
  }
}
exit(stale ? 1 : 0);
