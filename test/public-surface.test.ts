import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Source file of each subpath that package.json exports. */
function entries(): Map<string, string> {
  const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    exports: Record<string, string | object>;
  };
  const code = Object.entries(exports).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string' && entry[1].endsWith('.js'),
  );
  return new Map(
    code.map(([subpath, target]) => [subpath, join(ROOT, target.replace(/^\.\/dist\/(.*)\.js$/, 'src/$1.ts'))]),
  );
}

/** Exported names as the compiler sees them, those of types marked. */
function surface(): string {
  const files = entries();
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const program = ts.createProgram([...files.values()], options);
  const checker = program.getTypeChecker();
  const blocks = [...files].map(([subpath, file]) => {
    const source = program.getSourceFile(file);
    const module = source && checker.getSymbolAtLocation(source);
    if (module === undefined) throw new Error(`${subpath}: ${file} is no module`);
    const names = checker.getExportsOfModule(module).map((symbol) => {
      const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      return target.flags & ts.SymbolFlags.Value ? symbol.name : `type ${symbol.name}`;
    });
    return `${subpath}\n${names
      .sort()
      .map((name) => `  ${name}\n`)
      .join('')}`;
  });
  return blocks.join('\n');
}

// What users import. A name that goes or changes its kind is a breaking change; after a change that is meant:
//   npx vitest run test/public-surface.test.ts -u
it('exports the names that it did', async () => {
  await expect(surface()).toMatchFileSnapshot('public-surface.txt');
});
