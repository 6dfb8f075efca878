import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

interface Entry {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

it('the lock file has an entry for each platform, so that npm ci takes it on every machine', () => {
  const { packages } = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8'));
  const paths = Object.keys(packages);
  const missing = Object.entries<Entry>(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !paths.some((each) => each.endsWith(`node_modules/${name}`)))
      .map((name) => `${path} wants ${name}`),
  );
  // npm leaves out what a registry does not have; add the entries by hand (version, os, cpu, optional).
  expect(missing).toEqual([]);
});
