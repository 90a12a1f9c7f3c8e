// Builds each entry of src/ into one module beside the Python that shows it. `--check` compares instead of writing:
// the built files are committed, since a kernel on Colab has no Node.
import { readFile, writeFile } from "node:fs/promises";
import { argv, exit } from "node:process";
import { build, type Plugin, transform } from "esbuild";

const ENTRIES = ["explorer", "playground"];
const BANNER = "// Built from front/src by `make front`; change it there.";

const css: Plugin = {
  name: "styles as text",
  setup: ({ onLoad }) =>
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(await readFile(path, "utf8"), { loader: "css", minify: true });
      return { contents: code, loader: "text" };
    }),
};

let stale = false;
for (const entry of ENTRIES) {
  const { outputFiles } = await build({
    entryPoints: [new URL(`src/${entry}/index.ts`, import.meta.url).pathname],
    bundle: true,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    plugins: [css],
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: "none",
    banner: { js: BANNER },
    write: false,
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
