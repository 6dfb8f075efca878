/** Whether this is Node (or Bun or Deno, which are like it), where models lie in files and native packages load. */
export function inNode(): boolean {
  return typeof process === 'object' && typeof process.versions?.node === 'string';
}
